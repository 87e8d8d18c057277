import { types } from "node:util";
import { DENSE_ARRAY_SHARE_MIN } from "../limits.ts";
import {
  CELL_HOLE,
  CELL_UNDEFINED,
  EXTENSION_FROZEN,
  EXTENSION_NOT_EXTENSIBLE,
  EXTENSION_PRESENT,
  EXTENSION_PROTOTYPE,
  EXTENSION_SEALED,
  NodeKind,
  PROPERTY_ACCESSOR,
  PROPERTY_CONFIGURABLE,
  PROPERTY_ENUMERABLE,
  PROPERTY_PLAIN,
  PROPERTY_WRITABLE,
  VIEW_TYPES,
} from "./graph-format.ts";
import type { ViewTypeName } from "./graph-format.ts";
import type { EncodingSession } from "./encoding-session.ts";
import { namespaceReference } from "./namespace-reference.ts";
import { privateFieldsOf, prototypeFacts } from "./prototype-facts.ts";

/** Writes the node of any object that is no function. */
export function encodeObject(encoder: EncodingSession, id: number, object: object): void {
  if (types.isProxy(object)) {
    if (encoder.writeRuntimeObject(id, object)) return;
    encoder.fail(id, "A Proxy cannot be sent: what its traps do is invisible from outside. Send the object behind it.");
  }
  const prototype = Object.getPrototypeOf(object) as object | null;
  if (prototype === Object.prototype || prototype === null) {
    encodePlainObject(encoder, id, object, prototype);
    return;
  }
  if (prototype === Array.prototype && Array.isArray(object)) {
    if (encoder.isCode && encoder.writeKnownObject(id, object)) return;
    encodeArray(encoder, id, object, prototype);
    return;
  }
  if (encoder.writeRuntimeObject(id, object) || ((encoder.isCode || isRare(object)) && encoder.writeKnownObject(id, object))) {
    return;
  }
  if (isPrototypeOfItsClass(object)) {
    encodePrototype(encoder, id, object);
    return;
  }
  encodeInstance(encoder, id, object, prototype);
}

function encodePlainObject(encoder: EncodingSession, id: number, object: object, prototype: object | null): void {
  if ((encoder.isCode || prototype === null) && encoder.writeKnownObject(id, object)) return;
  if (isPrototypeOfItsClass(object)) {
    encodePrototype(encoder, id, object);
    return;
  }
  if (types.isModuleNamespaceObject(object)) {
    const reference = namespaceReference(object, encoder.environment.policy);
    if (reference === undefined) {
      encoder.fail(id, "A module namespace was captured whose module cannot be told: import it statically.");
    }
    encoder.writeReference(id, reference);
    return;
  }
  if (types.isArgumentsObject(object)) {
    const items = Array.from(object as unknown as ArrayLike<unknown>);
    encoder.writer.beginNode(NodeKind.argumentsObject, id);
    encoder.writer.word(items.length);
    items.forEach((item, index) => encoder.writer.word(encoder.cell(item, id, index)));
    return;
  }
  if (prototype === null && types.isExternal(object)) encoder.fail(id, "A handle of native code cannot be sent.");
  if (hasExoticSlots(object)) {
    encodeInstance(encoder, id, object, prototype);
    return;
  }
  // Values follow structuredClone: a plain object's getters are read, symbol keys and attributes stay behind.
  if (!encoder.isCode && prototype === Object.prototype) {
    const keys = Object.keys(object);
    if (!encoder.writeShaped(id, object, prototype, keys)) writeIrregular(encoder, id, object, keys);
    return;
  }
  encodeOrdinary(encoder, id, object, prototype);
}

/** A plain object with keys like no other's: a dictionary. */
function writeIrregular(encoder: EncodingSession, id: number, object: object, keys: readonly string[]): void {
  const { writer } = encoder;
  writer.beginNode(NodeKind.object, id);
  writer.word(EXTENSION_PRESENT);
  writer.word(keys.length);
  for (const key of keys) {
    writer.word(writer.internedStringCell(key));
    writer.word(PROPERTY_PLAIN);
    writer.word(encoder.propertyCell((object as Record<string, unknown>)[key], id, key, object));
  }
  writer.word(0);
}

/** An object without internal slots: its class and its properties are all of it. */
function encodeOrdinary(encoder: EncodingSession, id: number, object: object, prototype: object | null): void {
  if (Object.isExtensible(object)) {
    const keys = plainKeys(object);
    if (keys !== undefined && encoder.writeShaped(id, object, prototype, keys)) return;
  }
  encoder.writer.beginNode(NodeKind.object, id);
  writeExtension(encoder, id, object, prototype === Object.prototype ? undefined : prototype);
}

function encodeInstance(encoder: EncodingSession, id: number, object: object, prototype: object | null): void {
  if (isBoundToItsProcess(object)) encoder.fail(id, refusalOfExotic(object));
  const facts = prototypeFacts(prototype, encoder.environment.policy);
  if (facts.refusal !== undefined) encoder.fail(id, facts.refusal);
  const { writer } = encoder;
  const own = (standard: object): object | null | undefined => (prototype === standard ? undefined : prototype);

  if (facts.isDomException) {
    const { message, name, stack } = object as DOMException;
    writer.beginNode(NodeKind.domException, id);
    for (const part of [message, name, stack]) writer.word(encoder.cell(part, id, "stack"));
    writeExtension(encoder, id, object, undefined, (key) => key !== "cause");
    return;
  }
  if (!hasExoticSlots(object) && !(object instanceof URL || object instanceof URLSearchParams)) {
    if (facts.privateOwners.length === 0) {
      encodeOrdinary(encoder, id, object, prototype);
    } else {
      writer.beginNode(NodeKind.object, id);
      writeExtension(encoder, id, object, prototype);
    }
    return;
  }
  if (Array.isArray(object)) {
    encodeArray(encoder, id, object, prototype);
  } else if (types.isMap(object)) {
    writer.beginNode(NodeKind.map, id);
    const entries = [...Map.prototype.entries.call(object)];
    writer.word(entries.length);
    for (const [key, value] of entries) {
      writer.word(encoder.cell(key, id, { words: "key of the Map" }));
      writer.word(encoder.cell(value, id, { words: `value of the Map at ${shortName(key)}` }));
    }
    writeExtension(encoder, id, object, own(Map.prototype));
  } else if (types.isSet(object)) {
    writer.beginNode(NodeKind.set, id);
    const items = [...Set.prototype.values.call(object)];
    writer.word(items.length);
    for (const item of items) writer.word(encoder.cell(item, id, { words: "element of the Set" }));
    writeExtension(encoder, id, object, own(Set.prototype));
  } else if (types.isDate(object)) {
    writer.beginNode(NodeKind.date, id);
    writer.word(writer.numberCell(Date.prototype.getTime.call(object)));
    writeExtension(encoder, id, object, own(Date.prototype));
  } else if (types.isRegExp(object)) {
    writer.beginNode(NodeKind.regExp, id);
    writer.word(writer.stringCell(object.source));
    writer.word(writer.stringCell(object.flags));
    writer.word(encoder.cell(object.lastIndex, id, "lastIndex"));
    writeExtension(encoder, id, object, own(RegExp.prototype), (key) => key === "lastIndex");
  } else if (types.isNativeError(object)) {
    writer.beginNode(NodeKind.error, id);
    writer.word(encoder.cell(object.stack, id, "stack"));
    writeExtension(encoder, id, object, own(Error.prototype), (key) => key === "stack");
  } else if (ArrayBuffer.isView(object)) {
    encodeView(encoder, id, object, prototype);
  } else if (types.isArrayBuffer(object)) {
    const segment = encoder.ledger.noteBuffer(object);
    const resizable = object as ArrayBuffer & { resizable?: boolean; maxByteLength?: number };
    writer.beginNode(NodeKind.arrayBuffer, id);
    writer.word(segment.index);
    writer.word(resizable.resizable === true ? writer.numberCell(resizable.maxByteLength as number) : CELL_UNDEFINED);
  } else if (types.isBoxedPrimitive(object)) {
    writer.beginNode(NodeKind.boxed, id);
    writer.word(encoder.cell((object as { valueOf(): unknown }).valueOf(), id, { words: "value" }));
    const isString = types.isStringObject(object);
    writeExtension(encoder, id, object, undefined, (key) => isString && (key === "length" || /^\d+$/.test(String(key))));
  } else if (object instanceof URL || object instanceof URLSearchParams) {
    writer.beginNode(NodeKind.url, id);
    writer.word(writer.internedStringCell(object instanceof URL ? "URL" : "URLSearchParams"));
    writer.word(writer.stringCell(String(object)));
  } else {
    encoder.fail(id, refusalOfExotic(object));
  }
}

function encodeArray(encoder: EncodingSession, id: number, array: readonly unknown[], prototype: object | null): void {
  const { writer } = encoder;
  const { length } = array;
  const keys = Object.keys(array);
  const isDense = keys.length >= length * DENSE_ARRAY_SHARE_MIN && isPlainDense(array, keys, encoder.isCode);
  if (isDense && prototype === Array.prototype && keys.length <= length && (Object.isExtensible(array) || !encoder.isCode)) {
    writer.beginNode(NodeKind.array, id);
    writer.word(length);
    for (let index = 0; index < length; index++) {
      const value = array[index];
      writer.word(
        value === undefined && !Object.hasOwn(array, index) ? CELL_HOLE : encoder.propertyCell(value, id, index, array),
      );
    }
    return;
  }
  writer.beginNode(NodeKind.arrayExtended, id);
  writer.word(length);
  writer.word(0);
  writeExtension(encoder, id, array, prototype === Array.prototype ? undefined : prototype, (key) => key === "length");
}

/** No key but indexes, and where attributes count, none but the usual ones. */
function isPlainDense(array: readonly unknown[], keys: readonly string[], isExact: boolean): boolean {
  const last = keys.at(-1);
  if (last !== undefined && String(Number(last)) !== last) return false;
  if (!isExact) return true;
  // `length` is the only other own key of an array without symbols and hidden properties.
  return Reflect.ownKeys(array).length === keys.length + 1 && (Object.isExtensible(array) || keys.length === 0);
}

function encodeView(encoder: EncodingSession, id: number, view: ArrayBufferView, prototype: object | null): void {
  const { writer } = encoder;
  if (!(view.buffer instanceof ArrayBuffer) && !types.isArrayBuffer(view.buffer)) {
    encoder.fail(id, "A view of a SharedArrayBuffer cannot be sent: copy it into an ordinary one, or use ray.put.");
  }
  const isBuffer = prototype === Buffer.prototype;
  const name = isBuffer ? "Buffer" : types.isDataView(view) ? "DataView" : typedArrayName(view);
  const standard = name === "Buffer" ? Buffer.prototype : (globalThis[name as "Uint8Array"].prototype as object);
  // The bytes of a buffer that is reached through views alone are trimmed to what they show: see finishViews.
  const buffer = encoder.viewedBufferCell(view, id);
  writer.beginNode(NodeKind.view, id);
  writer.word(VIEW_TYPES.indexOf(name as ViewTypeName));
  writer.word(buffer);
  const offsetPosition = writer.reserveWord();
  encoder.noteView(view, offsetPosition);
  writer.word(writer.numberCell(types.isDataView(view) ? view.byteLength : (view as Uint8Array).length));
  if (prototype === standard) writer.word(0);
  else writeExtension(encoder, id, view, prototype);
}

function typedArrayName(view: ArrayBufferView): string {
  return String((view as unknown as Record<symbol, unknown>)[Symbol.toStringTag]);
}

function encodePrototype(encoder: EncodingSession, id: number, object: object): void {
  encoder.writer.beginNode(NodeKind.prototypeOf, id);
  encoder.writer.word(encoder.cell(object.constructor, id, { words: "class" }));
}

/** What an object has besides its kind's own content. `prototype` undefined: the usual one of its kind. */
export function writeExtension(
  encoder: EncodingSession,
  id: number,
  object: object,
  prototype: object | null | undefined,
  isSkipped?: (key: PropertyKey) => boolean,
): void {
  const { writer } = encoder;
  let flags = 0;
  if (prototype !== undefined) flags |= EXTENSION_PROTOTYPE;
  if (!Object.isExtensible(object) && !ArrayBuffer.isView(object)) {
    flags |= EXTENSION_NOT_EXTENSIBLE;
    if (Object.isFrozen(object)) flags |= EXTENSION_FROZEN;
    else if (Object.isSealed(object)) flags |= EXTENSION_SEALED;
  }
  // Of a view, every element is a property of its own: nothing else of it is looked at.
  const keys = ArrayBuffer.isView(object)
    ? []
    : Reflect.ownKeys(object).filter((key) => isSkipped === undefined || !isSkipped(key));
  const privateFields = prototype ? privateFieldsOf(object, prototype, encoder.environment.policy) : [];
  if (flags === 0 && keys.length === 0 && privateFields.length === 0) {
    writer.word(0);
    return;
  }
  writer.word(flags | EXTENSION_PRESENT);
  if (prototype !== undefined) writer.word(encoder.prototypeCell(prototype, id));
  writer.word(keys.length);
  for (const key of keys) {
    const descriptor = Object.getOwnPropertyDescriptor(object, key) as PropertyDescriptor;
    writeProperty(encoder, id, object, key, descriptor);
  }
  writer.word(privateFields.length);
  for (const field of privateFields) {
    writer.word(encoder.cell(field.owner, id, { words: "class" }));
    writer.word(writer.internedStringCell(field.name));
    writer.word(encoder.cell(field.value, id, { words: `private field '${field.name}'` }));
  }
}

function writeProperty(
  encoder: EncodingSession,
  id: number,
  object: object,
  key: string | symbol,
  descriptor: PropertyDescriptor,
): void {
  const { writer } = encoder;
  writer.word(encoder.keyCell(key, id));
  let flags = (descriptor.enumerable ? PROPERTY_ENUMERABLE : 0) | (descriptor.configurable ? PROPERTY_CONFIGURABLE : 0);
  if ("value" in descriptor) {
    if (descriptor.writable) flags |= PROPERTY_WRITABLE;
    writer.word(flags);
    writer.word(encoder.propertyCell(descriptor.value, id, key, object));
  } else {
    writer.word(flags | PROPERTY_ACCESSOR);
    writer.word(encoder.propertyCell(descriptor.get, id, key, object));
    writer.word(encoder.propertyCell(descriptor.set, id, key, object));
  }
}

/** The keys of an object that has none but plain, string-keyed data properties. */
function plainKeys(object: object): string[] | undefined {
  const keys = Reflect.ownKeys(object);
  for (const key of keys) {
    if (typeof key !== "string") return undefined;
    const descriptor = Object.getOwnPropertyDescriptor(object, key);
    if (descriptor === undefined || descriptor.get !== undefined || descriptor.set !== undefined) return undefined;
    const flags =
      (descriptor.writable ? PROPERTY_WRITABLE : 0) |
      (descriptor.enumerable ? PROPERTY_ENUMERABLE : 0) |
      (descriptor.configurable ? PROPERTY_CONFIGURABLE : 0);
    if (flags !== PROPERTY_PLAIN) return undefined;
  }
  return keys as string[];
}

function isPrototypeOfItsClass(object: object): boolean {
  const constructor: unknown = Object.getOwnPropertyDescriptor(object, "constructor")?.value;
  return typeof constructor === "function" && constructor.prototype === object;
}

/** Objects that may be globals or exports of built-in modules although a value holds them: few have so many classes. */
function isRare(object: object): boolean {
  return isPrototypeOfItsClass(object) || Object.prototype.toString.call(object) !== "[object Object]";
}

/** Whether there is more to the object than its properties. */
function hasExoticSlots(object: object): boolean {
  return (
    Array.isArray(object) ||
    ArrayBuffer.isView(object) ||
    // Object.prototype.toString tells slots apart at once, unless a class declares a name of its own.
    (Object.prototype.toString.call(object) !== "[object Object]" && hasSlots(object))
  );
}

function hasSlots(object: object): boolean {
  return (
    isBoundToItsProcess(object) ||
    types.isMap(object) ||
    types.isSet(object) ||
    types.isDate(object) ||
    types.isRegExp(object) ||
    types.isNativeError(object) ||
    types.isAnyArrayBuffer(object) ||
    types.isBoxedPrimitive(object)
  );
}

function isBoundToItsProcess(object: object): boolean {
  return (
    types.isPromise(object) ||
    types.isWeakMap(object) ||
    types.isWeakSet(object) ||
    types.isGeneratorObject(object) ||
    types.isExternal(object) ||
    types.isMapIterator(object) ||
    types.isSetIterator(object)
  );
}

function refusalOfExotic(object: object): string {
  if (types.isPromise(object)) return "A Promise cannot be sent: await it first, or pass an ObjectRef.";
  if (types.isGeneratorObject(object)) return "A running generator cannot be sent: send the function, or collect what it yields.";
  if (types.isSharedArrayBuffer(object)) return "A SharedArrayBuffer cannot be sent: copy it into an ArrayBuffer, or use ray.put.";
  const tag = Object.prototype.toString.call(object).slice(8, -1);
  return `${/^[AEIOU]/.test(tag) ? "An" : "A"} ${tag} cannot be sent: only its own process can look inside. Make it where it is used.`;
}

function shortName(key: unknown): string {
  if (typeof key === "string") return `'${key.length > 40 ? `${key.slice(0, 40)}…` : key}'`;
  return typeof key === "object" || typeof key === "function" ? "an object" : String(key);
}

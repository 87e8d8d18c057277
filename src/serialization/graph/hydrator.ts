import { importMetaOf, resolveReference } from "./module-references.ts";
import { noteHydratedFunction } from "../closure/hydrated-functions.ts";
import { GENERATED_NAMES } from "../closure/generated-names.ts";
import { instantiateModules } from "./function-hydrator.ts";
import type { FunctionTemplate, HydratedModules } from "./function-hydrator.ts";
import {
  EXTENSION_FROZEN,
  EXTENSION_NOT_EXTENSIBLE,
  EXTENSION_PROTOTYPE,
  EXTENSION_SEALED,
  NodeKind,
  PROPERTY_ACCESSOR,
  PROPERTY_CONFIGURABLE,
  PROPERTY_ENUMERABLE,
  PROPERTY_PLAIN,
  PROPERTY_WRITABLE,
  SymbolKind,
  TAG_BIGINT,
  TAG_BITS,
  TAG_CONSTANT,
  TAG_DOUBLE,
  TAG_INTEGER,
  TAG_MASK,
  TAG_NODE,
  VIEW_TYPES,
} from "./graph-format.ts";
import type { FunctionRecord, Graph, ModuleGroup, Shape } from "./graph-format.ts";
import { indexNodes } from "./node-index.ts";
import type { NodeIndex } from "./node-index.ts";
import { privateAccessOf } from "./private-access.ts";
import { makePrivateInstance, notePrivateInstances, privateChain } from "./private-instances.ts";

/** What the hydrator has to ask of the serializer that it works for. */
export interface HydrationEnvironment {
  /** The runtime object of a descriptor. */
  revive(descriptorIndex: number): object;
  /** The function or class of a code unit, by index into the list that came with the graph. */
  code(unitIndex: number): Function;
  /** The copy of a class that this process has already. */
  knownClass(unitId: string): Function | undefined;
  noteClass(unitId: string, type: Function): void;
}

const CONSTANTS = [undefined, null, true, false, undefined];

export function hydrate(graph: Graph, environment: HydrationEnvironment): unknown {
  return new Hydration(graph, environment).run();
}

/**
 * Rebuilds the objects of a graph. First every object is made, empty; then all are filled, so that cycles need no care.
 * Classes are the exception: the class that one extends must be there before, and instances only come after. (Nothing
 * else of a definition runs: see class-edits.ts.) What cannot be made or filled yet waits until its classes are defined.
 */
class Hydration {
  readonly #graph: Graph;
  readonly #words: Int32Array;
  readonly #index: NodeIndex;
  readonly #environment: HydrationEnvironment;
  readonly #nodes: unknown[];
  readonly #isMade: Uint8Array;
  readonly #isFilled: Uint8Array;
  readonly #modules: HydratedModules;
  /** What to do as soon as a node is made. */
  readonly #waiting = new Map<number, ((value: unknown) => void)[]>();
  readonly #toRestrict: { object: object; flags: number }[] = [];
  readonly #methodHomes = new Map<number, object>();
  readonly #privateChains = new Map<object, Function[]>();
  readonly #unsafeKeys = new Map<Shape, readonly boolean[]>();

  constructor(graph: Graph, environment: HydrationEnvironment) {
    this.#graph = graph;
    this.#words = graph.words;
    this.#environment = environment;
    this.#index = indexNodes(graph);
    this.#nodes = new Array(graph.nodeCount);
    this.#isMade = new Uint8Array(graph.nodeCount);
    this.#isFilled = new Uint8Array(graph.nodeCount);
    this.#modules =
      graph.functions.length === 0 ? { templates: [], moduleSetters: [], scopeSetters: [] } : instantiateModules(graph);
  }

  run(): unknown {
    const { nodeCount } = this.#graph;
    const { stackTraceLimit } = Error;
    // Errors are made by the thousand here, and their stacks are replaced at once.
    Error.stackTraceLimit = 0;
    try {
      let missing = 0;
      for (let id = 0; id < nodeCount; id++) if (!this.#make(id)) missing++;
      for (let id = 0; id < nodeCount; id++) this.#tryFill(id);
      if (missing > 0) this.#defineClasses();
      for (const { object, flags } of this.#toRestrict) restrict(object, flags);
    } finally {
      Error.stackTraceLimit = stackTraceLimit;
    }
    return this.#value(this.#graph.root);
  }

  #defineClasses(): void {
    const { nodeCount } = this.#graph;
    for (let id = 0; id < nodeCount; id++) {
      if (this.#index.kindOf(id) !== NodeKind.function) continue;
      if (this.#recordAt(this.#index.contentOf(id)).kind === "class") this.#defineClass(id);
    }
    this.#advance();
    for (let id = 0; id < nodeCount; id++) {
      if (this.#isMade[id] === 0) throw new Error(`Node ${id} of a graph depends on itself before it can exist`);
      this.#tryFill(id);
    }
  }

  /** Makes and fills what the classes have made possible, until there is nothing more. */
  #advance(): void {
    const { nodeCount } = this.#graph;
    for (let progress = true; progress; ) {
      progress = false;
      for (let id = 0; id < nodeCount; id++) {
        if (this.#isMade[id] === 0 && this.#make(id)) progress = true;
      }
      for (let id = 0; id < nodeCount; id++) this.#tryFill(id);
    }
  }

  #defineClass(id: number): void {
    if (this.#isMade[id] === 1) return;
    const at = this.#index.contentOf(id);
    const record = this.#recordAt(at);
    const template = this.#templateAt(at);
    record.slots.forEach((slot, position) => {
      if (slot.to !== "heritage") return;
      const cell = this.#words[at + 2 + position] as number;
      const parent = cell >> TAG_BITS;
      if (!this.#canUse(cell)) this.#defineClass(parent);
      template.set[GENERATED_NAMES.heritage]?.(this.#value(cell));
    });
    this.#setCaptures(at, record, template);
    const type = template.make() as Function;
    if (record.privateInstances !== null) notePrivateInstances(type, record.privateInstances);
    if (record.unitId !== null) this.#environment.noteClass(record.unitId, type);
    nameFunction(type, record.name);
    const group = this.#groupOf(record);
    noteHydratedFunction(type, { record, group, capturedThis: undefined, capturedArguments: [], home: undefined });
    this.#made(id, type);
    this.#fill(id);
    this.#isFilled[id] = 1;
  }

  #made(id: number, value: unknown): true {
    this.#nodes[id] = value;
    this.#isMade[id] = 1;
    const waiting = this.#waiting.get(id);
    if (waiting !== undefined) {
      this.#waiting.delete(id);
      for (const proceed of waiting) proceed(value);
    }
    return true;
  }

  /** The value of a cell whose node is made. */
  #value(cell: number): unknown {
    const payload = cell >> TAG_BITS;
    switch (cell & TAG_MASK) {
      case TAG_NODE:
        return this.#nodes[payload];
      case TAG_INTEGER:
        return payload;
      case TAG_DOUBLE:
        return this.#graph.doubles[payload];
      case TAG_CONSTANT:
        return CONSTANTS[payload];
      case TAG_BIGINT:
        return this.#graph.bigints[payload];
      default:
        return this.#graph.strings[payload];
    }
  }

  /** Hands the value on now, or when it is made. */
  #whenMade(cell: number, proceed: (value: unknown) => void): void {
    if ((cell & TAG_MASK) !== TAG_NODE || this.#isMade[cell >> TAG_BITS] === 1) {
      proceed(this.#value(cell));
      return;
    }
    const id = cell >> TAG_BITS;
    const waiting = this.#waiting.get(id);
    if (waiting === undefined) this.#waiting.set(id, [proceed]);
    else waiting.push(proceed);
  }

  /** Whether a cell's value can be used, making it if that is possible now. */
  #canUse(cell: number): boolean {
    return (cell & TAG_MASK) !== TAG_NODE || this.#make(cell >> TAG_BITS);
  }

  /** Makes a node's object, without content. False if that has to wait for a class. */
  #make(id: number): boolean {
    if (this.#isMade[id] === 1) return true;
    const at = this.#index.contentOf(id);
    const words = this.#words;
    const word = (offset: number): number => words[at + offset] as number;
    switch (this.#index.kindOf(id)) {
      case NodeKind.shaped: {
        const shape = this.#graph.shapes[word(0)] as Shape;
        if (shape.isObjectPrototype) return this.#made(id, {});
        if (!this.#canUse(shape.prototype)) return false;
        return this.#made(id, Object.create(this.#value(shape.prototype) as object | null));
      }
      case NodeKind.array:
        return this.#made(id, new Array(word(0)));
      case NodeKind.arrayExtended:
        return this.#makeExtended(id, at + 2 + word(1), () => new Array(word(0)));
      case NodeKind.object:
        return this.#makeExtended(id, at, () => ({}));
      case NodeKind.map:
        return this.#makeExtended(id, at + 1 + word(0) * 2, () => new Map());
      case NodeKind.set:
        return this.#makeExtended(id, at + 1 + word(0), () => new Set());
      case NodeKind.date:
        return this.#makeExtended(id, at + 1, () => new Date(this.#value(word(0)) as number));
      case NodeKind.regExp:
        return this.#makeExtended(id, at + 3, () => {
          const expression = new RegExp(this.#value(word(0)) as string, this.#value(word(1)) as string);
          expression.lastIndex = this.#value(word(2)) as number;
          return expression;
        });
      case NodeKind.error:
        return this.#makeExtended(id, at + 1, () => new Error());
      case NodeKind.arrayBuffer:
        return this.#made(id, this.#buffer(word(0), this.#value(word(1)) as number | undefined));
      case NodeKind.view: {
        if (!this.#canUse(word(1))) return false;
        return this.#makeExtended(id, at + 4, () => {
          const buffer = this.#value(word(1)) as ArrayBuffer;
          const offset = this.#value(word(2)) as number;
          const length = this.#value(word(3)) as number;
          return makeView(VIEW_TYPES[word(0)] as string, buffer, offset, length);
        });
      }
      case NodeKind.boxed:
        if (!this.#canUse(word(0))) return false;
        return this.#makeExtended(id, at + 1, () => Object(this.#value(word(0))) as object);
      case NodeKind.symbol:
        return this.#made(id, makeSymbol(word(0), this.#value(word(1)) as string | undefined));
      case NodeKind.reference:
        return this.#made(id, resolveReference(this.#graph.references[word(0)] as Graph["references"][number]));
      case NodeKind.runtimeObject:
        return this.#made(id, this.#environment.revive(word(0)));
      case NodeKind.codeUnit:
        return this.#made(id, this.#environment.code(word(0)));
      case NodeKind.prototypeOf:
        return this.#canUse(word(0)) && this.#made(id, (this.#value(word(0)) as Function).prototype);
      case NodeKind.boundFunction: {
        const cells = [word(0), word(1), ...words.subarray(at + 3, at + 3 + word(2))];
        if (!cells.every((cell) => this.#canUse(cell))) return false;
        const [target, boundThis, ...boundArguments] = cells.map((cell) => this.#value(cell));
        return this.#made(id, Function.prototype.bind.call(target as () => unknown, boundThis, ...boundArguments));
      }
      case NodeKind.methodOf: {
        if (!this.#canUse(word(0)) || !this.#canUse(word(1))) return false;
        const holder = this.#value(word(0)) as object;
        const descriptor = Object.getOwnPropertyDescriptor(holder, this.#value(word(1)) as PropertyKey);
        return this.#made(id, [descriptor?.value, descriptor?.get, descriptor?.set][word(2)]);
      }
      case NodeKind.function:
        return this.#makeFunction(id, at);
      case NodeKind.url:
        return this.#made(
          id,
          this.#value(word(0)) === "URL"
            ? new URL(this.#value(word(1)) as string)
            : new URLSearchParams(this.#value(word(1)) as string),
        );
      default: {
        const cells = Array.from(words.subarray(at + 1, at + 1 + word(0)));
        return this.#made(id, argumentsObject(cells.length));
      }
    }
  }

  #makeExtended(id: number, extensionAt: number, makeNative: () => object): boolean {
    const flags = this.#words[extensionAt] as number;
    if ((flags & EXTENSION_PROTOTYPE) === 0) return this.#made(id, makeNative());
    const cell = this.#words[extensionAt + 1] as number;
    if (!this.#canUse(cell)) return false;
    const prototype = this.#value(cell) as object | null;
    const chain = prototype === null ? [] : this.#privateChainOf(prototype);
    if (chain.length > 0) return this.#made(id, makePrivateInstance(chain, prototype as object, makeNative));
    const object = makeNative();
    Object.setPrototypeOf(object, prototype);
    return this.#made(id, object);
  }

  #privateChainOf(prototype: object): Function[] {
    let chain = this.#privateChains.get(prototype);
    if (chain === undefined) {
      chain = privateChain(prototype);
      this.#privateChains.set(prototype, chain);
    }
    return chain;
  }

  #makeFunction(id: number, at: number): boolean {
    const record = this.#recordAt(at);
    if (record.kind === "class") {
      const known = record.unitId === null ? undefined : this.#environment.knownClass(record.unitId);
      if (known === undefined) return false;
      // Its own properties are those that it has here by now.
      this.#isFilled[id] = 1;
      return this.#made(id, known);
    }
    let capturedThis: unknown;
    let capturedArguments: unknown[] = [];
    for (let position = 0; position < record.slots.length; position++) {
      const cell = this.#words[at + 2 + position] as number;
      const { to } = record.slots[position] as FunctionRecord["slots"][number];
      if (to === "this") {
        if (!this.#canUse(cell)) return false;
        capturedThis = this.#value(cell);
      } else if (to === "arguments") {
        const cells = this.#argumentCells(cell);
        if (!cells.every((item) => this.#canUse(item))) return false;
        capturedArguments = cells.map((item) => this.#value(item));
      }
    }
    const made = this.#templateAt(at).make.apply(capturedThis, capturedArguments);
    let fn = made as Function;
    let home: object | undefined;
    if (record.form !== "expression") {
      home = record.form === "classMember" ? ((made as Function).prototype as object) : (made as object);
      this.#methodHomes.set(id, home as object);
      const descriptor = Object.getOwnPropertyDescriptor(home as object, "m");
      fn = (record.kind === "get" || record.kind === "set" ? descriptor?.[record.kind] : descriptor?.value) as Function;
    }
    nameFunction(fn, record.name);
    noteHydratedFunction(fn, { record, group: this.#groupOf(record), capturedThis, capturedArguments, home });
    return this.#made(id, fn);
  }

  #argumentCells(cell: number): number[] {
    const at = this.#index.contentOf(cell >> TAG_BITS);
    return Array.from(this.#words.subarray(at + 1, at + 1 + (this.#words[at] as number)));
  }

  #tryFill(id: number): void {
    if (this.#isFilled[id] === 1 || this.#isMade[id] === 0) return;
    if (this.#fill(id)) this.#isFilled[id] = 1;
  }

  /** Gives a made object its content. False if it has to wait as a whole. */
  #fill(id: number): boolean {
    const at = this.#index.contentOf(id);
    const words = this.#words;
    switch (this.#index.kindOf(id)) {
      case NodeKind.shaped:
        this.#fillShaped(this.#nodes[id] as Record<string, unknown>, at);
        return true;
      case NodeKind.array:
        this.#fillArray(this.#nodes[id] as unknown[], at + 1, words[at] as number);
        return true;
      case NodeKind.arrayExtended: {
        const count = words[at + 1] as number;
        this.#fillArray(this.#nodes[id] as unknown[], at + 2, count);
        this.#fillExtension(id, at + 2 + count);
        return true;
      }
      case NodeKind.object:
        this.#fillExtension(id, at);
        return true;
      case NodeKind.map: {
        const end = at + 1 + (words[at] as number) * 2;
        // Entries have an order: with one of them missing, all wait.
        for (let position = at + 1; position < end; position++) if (!this.#canUse(words[position] as number)) return false;
        const map = this.#nodes[id] as Map<unknown, unknown>;
        for (let position = at + 1; position < end; position += 2) {
          Map.prototype.set.call(map, this.#value(words[position] as number), this.#value(words[position + 1] as number));
        }
        this.#fillExtension(id, end);
        return true;
      }
      case NodeKind.set: {
        const end = at + 1 + (words[at] as number);
        for (let position = at + 1; position < end; position++) if (!this.#canUse(words[position] as number)) return false;
        const set = this.#nodes[id] as Set<unknown>;
        for (let position = at + 1; position < end; position++) Set.prototype.add.call(set, this.#value(words[position] as number));
        this.#fillExtension(id, end);
        return true;
      }
      case NodeKind.error: {
        const error = this.#nodes[id] as Error;
        Object.defineProperty(error, "stack", {
          value: this.#value(words[at] as number),
          writable: true,
          enumerable: false,
          configurable: true,
        });
        this.#fillExtension(id, at + 1);
        return true;
      }
      case NodeKind.date:
      case NodeKind.boxed:
        this.#fillExtension(id, at + 1);
        return true;
      case NodeKind.regExp:
        this.#fillExtension(id, at + 3);
        return true;
      case NodeKind.view:
        this.#fillExtension(id, at + 4);
        return true;
      case NodeKind.boundFunction:
        this.#fillExtension(id, at + 3 + (words[at + 2] as number));
        return true;
      case NodeKind.function:
        this.#fillFunction(id, at);
        return true;
      case NodeKind.argumentsObject:
        this.#fillArray(this.#nodes[id] as unknown[], at + 1, words[at] as number);
        return true;
      default:
        return true;
    }
  }

  #fillShaped(object: Record<string, unknown>, at: number): void {
    const shape = this.#graph.shapes[this.#words[at] as number] as Shape;
    const { keys } = shape;
    let unsafe = this.#unsafeKeys.get(shape);
    if (unsafe === undefined) {
      // A setter or a read-only property further up the prototype chain would get in the way of an assignment.
      const prototype = Object.getPrototypeOf(object) as object | null;
      unsafe = keys.map((key) => prototype !== null && key in prototype);
      this.#unsafeKeys.set(shape, unsafe);
    }
    for (let index = 0; index < keys.length; index++) {
      const cell = this.#words[at + 1 + index] as number;
      const key = keys[index] as string;
      const isMade = (cell & TAG_MASK) !== TAG_NODE || this.#isMade[cell >> TAG_BITS] === 1;
      if (isMade && unsafe[index] === false) {
        object[key] = this.#value(cell);
      } else {
        this.#define(object, key, PROPERTY_PLAIN, cell);
      }
    }
  }

  #fillArray(array: unknown[], start: number, count: number): void {
    for (let index = 0; index < count; index++) {
      const cell = this.#words[start + index] as number;
      const tag = cell & TAG_MASK;
      if (tag === TAG_NODE && this.#isMade[cell >> TAG_BITS] === 0) {
        this.#whenMade(cell, (value) => {
          array[index] = value;
        });
      } else if (tag !== TAG_CONSTANT || cell >> TAG_BITS !== HOLE) {
        array[index] = this.#value(cell);
      }
    }
  }

  #fillFunction(id: number, at: number): void {
    const record = this.#recordAt(at);
    const fn = this.#nodes[id] as Function;
    const template = this.#templateAt(at);
    const count = this.#words[at + 1] as number;
    if (record.kind !== "class") this.#setCaptures(at, record, template);
    record.slots.forEach((slot, position) => {
      const cell = this.#words[at + 2 + position] as number;
      if (slot.to === "homePrototype") {
        this.#whenMade(cell, (value) => Object.setPrototypeOf(this.#methodHomes.get(id) as object, value as object | null));
      } else if (slot.to === "privateStatic") {
        this.#whenMade(cell, (value) => privateAccessOf(fn)?.[slot.name]?.[1](fn, value));
      }
    });
    const end = this.#fillExtension(id, at + 2 + count);
    if ((this.#words[end] as number) !== 0) this.#fillExtensionOf(fn.prototype as object, end);
  }

  /** Sets the variables that a function or class captured, as far as their values are made. */
  #setCaptures(at: number, record: FunctionRecord, template: FunctionTemplate): void {
    const moduleSetters = this.#modules.moduleSetters[record.group];
    record.slots.forEach((slot, position) => {
      const setters =
        slot.to === "local"
          ? template.set
          : slot.to === "module"
            ? moduleSetters
            : slot.to === "shared"
              ? this.#modules.scopeSetters[slot.scope]
              : undefined;
      if (setters !== undefined) this.#whenMade(this.#words[at + 2 + position] as number, (value) => setters[slot.name]?.(value));
    });
    if (record.usesImportMeta) {
      template.set[GENERATED_NAMES.importMeta]?.(importMetaOf(this.#groupOf(record).url));
    }
  }

  #fillExtension(id: number, at: number): number {
    return this.#fillExtensionOf(this.#nodes[id] as object, at);
  }

  /** Returns the position after the extension. */
  #fillExtensionOf(object: object, start: number): number {
    const words = this.#words;
    const flags = words[start] as number;
    if (flags === 0) return start + 1;
    let at = start + 1;
    if (flags & EXTENSION_PROTOTYPE) {
      // Instances have theirs since they were made; functions and prototypes get it now.
      const isDone = typeof object !== "function" && this.#canUse(words[at] as number);
      if (!isDone || Object.getPrototypeOf(object) !== this.#value(words[at] as number)) {
        this.#whenMade(words[at] as number, (value) => Object.setPrototypeOf(object, value as object | null));
      }
      at++;
    }
    const propertyCount = words[at++] as number;
    for (let index = 0; index < propertyCount; index++) {
      const key = this.#value(words[at] as number) as PropertyKey;
      const attributes = words[at + 1] as number;
      if (attributes & PROPERTY_ACCESSOR) {
        this.#defineAccessor(object, key, attributes, words[at + 2] as number, words[at + 3] as number);
        at += 4;
      } else {
        this.#define(object, key, attributes, words[at + 2] as number);
        at += 3;
      }
    }
    const privateCount = words[at++] as number;
    for (let index = 0; index < privateCount; index++, at += 3) {
      const owner = this.#value(words[at] as number) as Function;
      const name = this.#value(words[at + 1] as number) as string;
      this.#whenMade(words[at + 2] as number, (value) => privateAccessOf(owner)?.[name]?.[1](object, value));
    }
    if (flags & EXTENSION_NOT_EXTENSIBLE) this.#toRestrict.push({ object, flags });
    return at;
  }

  #define(object: object, key: PropertyKey, attributes: number, cell: number): void {
    const descriptor: PropertyDescriptor = {
      value: undefined,
      writable: (attributes & PROPERTY_WRITABLE) !== 0,
      enumerable: (attributes & PROPERTY_ENUMERABLE) !== 0,
      configurable: (attributes & PROPERTY_CONFIGURABLE) !== 0,
    };
    if ((cell & TAG_MASK) === TAG_NODE && this.#isMade[cell >> TAG_BITS] === 0) {
      // The place in the order of the keys is taken already.
      Object.defineProperty(object, key, { ...descriptor, configurable: true });
      this.#whenMade(cell, (value) => Object.defineProperty(object, key, { ...descriptor, value }));
      return;
    }
    descriptor.value = this.#value(cell);
    Object.defineProperty(object, key, descriptor);
  }

  #defineAccessor(object: object, key: PropertyKey, attributes: number, getter: number, setter: number): void {
    Object.defineProperty(object, key, {
      get: this.#value(getter) as () => unknown,
      set: this.#value(setter) as (value: unknown) => void,
      enumerable: (attributes & PROPERTY_ENUMERABLE) !== 0,
      configurable: (attributes & PROPERTY_CONFIGURABLE) !== 0,
    });
  }

  #buffer(index: number, maxByteLength: number | undefined): ArrayBuffer {
    const content = this.#graph.buffers[index] as ArrayBuffer;
    if (maxByteLength === undefined) return content;
    const Resizable = ArrayBuffer as unknown as new (length: number, options: { maxByteLength: number }) => ArrayBuffer;
    const buffer = new Resizable(content.byteLength, { maxByteLength });
    new Uint8Array(buffer).set(new Uint8Array(content));
    return buffer;
  }

  #groupOf(record: FunctionRecord): ModuleGroup {
    return this.#graph.groups[record.group] as ModuleGroup;
  }

  #recordAt(at: number): FunctionRecord {
    return this.#graph.functions[this.#words[at] as number] as FunctionRecord;
  }

  #templateAt(at: number): FunctionTemplate {
    return this.#modules.templates[this.#words[at] as number] as FunctionTemplate;
  }
}

const HOLE = 4;

function nameFunction(fn: Function, name: string): void {
  const descriptor = Object.getOwnPropertyDescriptor(fn, "name");
  if (descriptor?.value === name || descriptor?.configurable === false || descriptor?.writable === true) return;
  Object.defineProperty(fn, "name", { value: name, configurable: true });
}

function makeView(type: string, buffer: ArrayBuffer, offset: number, length: number): object {
  if (type === "Buffer") return Buffer.from(buffer, offset, length);
  const View = (globalThis as unknown as Record<string, new (buffer: ArrayBuffer, offset: number, length: number) => object>)[type];
  if (View === undefined) throw new TypeError(`This version of Node has no ${type}`);
  return new View(buffer, offset, length);
}

function makeSymbol(kind: number, name: string | undefined): symbol {
  if (kind === SymbolKind.registered) return Symbol.for(name as string);
  if (kind === SymbolKind.wellKnown) return (Symbol as unknown as Record<string, symbol>)[name as string] as symbol;
  return Symbol(name);
}

function argumentsObject(length: number): object {
  return (function (..._items: unknown[]): object {
    // oxlint-disable-next-line prefer-rest-params -- this is how such an object comes into being
    return arguments;
  })(...new Array<undefined>(length));
}

function restrict(object: object, flags: number): void {
  if (flags & EXTENSION_FROZEN && !ArrayBuffer.isView(object)) Object.freeze(object);
  else if (flags & EXTENSION_SEALED) Object.seal(object);
  else Object.preventExtensions(object);
}

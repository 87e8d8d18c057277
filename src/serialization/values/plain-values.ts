import { types } from "node:util";
import { Deserializer, Serializer } from "node:v8";
import { VIEW_TYPES } from "../graph/graph-format.ts";
import { OUT_OF_BAND_BYTES_MIN, PLAIN_DEPTH_MAX, UNTRACKED_SCAN_OBJECTS_MAX } from "../limits.ts";
import { BufferLedger, bufferOf, readSegments, writeSegments } from "./buffer-ledger.ts";

/** What a scan found: whether v8's serializer is enough, and which buffers it would copy. */
interface Scan {
  ledger: BufferLedger | undefined;
  visited: Set<object> | undefined;
  objectsLeft: number;
}

/**
 * Encodes a value in v8's own format, if it holds nothing that this format would lose: class instances, functions,
 * symbols, errors, objects of the runtime. Undefined otherwise. The bytes of ArrayBuffers stay out of the format.
 */
export function encodePlain(value: unknown): { header: Uint8Array; buffers: Uint8Array[] } | undefined {
  if (ArrayBuffer.isView(value)) {
    const encoded = encodeView(value);
    if (encoded !== null) return encoded;
  }
  const scan: Scan = { ledger: undefined, visited: undefined, objectsLeft: UNTRACKED_SCAN_OBJECTS_MAX };
  let outcome = isPlain(value, scan, 0);
  if (outcome === "too many") {
    // Large: now it pays to remember what was seen. A cycle ends up here too.
    scan.ledger = undefined;
    scan.visited = new Set();
    outcome = isPlain(value, scan, 0);
  }
  if (outcome !== true) return undefined;
  try {
    return write(value, scan.ledger);
  } catch {
    // A Proxy, or something else that poses as plain: the graph encoder says what and where.
    return undefined;
  }
}

export function decodePlain(header: Uint8Array, buffers: readonly Uint8Array[], adoptBuffers: boolean): unknown {
  if (header[0] === ONE_VIEW) return decodeView(header, buffers[0] as Uint8Array, adoptBuffers);
  const deserializer = new PlainDeserializer(header);
  deserializer.readHeader();
  deserializer.segments = readSegments(deserializer, buffers, adoptBuffers);
  deserializer.segments.forEach((segment, index) => deserializer.transferArrayBuffer(index, segment));
  return deserializer.readValue();
}

/** The first byte of a header; V8's begin with 0xff. */
const ONE_VIEW = 1;
const ONE_VIEW_BYTES = 24;
/**
 * The header that is being written or read. The `buffer` of a small array is only made when it is asked for, and V8, having just been told of a
 * large array, would collect garbage at that.
 */
const oneView = new DataView(new ArrayBuffer(ONE_VIEW_BYTES));
const oneViewBytes = new Uint8Array(oneView.buffer);

/**
 * The header of a value that is one large array, which is what most large values are: without V8's machinery, whose code is seldom in the
 * processor's cache when an array arrives.
 *
 *   u8 ONE_VIEW, u8 index into VIEW_TYPES, 6 zeroes, f64 where it begins in its buffer, f64 length in elements
 *
 * Null for what V8's format is better for: a small one, or not of a built-in type.
 */
function encodeView(view: ArrayBufferView): { header: Uint8Array; buffers: Uint8Array[] } | null {
  if (view.byteLength < OUT_OF_BAND_BYTES_MIN) return null;
  const type = plainViewType(view);
  if (type < 0) return null;
  const ledger = new BufferLedger();
  const { start } = ledger.noteView(view);
  oneView.setUint8(0, ONE_VIEW);
  oneView.setUint8(1, type);
  oneView.setFloat64(8, view.byteOffset - start, true);
  oneView.setFloat64(16, lengthOf(view), true);
  return { header: oneViewBytes.slice(), buffers: ledger.contents() };
}

function decodeView(header: Uint8Array, content: Uint8Array, adoptBuffers: boolean): object {
  oneViewBytes.set(header);
  return makeView(oneView.getUint8(1), bufferOf(content, adoptBuffers), oneView.getFloat64(8, true), oneView.getFloat64(16, true));
}

type Outcome = boolean | "too many";

/** False for whatever needs the graph format. */
function isPlain(value: unknown, scan: Scan, depth: number): Outcome {
  if (typeof value !== "object") return typeof value !== "function" && typeof value !== "symbol";
  if (value === null) return true;
  if (depth > PLAIN_DEPTH_MAX) return false;
  if (scan.visited === undefined) {
    if (scan.objectsLeft-- === 0) return "too many";
  } else {
    if (scan.visited.has(value)) return true;
    scan.visited.add(value);
  }

  const prototype: unknown = Object.getPrototypeOf(value);
  if (prototype === Object.prototype) {
    for (const key in value) {
      const outcome = isPlain((value as Record<string, unknown>)[key], scan, depth + 1);
      if (outcome !== true) return outcome;
    }
    return true;
  }
  if (prototype === Array.prototype) {
    if (!Array.isArray(value)) return false;
    for (const item of value) {
      if (typeof item !== "object" && typeof item !== "function" && typeof item !== "symbol") continue;
      const outcome = isPlain(item, scan, depth + 1);
      if (outcome !== true) return outcome;
    }
    return true;
  }
  return isPlainBuiltin(value, prototype, scan, depth);
}

function isPlainBuiltin(value: object, prototype: unknown, scan: Scan, depth: number): Outcome {
  switch (prototype) {
    case Map.prototype:
      if (!types.isMap(value) || hasProperties(value)) return false;
      for (const [key, item] of value) {
        let outcome = isPlain(key, scan, depth + 1);
        if (outcome === true) outcome = isPlain(item, scan, depth + 1);
        if (outcome !== true) return outcome;
      }
      return true;
    case Set.prototype:
      if (!types.isSet(value) || hasProperties(value)) return false;
      for (const item of value) {
        const outcome = isPlain(item, scan, depth + 1);
        if (outcome !== true) return outcome;
      }
      return true;
    case Date.prototype:
      return types.isDate(value) && !hasProperties(value);
    case RegExp.prototype:
      return types.isRegExp(value) && value.lastIndex === 0;
    case ArrayBuffer.prototype:
      if (!types.isArrayBuffer(value) || (value as { resizable?: boolean }).resizable === true) return false;
      (scan.ledger ??= new BufferLedger()).noteBuffer(value);
      return true;
    case Boolean.prototype:
    case Number.prototype:
    case String.prototype:
    case BigInt.prototype:
      return types.isBoxedPrimitive(value);
    default:
      if (!ArrayBuffer.isView(value) || plainViewType(value) < 0) return false;
      (scan.ledger ??= new BufferLedger()).noteView(value);
      return true;
  }
}

function hasProperties(object: object): boolean {
  for (const _key in object) return true;
  return false;
}

const typeByPrototype = new Map<unknown, number>(
  VIEW_TYPES.flatMap((name, index): [unknown, number][] => {
    if (name === "Buffer") return [[Buffer.prototype, index]];
    const type = (globalThis as unknown as Record<string, { prototype: unknown } | undefined>)[name];
    return type === undefined ? [] : [[type.prototype, index]];
  }),
);

/** Index into VIEW_TYPES of Buffers and typed arrays; -1 for others: one of a subclass has another prototype than its type's. */
function plainViewType(view: ArrayBufferView): number {
  const type = typeByPrototype.get(Object.getPrototypeOf(view));
  if (type === undefined || !types.isArrayBuffer(view.buffer) || (view.buffer as { resizable?: boolean }).resizable === true) return -1;
  // Object.setPrototypeOf can put any prototype on any view.
  return VIEW_TYPES[type] === "Buffer" || VIEW_TYPES[type] === "DataView" || view.constructor.name === VIEW_TYPES[type] ? type : -1;
}

function write(value: unknown, ledger: BufferLedger | undefined): { header: Uint8Array; buffers: Uint8Array[] } {
  if (ledger === undefined) {
    const serializer = new Serializer();
    serializer.writeHeader();
    serializer.writeUint32(0);
    serializer.writeValue(value);
    return { header: serializer.releaseBuffer(), buffers: [] };
  }
  const serializer = new PlainSerializer(ledger);
  serializer.writeHeader();
  const buffers = writeSegments(ledger.contents(), serializer);
  ledger.forEach((buffer, index) => serializer.transferArrayBuffer(index, buffer));
  serializer.writeValue(value);
  return { header: serializer.releaseBuffer(), buffers };
}

/** Node's types leave these out. */
interface HostObjectWriter {
  _setTreatArrayBufferViewsAsHostObjects(flag: boolean): void;
}

class PlainSerializer extends Serializer {
  readonly #ledger: BufferLedger;

  constructor(ledger: BufferLedger) {
    super();
    this.#ledger = ledger;
    (this as unknown as HostObjectWriter)._setTreatArrayBufferViewsAsHostObjects(true);
  }

  /** Called by V8 for every view. */
  _writeHostObject(view: ArrayBufferView): void {
    const segment = this.#ledger.segmentOf(view.buffer as ArrayBuffer);
    this.writeUint32(typeByPrototype.get(Object.getPrototypeOf(view)) as number);
    this.writeUint32(segment.index);
    this.writeDouble(view.byteOffset - segment.start);
    this.writeDouble(lengthOf(view));
  }
}

class PlainDeserializer extends Deserializer {
  segments: ArrayBuffer[] = [];

  _readHostObject(): object {
    const type = this.readUint32();
    const buffer = this.segments[this.readUint32()] as ArrayBuffer;
    const offset = this.readDouble();
    return makeView(type, buffer, offset, this.readDouble());
  }
}

/** In elements; in bytes for a DataView. */
function lengthOf(view: ArrayBufferView): number {
  return "length" in view ? (view.length as number) : view.byteLength;
}

function makeView(type: number, buffer: ArrayBuffer, offset: number, length: number): object {
  const name = VIEW_TYPES[type] as string;
  if (name === "Buffer") return Buffer.from(buffer, offset, length);
  const View = (globalThis as unknown as Record<string, new (...parts: unknown[]) => object>)[name] as new (...parts: unknown[]) => object;
  return new View(buffer, offset, length);
}

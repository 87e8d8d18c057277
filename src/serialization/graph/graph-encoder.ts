import { types } from "node:util";
import { CapturePath } from "./capture-path.ts";
import type { Step } from "./capture-path.ts";
import { CELL_NULL, CELL_UNDEFINED, NodeKind, SymbolKind, TAG_BITS } from "./graph-format.ts";
import type { EncodedGraph, EncoderEnvironment, EncodingSession, FunctionEncoding, FunctionHolder } from "./encoding-session.ts";
import type { Reference } from "./graph-format.ts";
import { GraphWriter } from "./graph-writer.ts";
import { encodeObject } from "./object-encoder.ts";
import { BufferLedger } from "../values/buffer-ledger.ts";
import { twinWithPrototype } from "./private-twins.ts";
import { ShapeTable } from "./shape-table.ts";
import { outputStreamReference, wellKnownReference } from "./well-known-objects.ts";

/**
 * Turns a graph of objects into nodes. Breadth first, over a queue instead of a recursion: a linked list of a million
 * nodes needs no stack.
 */
export class GraphEncoder implements EncodingSession {
  readonly environment: EncoderEnvironment;
  readonly writer = new GraphWriter();
  readonly path: CapturePath;
  readonly ledger = new BufferLedger();
  readonly #shapes = new ShapeTable();
  readonly #descriptors: unknown[] = [];
  readonly #code: string[] = [];
  readonly #codeIndexes = new Map<string, number>();
  readonly #ids = new Map<unknown, number>();
  readonly #queue: (object | symbol)[] = [];
  readonly #views: { view: ArrayBufferView; offsetPosition: number }[] = [];
  /** Ids of symbols that are keys of properties: nobody asks whether the copy's are the same. */
  readonly #keys = new Set<number>();
  #functions!: FunctionEncoding;
  /** The object whose property was written last led to a function: methods and arrows may depend on it. */
  readonly holders = new Map<Function, FunctionHolder>();

  constructor(environment: EncoderEnvironment, rootLabel: string) {
    this.environment = environment;
    this.path = new CapturePath(rootLabel);
  }

  get isCode(): boolean {
    return this.#functions.isCode;
  }

  encode(root: unknown, functions: FunctionEncoding): EncodedGraph {
    this.#functions = functions;
    const rootCell = this.cell(root, -1, "");
    let next = 0;
    do {
      for (; next < this.#queue.length; next++) this.#encodeNode(next, this.#queue[next] as object | symbol);
    } while (functions.flush() || next < this.#queue.length);
    this.#finishViews();
    const { header, outOfBand } = this.writer.finish(rootCell, this.#queue.length, this.ledger.contents());
    return {
      header,
      buffers: outOfBand,
      descriptors: this.#descriptors,
      code: this.#code,
    };
  }

  cell(value: unknown, parent: number, step: Step): number {
    switch (typeof value) {
      case "object":
        if (value === null) break;
        return this.#nodeCell(value, parent, step);
      case "function":
      case "symbol":
        return this.#nodeCell(value, parent, step);
      default:
    }
    return this.writer.primitiveCell(value as string | number | boolean | bigint | undefined | null);
  }

  propertyCell(value: unknown, parent: number, key: PropertyKey, holder: object): number {
    if (typeof value === "function" && !this.holders.has(value)) this.holders.set(value, { object: holder, key });
    return this.cell(value, parent, key);
  }

  keyCell(key: string | symbol, parent: number): number {
    if (typeof key === "string") return this.writer.internedStringCell(key);
    const cell = this.cell(key, parent, { words: "symbol key" });
    this.#keys.add(cell >> TAG_BITS);
    return cell;
  }

  prototypeCell(prototype: object | null, parent: number): number {
    if (prototype === null) return CELL_NULL;
    return this.cell(twinWithPrototype(prototype)?.original ?? prototype, parent, { words: "class" });
  }

  writeShaped(id: number, object: object, prototype: object | null, keys: readonly string[]): boolean {
    return this.#shapes.write(this, id, object, prototype, keys);
  }

  anonymousNode(parent: number, step: Step): number {
    this.path.add(parent, step);
    // The queue's slot is never encoded again: the caller writes the node, before the loop arrives here.
    const id = this.#queue.push(WRITTEN_ALREADY) - 1;
    return id;
  }

  alias(object: unknown, id: number): void {
    if (isReferable(object) && !this.#ids.has(object)) this.#ids.set(object, id);
  }

  writeReference(id: number, reference: Reference): void {
    this.writer.beginNode(NodeKind.reference, id);
    this.writer.word(this.writer.references.push(reference) - 1);
  }

  writeCodeUnit(id: number, unitId: string): void {
    let index = this.#codeIndexes.get(unitId);
    if (index === undefined) {
      index = this.#code.push(unitId) - 1;
      this.#codeIndexes.set(unitId, index);
    }
    this.writer.beginNode(NodeKind.codeUnit, id);
    this.writer.word(index);
  }

  writeRuntimeObject(id: number, object: object): boolean {
    const descriptor = this.environment.runtimeObjects.describe(object);
    if (descriptor === undefined) return false;
    this.writer.beginNode(NodeKind.runtimeObject, id);
    this.writer.word(this.#descriptors.push(descriptor) - 1);
    return true;
  }

  writeKnownObject(id: number, object: object): boolean {
    const reference =
      this.environment.importedReference(object) ??
      wellKnownReference(object) ??
      (this.isCode ? outputStreamReference(object) : undefined);
    if (reference === undefined) return false;
    this.writeReference(id, reference);
    return true;
  }

  viewedBufferCell(view: ArrayBufferView, viewId: number): number {
    const buffer = view.buffer as ArrayBuffer;
    const segment = this.ledger.noteView(view);
    let id = this.#ids.get(buffer);
    if (id === undefined) {
      id = this.anonymousNode(viewId, "buffer");
      this.#ids.set(buffer, id);
      this.writer.beginNode(NodeKind.arrayBuffer, id);
      this.writer.word(segment.index);
      this.writer.word(CELL_UNDEFINED);
    }
    return id << TAG_BITS;
  }

  noteView(view: ArrayBufferView, offsetPosition: number): void {
    this.#views.push({ view, offsetPosition });
  }

  #finishViews(): void {
    for (const { view, offsetPosition } of this.#views) {
      const { start } = this.ledger.segmentOf(view.buffer as ArrayBuffer);
      this.writer.setWord(offsetPosition, this.writer.numberCell(view.byteOffset - start));
    }
  }

  fail(id: number, reason: string, cause?: unknown): never {
    throw this.path.error(id, reason, cause);
  }

  #nodeCell(value: object | symbol, parent: number, step: Step): number {
    let id = this.#ids.get(value);
    if (id === undefined) {
      id = this.#queue.push(value) - 1;
      this.#ids.set(value, id);
      this.path.add(parent, step);
    } else if (this.#views.length > 0 && types.isArrayBuffer(value)) {
      this.ledger.noteBuffer(value);
    }
    return id << TAG_BITS;
  }

  #encodeNode(id: number, value: object | symbol): void {
    if (value === WRITTEN_ALREADY) return;
    if (typeof value === "function") this.#functions.encode(id, value);
    else if (typeof value === "symbol") this.#encodeSymbol(id, value);
    else encodeObject(this, id, value);
  }

  #encodeSymbol(id: number, symbol: symbol): void {
    const { description } = symbol;
    const wellKnownName = description?.startsWith("Symbol.") ? description.slice("Symbol.".length) : undefined;
    const registeredKey = Symbol.keyFor(symbol);
    let kind: number = SymbolKind.unique;
    let name = description;
    if (wellKnownName !== undefined && (Symbol as unknown as Record<string, symbol>)[wellKnownName] === symbol) {
      kind = SymbolKind.wellKnown;
      name = wellKnownName;
    } else if (registeredKey !== undefined) {
      kind = SymbolKind.registered;
      name = registeredKey;
    }
    if (kind === SymbolKind.unique && !this.isCode && !this.#keys.has(id)) {
      this.fail(id, "A unique Symbol cannot be sent: its copy would be another symbol. Use Symbol.for(), or a string.");
    }
    this.writer.beginNode(NodeKind.symbol, id);
    this.writer.word(kind);
    this.writer.word(this.writer.primitiveCell(name));
  }
}

const WRITTEN_ALREADY = Symbol("written already");

function isReferable(value: unknown): boolean {
  return (typeof value === "object" && value !== null) || typeof value === "function";
}

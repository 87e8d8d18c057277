import { Serializer } from "node:v8";
import { writeSegments } from "../values/buffer-ledger.ts";
import {
  CELL_FALSE,
  CELL_INTEGER_MAX,
  CELL_INTEGER_MIN,
  CELL_NULL,
  CELL_TRUE,
  CELL_UNDEFINED,
  TAG_BIGINT,
  TAG_BITS,
  TAG_DOUBLE,
  TAG_INTEGER,
  TAG_STRING,
} from "./graph-format.ts";
import type { FunctionRecord, ModuleGroup, NodeKind, Reference, Shape, SharedScope } from "./graph-format.ts";

const INITIAL_WORDS = 64;

/** Collects a graph's streams and tables. Knows nothing of objects: see graph-encoder.ts. */
export class GraphWriter {
  #words = new Int32Array(INITIAL_WORDS);
  #wordCount = 0;
  #doubles = new Float64Array(8);
  #doubleCount = 0;
  readonly strings: string[] = [];
  readonly bigints: bigint[] = [];
  readonly shapes: Shape[] = [];
  readonly references: Reference[] = [];
  readonly functions: FunctionRecord[] = [];
  readonly groups: ModuleGroup[] = [];
  readonly scopes: SharedScope[] = [];
  /** Property names and other words that repeat, by text. */
  readonly #internedStrings = new Map<string, number>();

  word(value: number): void {
    if (this.#wordCount === this.#words.length) {
      const grown = new Int32Array(this.#words.length * 2);
      grown.set(this.#words);
      this.#words = grown;
    }
    this.#words[this.#wordCount++] = value;
  }

  beginNode(kind: NodeKind, id: number): void {
    this.word(kind);
    this.word(id);
  }

  /** A place for a word that is known later. */
  reserveWord(): number {
    this.word(0);
    return this.#wordCount - 1;
  }

  setWord(position: number, value: number): void {
    this.#words[position] = value;
  }

  /** A repeating string: written once. */
  internedStringCell(text: string): number {
    let cell = this.#internedStrings.get(text);
    if (cell === undefined) {
      cell = this.stringCell(text);
      this.#internedStrings.set(text, cell);
    }
    return cell;
  }

  stringCell(text: string): number {
    return ((this.strings.push(text) - 1) << TAG_BITS) | TAG_STRING;
  }

  numberCell(value: number): number {
    if (
      Number.isInteger(value) &&
      value >= CELL_INTEGER_MIN &&
      value <= CELL_INTEGER_MAX &&
      (value !== 0 || Object.is(value, 0))
    ) {
      return (value << TAG_BITS) | TAG_INTEGER;
    }
    if (this.#doubleCount === this.#doubles.length) {
      const grown = new Float64Array(this.#doubles.length * 2);
      grown.set(this.#doubles);
      this.#doubles = grown;
    }
    this.#doubles[this.#doubleCount] = value;
    return (this.#doubleCount++ << TAG_BITS) | TAG_DOUBLE;
  }

  /** The cell of a primitive other than a symbol. */
  primitiveCell(value: string | number | boolean | bigint | undefined | null): number {
    switch (typeof value) {
      case "string":
        return this.stringCell(value);
      case "number":
        return this.numberCell(value);
      case "boolean":
        return value ? CELL_TRUE : CELL_FALSE;
      case "bigint":
        return ((this.bigints.push(value) - 1) << TAG_BITS) | TAG_BIGINT;
      case "undefined":
        return CELL_UNDEFINED;
      default:
        return CELL_NULL;
    }
  }

  finish(
    root: number,
    nodeCount: number,
    contents: readonly Uint8Array[],
  ): { header: Uint8Array; outOfBand: Uint8Array[] } {
    const serializer = new Serializer();
    serializer.writeHeader();
    serializer.writeUint32(root >>> 0);
    serializer.writeUint32(nodeCount);
    serializer.writeUint32(this.#wordCount);
    serializer.writeRawBytes(new Uint8Array(this.#words.buffer, 0, this.#wordCount * 4));
    serializer.writeUint32(this.#doubleCount);
    serializer.writeRawBytes(new Uint8Array(this.#doubles.buffer, 0, this.#doubleCount * 8));
    const hasCode = this.functions.length > 0;
    serializer.writeValue([
      this.strings,
      this.bigints,
      this.shapes,
      this.references,
      ...(hasCode ? [this.functions, this.groups, this.scopes] : []),
    ]);
    const outOfBand = writeSegments(contents, serializer);
    return { header: serializer.releaseBuffer(), outOfBand };
  }
}


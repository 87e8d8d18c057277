import {
  TAG_BIGINT,
  TAG_BITS,
  TAG_CONSTANT,
  TAG_DOUBLE,
  TAG_INTEGER,
  TAG_MASK,
  TAG_NODE,
} from "./graph-format.ts";
import type { Graph } from "./graph-format.ts";

/** By payload of a cell tagged as a constant; the last is an array's hole. */
const CONSTANTS = [undefined, null, true, false, undefined];

/** The objects that a graph's nodes have become so far, and the values of cells. */
export class CellValues {
  readonly #graph: Graph;
  readonly #nodes: unknown[];
  readonly #isMade: Uint8Array;
  /** What to do as soon as a node is made. */
  readonly #waiting = new Map<number, ((value: unknown) => void)[]>();

  constructor(graph: Graph) {
    this.#graph = graph;
    this.#nodes = new Array(graph.nodeCount);
    this.#isMade = new Uint8Array(graph.nodeCount);
  }

  isMade(id: number): boolean {
    return this.#isMade[id] === 1;
  }

  node(id: number): unknown {
    return this.#nodes[id];
  }

  made(id: number, value: unknown): true {
    this.#nodes[id] = value;
    this.#isMade[id] = 1;
    if (this.#waiting.size === 0) return true;
    const waiting = this.#waiting.get(id);
    if (waiting !== undefined) {
      this.#waiting.delete(id);
      for (const proceed of waiting) proceed(value);
    }
    return true;
  }

  /** Whether there is a value yet. */
  isReady(cell: number): boolean {
    return (cell & TAG_MASK) !== TAG_NODE || this.#isMade[cell >> TAG_BITS] === 1;
  }

  /** The value of a cell that is ready. */
  value(cell: number): unknown {
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

  /** Hands the value on now, or when it is ready. */
  whenReady(cell: number, proceed: (value: unknown) => void): void {
    if (this.isReady(cell)) {
      proceed(this.value(cell));
      return;
    }
    const id = cell >> TAG_BITS;
    const waiting = this.#waiting.get(id);
    if (waiting === undefined) this.#waiting.set(id, [proceed]);
    else waiting.push(proceed);
  }
}

import { chunkCount } from "./remote-object.ts";

const MISSING = 0;
const WANTED = 1;
const HERE = 2;

interface Returned {
  readonly chunk: number;
  readonly insists: boolean;
}

/**
 * Which chunks of one object are here, on their way, or to be asked for. In order: receivers that begin together share what is first among them and pass it on
 * while they ask for the next. With beginnings far apart each would come to what the others have only when it is through its own part.
 */
export class PullChunks {
  readonly #states: Uint8Array;
  /** All from here on have not been asked for yet. */
  #next = 0;
  #missing: number;
  readonly #returned: Returned[] = [];

  constructor(byteLength: number) {
    this.#states = new Uint8Array(chunkCount(byteLength));
    this.#missing = this.#states.length;
  }

  isHere(chunk: number): boolean {
    return this.#states[chunk] === HERE;
  }

  get isComplete(): boolean {
    return this.#missing === 0;
  }

  /** Whether any was asked for. */
  get isBegun(): boolean {
    return this.#next > 0;
  }

  /** Whether there is one that nobody has been asked for. */
  get hasMissing(): boolean {
    return this.#next < this.#states.length || this.#returned.length > 0;
  }

  /** The next one to be asked for. Only if there is one. */
  take(): Returned {
    const next = this.#returned.pop() ?? this.#takeUnseen();
    this.#states[next.chunk] = WANTED;
    return next;
  }

  #takeUnseen(): Returned {
    return { chunk: this.#next++, insists: false };
  }

  giveBack(chunk: number, insists: boolean): void {
    this.#states[chunk] = MISSING;
    this.#returned.push({ chunk, insists });
  }

  arrived(chunk: number): void {
    this.#states[chunk] = HERE;
    this.#missing--;
  }
}

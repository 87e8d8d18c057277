import { chunkCount } from "./remote-object.ts";

const MISSING = 0;
const WANTED = 1;
const HERE = 2;

interface Returned {
  readonly chunk: number;
  readonly insists: boolean;
}

/** Which chunks of one object are here, on their way, or to be asked for. Begins somewhere and goes round, so that several receivers begin with different ones. */
export class PullChunks {
  readonly #states: Uint8Array;
  #cursor: number;
  #unseen: number;
  #missing: number;
  readonly #returned: Returned[] = [];

  constructor(byteLength: number, start: number) {
    this.#states = new Uint8Array(chunkCount(byteLength));
    this.#cursor = start % this.#states.length;
    this.#unseen = this.#states.length;
    this.#missing = this.#states.length;
  }

  isHere(chunk: number): boolean {
    return this.#states[chunk] === HERE;
  }

  get isComplete(): boolean {
    return this.#missing === 0;
  }

  /** Whether there is one that nobody has been asked for. */
  get hasMissing(): boolean {
    return this.#unseen > 0 || this.#returned.length > 0;
  }

  /** The next one to be asked for. Only if there is one. */
  take(): Returned {
    const next = this.#returned.pop() ?? this.#takeUnseen();
    this.#states[next.chunk] = WANTED;
    return next;
  }

  #takeUnseen(): Returned {
    const chunk = this.#cursor;
    this.#cursor = (chunk + 1) % this.#states.length;
    this.#unseen--;
    return { chunk, insists: false };
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

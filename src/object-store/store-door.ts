/**
 * How the threads of the service's process find the control file's memory, which is mapped once for all of them: a few shared
 * words that every thread is started with. Other processes open the file by its path.
 */
const STATUS_WORD = 0;
const ADDRESS_LOW_WORD = 1;
const ADDRESS_HIGH_WORD = 2;
const BYTES_WORD = 3;
const DOOR_WORDS = 4;
const TWO_32 = 2n ** 32n;

const CLOSED = 0;
const OPEN = 1;
const NO_STORE = 2;

export function createStoreDoor(): SharedArrayBuffer {
  return new SharedArrayBuffer(DOOR_WORDS * Int32Array.BYTES_PER_ELEMENT);
}

export class StoreDoor {
  readonly #words: Int32Array;

  constructor(memory: SharedArrayBuffer) {
    this.#words = new Int32Array(memory);
  }

  open(address: bigint, byteLength: number): void {
    this.#words[ADDRESS_LOW_WORD] = Number(address % TWO_32) | 0;
    this.#words[ADDRESS_HIGH_WORD] = Number(address / TWO_32) | 0;
    this.#words[BYTES_WORD] = byteLength;
    this.#tell(OPEN);
  }

  /** There is no shared memory on this machine. */
  noStore(): void {
    this.#tell(NO_STORE);
  }

  #tell(status: number): void {
    Atomics.store(this.#words, STATUS_WORD, status);
    Atomics.notify(this.#words, STATUS_WORD);
  }

  /** Sleeps until the service has said; null if there is no store, undefined if it has not said in time. */
  wait(timeoutMs: number): { readonly address: bigint; readonly byteLength: number } | null | undefined {
    Atomics.wait(this.#words, STATUS_WORD, CLOSED, timeoutMs);
    const status = Atomics.load(this.#words, STATUS_WORD);
    if (status === CLOSED) return undefined;
    if (status === NO_STORE) return null;
    const address = BigInt((this.#words[ADDRESS_HIGH_WORD] as number) >>> 0) * TWO_32 + BigInt((this.#words[ADDRESS_LOW_WORD] as number) >>> 0);
    return { address, byteLength: this.#words[BYTES_WORD] as number };
  }
}

import { ExtentTable, SLOTS_MAX } from "./extent-table.ts";

/**
 * The control file: what the service and all workers of a machine share apart from the objects themselves. Words of 32 bits:
 *
 *   header        64   what the store is like, see the constants
 *   segments     256   of each segment: pages, its address in the service's process (two words), spare
 *   folder       128   where the segments' files are, UTF-8
 *   mailboxes   4096   sixteen words for each slot: the answer to a worker that waits for memory, asleep
 *   rows               the extent table
 */
const MAGIC = 0x4d52_0001;
const HEADER_WORDS = 64;
const SEGMENT_WORDS = 4;
export const SEGMENTS_MAX = 64;
const FOLDER_WORDS = 128;
const MAILBOX_WORDS = 16;
const SEGMENTS_AT = HEADER_WORDS;
const FOLDER_AT = SEGMENTS_AT + SEGMENTS_MAX * SEGMENT_WORDS;
const MAILBOXES_AT = FOLDER_AT + FOLDER_WORDS;
const ROWS_AT = MAILBOXES_AT + SLOTS_MAX * MAILBOX_WORDS;
const WORD_BYTES = Int32Array.BYTES_PER_ELEMENT;
const TWO_32 = 2n ** 32n;

// Header words.
const MAGIC_WORD = 0;
const STATUS_WORD = 1;
const SERVICE_PID_WORD = 2;
const TICK_WORD = 3;
const ATTACH_WORD = 4;
const SEGMENT_COUNT_WORD = 5;
const CAPACITY_PAGES_WORD = 6;
const USED_PAGES_WORD = 7;
const FOLDER_LENGTH_WORD = 8;
const PRESSED_WORD = 9;
const REFUSALS_WORD = 10;
const LEFT_WORD = 11;
const PROGRESS_WORD = 12;
const SPILLING_WORD = 13;
/** Of the workers that were refused a slot last. */
const REFUSED_NONCES_AT = 32;
const REFUSED_NONCES_MAX = 32;

export const STATUS_READY = 1;
export const STATUS_UNAVAILABLE = 2;
export const STATUS_CLOSED = 3;

// Mailbox words.
const NONCE_WORD = 0;
/** An answer and the sequence number of the request that it belongs to. */
const ANSWER_WORD = 1;
const COUNT_WORD = 3;
const FIRST_ROW_WORD = 4;
const ATTACH_NUMBER_WORD = 15;
/** Extents that one answer can carry. */
export const GRANT_ROWS_MAX = 8;

export const ANSWER_NONE = 0;
export const ANSWER_AWAITED = 1;
export const ANSWER_GRANTED = 2;
export const ANSWER_FULL = 3;
export const ANSWER_DISK_FULL = 4;
const ANSWER_BITS = 3;
const ANSWER_MASK = (1 << ANSWER_BITS) - 1;
export type Answer = typeof ANSWER_NONE | typeof ANSWER_AWAITED | typeof ANSWER_GRANTED | typeof ANSWER_FULL | typeof ANSWER_DISK_FULL;

export interface ControlDescription {
  readonly servicePid: number;
  readonly capacityPages: number;
  readonly segmentPages: readonly number[];
  /** Of the segments in the service's process. */
  readonly addresses: readonly bigint[];
  readonly folder: string;
}

export class StoreControl {
  readonly table: ExtentTable;
  readonly #words: Int32Array;

  constructor(memory: ArrayBufferLike) {
    this.#words = new Int32Array(memory);
    this.table = new ExtentTable(this.#words.subarray(ROWS_AT));
  }

  static bytesFor(rows: number): number {
    return ROWS_AT * WORD_BYTES + ExtentTable.bytesFor(rows);
  }

  /** The contents of a control file that only says that there is no store. */
  static unavailable(): Uint8Array {
    const bytes = new Uint8Array(StoreControl.bytesFor(0));
    const words = new Int32Array(bytes.buffer);
    words[MAGIC_WORD] = MAGIC;
    words[STATUS_WORD] = STATUS_UNAVAILABLE;
    return bytes;
  }

  describe(description: ControlDescription): void {
    const words = this.#words;
    description.segmentPages.forEach((pages, segment) => {
      const at = SEGMENTS_AT + segment * SEGMENT_WORDS;
      const address = description.addresses[segment] as bigint;
      words[at] = pages;
      words[at + 1] = Number(address % TWO_32) | 0;
      words[at + 2] = Number(address / TWO_32) | 0;
    });
    const folder = new TextEncoder().encode(description.folder);
    new Uint8Array(words.buffer, words.byteOffset + FOLDER_AT * WORD_BYTES, FOLDER_WORDS * WORD_BYTES).set(folder);
    words[FOLDER_LENGTH_WORD] = folder.byteLength;
    words[SERVICE_PID_WORD] = description.servicePid;
    words[SEGMENT_COUNT_WORD] = description.segmentPages.length;
    words[CAPACITY_PAGES_WORD] = description.capacityPages;
    words[MAGIC_WORD] = MAGIC;
    Atomics.store(words, STATUS_WORD, STATUS_READY);
  }

  description(): ControlDescription {
    const words = this.#words;
    const segments = Array.from({ length: words[SEGMENT_COUNT_WORD] as number }, (_, segment) => SEGMENTS_AT + segment * SEGMENT_WORDS);
    const folder = new Uint8Array(words.buffer, words.byteOffset + FOLDER_AT * WORD_BYTES, words[FOLDER_LENGTH_WORD]);
    return {
      servicePid: words[SERVICE_PID_WORD] as number,
      capacityPages: words[CAPACITY_PAGES_WORD] as number,
      segmentPages: segments.map((at) => words[at] as number),
      addresses: segments.map((at) => BigInt((words[at + 2] as number) >>> 0) * TWO_32 + BigInt((words[at + 1] as number) >>> 0)),
      folder: new TextDecoder().decode(new Uint8Array(folder)),
    };
  }

  get status(): number {
    return this.#words[MAGIC_WORD] === MAGIC ? Atomics.load(this.#words, STATUS_WORD) : 0;
  }
  close(): void {
    Atomics.store(this.#words, STATUS_WORD, STATUS_CLOSED);
  }

  /** Counts uses of objects, to tell which was used last. */
  nextTick(): number {
    return Atomics.add(this.#words, TICK_WORD, 1);
  }

  get capacityPages(): number {
    return this.#words[CAPACITY_PAGES_WORD] as number;
  }
  /** For messages; exact a moment ago. */
  get usedPages(): number {
    return Atomics.load(this.#words, USED_PAGES_WORD);
  }
  noteUsage(usedPages: number, capacityPages: number): void {
    Atomics.store(this.#words, USED_PAGES_WORD, usedPages);
    this.#words[CAPACITY_PAGES_WORD] = capacityPages;
  }

  /** Whether somebody waits for memory, so that every reader that lets go should say so. */
  get isPressed(): boolean {
    return Atomics.load(this.#words, PRESSED_WORD) !== 0;
  }
  setPressed(isPressed: boolean): void {
    Atomics.store(this.#words, PRESSED_WORD, isPressed ? 1 : 0);
  }

  /** What those who wait for memory may hope for, see RoomPatience. */
  get progress(): number {
    return Atomics.load(this.#words, PROGRESS_WORD);
  }
  get isSpilling(): boolean {
    return Atomics.load(this.#words, SPILLING_WORD) !== 0;
  }
  noteProgress(progress: number, isSpilling: boolean): void {
    Atomics.store(this.#words, PROGRESS_WORD, progress);
    Atomics.store(this.#words, SPILLING_WORD, isSpilling ? 1 : 0);
  }

  /**
   * For the service and the driver of its process, which have one mapping: whoever ends its use of it last must unmap it. True for
   * that one; the other one may not look at the memory any more.
   */
  leave(): boolean {
    return Atomics.add(this.#words, LEFT_WORD, 1) > 0;
  }

  // ------------------------------------------------------------------ attaching

  /** For the service: the worker with this nonce has the slot from now on. */
  assignSlot(slot: number, nonce: number): void {
    Atomics.store(this.#words, mailbox(slot) + ANSWER_WORD, ANSWER_NONE);
    const attachNumber = Atomics.load(this.#words, ATTACH_WORD) + 1;
    this.#words[mailbox(slot) + ATTACH_NUMBER_WORD] = attachNumber;
    Atomics.store(this.#words, mailbox(slot) + NONCE_WORD, nonce);
    Atomics.store(this.#words, ATTACH_WORD, attachNumber);
  }

  /** For the service: all slots are taken. */
  refuseSlot(nonce: number): void {
    const refusals = this.#words[REFUSALS_WORD] as number;
    Atomics.store(this.#words, REFUSED_NONCES_AT + (refusals % REFUSED_NONCES_MAX), nonce);
    this.#words[REFUSALS_WORD] = (refusals + 1) % REFUSED_NONCES_MAX;
    Atomics.add(this.#words, ATTACH_WORD, 1);
  }

  isRefused(nonce: number): boolean {
    for (let index = 0; index < REFUSED_NONCES_MAX; index++) if (Atomics.load(this.#words, REFUSED_NONCES_AT + index) === nonce) return true;
    return false;
  }

  /** Different for every worker that was ever attached: what makes the ids of its objects unique. */
  attachNumber(slot: number): number {
    return this.#words[mailbox(slot) + ATTACH_NUMBER_WORD] as number;
  }

  /** For the service: the worker has ended. */
  clearSlot(slot: number): void {
    Atomics.store(this.#words, mailbox(slot) + NONCE_WORD, 0);
  }

  slotOf(nonce: number): number | undefined {
    for (let slot = 0; slot < SLOTS_MAX; slot++) if (Atomics.load(this.#words, mailbox(slot) + NONCE_WORD) === nonce) return slot;
    return undefined;
  }

  /** Changes with every worker that gets a slot or is refused one: what to sleep on. */
  get attachCount(): number {
    return Atomics.load(this.#words, ATTACH_WORD);
  }
  static get attachWordOffset(): number {
    return ATTACH_WORD * WORD_BYTES;
  }

  // ------------------------------------------------------------------ requests for memory

  /** For a worker, before it sends its request. Returns the word that it sleeps on until it changes. */
  awaitAnswer(slot: number, sequence: number): number {
    const word = answerWord(sequence, ANSWER_AWAITED);
    Atomics.store(this.#words, mailbox(slot) + ANSWER_WORD, word);
    return word;
  }

  answer(slot: number): Answer {
    return (Atomics.load(this.#words, mailbox(slot) + ANSWER_WORD) & ANSWER_MASK) as Answer;
  }

  /** For a worker that does not wait any longer; false if the answer has come just now. */
  stopAwaiting(slot: number, sequence: number): boolean {
    const word = answerWord(sequence, ANSWER_AWAITED);
    return Atomics.compareExchange(this.#words, mailbox(slot) + ANSWER_WORD, word, ANSWER_NONE) === word;
  }

  grantedRows(slot: number): number[] {
    const at = mailbox(slot);
    return Array.from({ length: this.#words[at + COUNT_WORD] as number }, (_, index) => this.#words[at + FIRST_ROW_WORD + index] as number);
  }

  /** For the service; false if nobody waits for this answer any more. */
  respond(slot: number, sequence: number, answer: Answer, rows: readonly number[]): boolean {
    const at = mailbox(slot);
    const awaited = answerWord(sequence, ANSWER_AWAITED);
    if (Atomics.load(this.#words, at + ANSWER_WORD) !== awaited) return false;
    this.#words[at + COUNT_WORD] = rows.length;
    rows.forEach((row, index) => { this.#words[at + FIRST_ROW_WORD + index] = row; });
    return Atomics.compareExchange(this.#words, at + ANSWER_WORD, awaited, answerWord(sequence, answer)) === awaited;
  }

  static answerWordOffset(slot: number): number {
    return (mailbox(slot) + ANSWER_WORD) * WORD_BYTES;
  }
}

function answerWord(sequence: number, answer: Answer): number {
  return (sequence << ANSWER_BITS) | answer;
}

function mailbox(slot: number): number {
  return MAILBOXES_AT + slot * MAILBOX_WORDS;
}

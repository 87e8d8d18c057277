import { Deque, Finalizer, SerializationError } from "../base/mod.ts";
import type { PeerMessage } from "../protocol/mod.ts";
import type { Failure, ObjectEntry } from "./object-entry.ts";
import { FAILED, PENDING } from "./object-entry.ts";
import { DESCRIBE, type ObjectRef } from "./object-ref.ts";
import type { Awaited } from "./run-scope.ts";
import type { CallStream } from "./task.ts";

/** The worker that runs the generator. */
interface StreamPeer {
  sendMessage(message: PeerMessage): boolean;
}

export interface StreamHost {
  /** A new ref of this worker's for the next value. */
  newEntry(taskSequence: number): ObjectEntry;
  refOf(entry: ObjectEntry): ObjectRef;
  hold(): () => void;
  /** The running task waits until the result is called, or it is cancelled. */
  block(reject: (reason: Error) => void, what: Awaited | null): () => void;
  /** A value's ref will never be handed out. */
  dropped(entry: ObjectEntry): void;
  /** While a generator is paused nothing will come of its call by itself: nothing to keep the process alive for. */
  paused(isPaused: boolean): void;
}

/** Told to a producer whose values are dropped: it never has to wait for room. */
const ALL_CONSUMED = Number.MAX_SAFE_INTEGER;

/**
 * The values that a generator task has yielded so far, at the owner of the call. Values are counted from the stream's
 * beginning: a generator that runs again because its worker died goes on where the first run came to.
 *
 *   open ── return() ──▶ closed: the generator is told to end          (1)
 *     └── its RefGenerator is collected ──▶ closed                     (2)
 *     └── the same, and `completed()` was asked for ──▶ dropping       (3): it runs to its end, its values are not kept
 */
export class ValueStream implements CallStream {
  readonly end: ObjectEntry;
  /** Values that may be here and not consumed before the generator pauses; null without limit. */
  readonly unconsumedMax: number | null;
  readonly #host: StreamHost;
  readonly #taskSequence: number;
  readonly #entries = new Deque<ObjectEntry>();
  #received = 0;
  #consumed = 0;
  /** What the producer was told last. */
  #acknowledged = 0;
  #isAcknowledgementScheduled = false;
  #isClosed = false;
  #isDropping = false;
  #isPaused = false;
  #isEndAskedFor = false;
  #producer: StreamPeer | null = null;
  #waiting: (() => void)[] = [];

  constructor(host: StreamHost, end: ObjectEntry, taskSequence: number, unconsumedMax: number | null) {
    this.#host = host;
    this.end = end;
    this.#taskSequence = taskSequence;
    this.unconsumedMax = unconsumedMax;
  }

  // ------------------------------------------------------------------ the producer's side

  /** The call is written into a frame for this worker; what it must know of earlier is in the four counts below. */
  sentTo(producer: StreamPeer): void {
    this.#producer = producer;
    this.#acknowledged = this.#consumed;
  }

  get received(): number {
    return this.#received;
  }
  get consumed(): number {
    return this.#consumed;
  }
  get isClosed(): boolean {
    return this.#isClosed;
  }

  /** The entry for the value that has just arrived; null when nobody wants it. */
  nextEntry(): ObjectEntry | null {
    this.#received++;
    if (this.#isClosed || this.#isDropping) return null;
    const entry = this.#host.newEntry(this.#taskSequence);
    this.#entries.push(entry);
    this.#updatePaused();
    return entry;
  }

  arrived(): void {
    for (const callback of this.#waiting.splice(0)) callback();
  }

  ended(failure: Failure | null): void {
    if (failure === null) this.end.settlePrimitive(undefined);
    else this.end.settleFailed(failure);
    this.#updatePaused();
    this.arrived();
  }

  // ------------------------------------------------------------------ the consumer's side

  take(): ObjectEntry | undefined {
    const entry = this.#entries.shift();
    if (entry === undefined) return undefined;
    this.#consumed++;
    this.#updatePaused();
    if (this.unconsumedMax !== null) this.#acknowledge(this.unconsumedMax);
    return entry;
  }

  /** At once when half of what the producer may send is used up, so that it need not pause; else once a turn. */
  #acknowledge(unconsumedMax: number): void {
    if (this.#consumed - this.#acknowledged >= unconsumedMax / 2) return this.#tellConsumed();
    if (this.#isAcknowledgementScheduled) return;
    this.#isAcknowledgementScheduled = true;
    setImmediate(() => {
      this.#isAcknowledgementScheduled = false;
      this.#tellConsumed();
    });
  }

  #tellConsumed(): void {
    if (this.end.status !== PENDING || this.#isClosed || this.#acknowledged === this.#consumed) return;
    this.#acknowledged = this.#consumed;
    this.#producer?.sendMessage({ type: "streamConsumed", taskSequence: this.#taskSequence, count: this.#consumed });
  }

  /** (1) No value is wanted any more. The generator is told; its end settles `end`. */
  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#dropValues();
    this.#updatePaused();
    if (this.end.status === PENDING) this.#producer?.sendMessage({ type: "streamClosed", taskSequence: this.#taskSequence });
    this.arrived();
  }

  /** The RefGenerator is gone, and with it every way to the values. */
  abandoned(): void {
    if (!this.#isEndAskedFor) return this.close(); // (2)
    this.#isDropping = true; // (3)
    this.#dropValues();
    this.#consumed = ALL_CONSUMED;
    this.#updatePaused();
    this.#tellConsumed();
  }

  #dropValues(): void {
    for (const entry of this.#entries.removeWhere(() => true)) this.#host.dropped(entry);
  }

  completed(): ObjectRef<void> {
    this.#isEndAskedFor = true;
    return this.#host.refOf(this.end) as ObjectRef<void>;
  }

  get hasNext(): boolean {
    return this.#entries.length > 0;
  }
  /** Whether something can be said of the next value: it is there, or will never be. */
  get isReady(): boolean {
    return this.#isClosed || this.#entries.length > 0 || this.end.status !== PENDING;
  }

  whenChanged(callback: () => void): void {
    this.#waiting.push(callback);
  }

  stopWaiting(callback: () => void): void {
    this.#waiting = this.#waiting.filter((other) => other !== callback);
  }

  get host(): StreamHost {
    return this.#host;
  }

  #updatePaused(): void {
    const isPaused = this.unconsumedMax !== null && this.#received - this.#consumed >= this.unconsumedMax && !this.#isClosed && this.end.status === PENDING;
    if (isPaused === this.#isPaused) return;
    this.#isPaused = isPaused;
    this.#host.paused(isPaused);
  }
}

const collected = new Finalizer<ValueStream>((stream) => stream.abandoned());

/** What a generator task or method returns: one ref per yielded value, available as it is yielded. */
export class RefGenerator<Y = unknown> implements AsyncIterableIterator<ObjectRef<Y>> {
  readonly #stream: ValueStream;
  #isDone = false;

  /** @internal */
  constructor(stream: ValueStream) {
    this.#stream = stream;
    collected.register(this, stream, this);
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  /** The next value's ref, as soon as it was yielded. After an error in the generator, one last ref that fails with it. */
  async next(): Promise<IteratorResult<ObjectRef<Y>>> {
    const stream = this.#stream;
    // In a loop: another call of `next` may have taken what came.
    while (!this.#isDone && !stream.isReady) {
      await changeOf(stream);
    }
    if (this.#isDone) return { done: true, value: undefined };
    const entry = stream.take();
    if (entry !== undefined) return { done: false, value: stream.host.refOf(entry) as ObjectRef<Y> };
    this.#finish();
    if (stream.end.status === FAILED) return { done: false, value: stream.host.refOf(stream.end) as ObjectRef<Y> };
    return { done: true, value: undefined };
  }

  /**
   * No further value is wanted, as after `break` in a `for await`: the generator's `finally` blocks run, its worker is free
   * for other work, and values that were not handed out are dropped. Does not wait for that; `completed()` does.
   */
  async return(): Promise<IteratorResult<ObjectRef<Y>>> {
    this.#finish();
    this.#stream.close();
    return { done: true, value: undefined };
  }

  #finish(): void {
    this.#isDone = true;
    collected.unregister(this);
  }

  /** @internal The entry that its task settles at the end. */
  static endOf(value: unknown): ObjectEntry | undefined {
    return typeof value === "object" && value !== null && #stream in value ? value.#stream.end : undefined;
  }

  /** Resolves when the generator function has returned; rejects if it threw. */
  completed(): ObjectRef<void> {
    return this.#stream.completed();
  }

  /** Whether every ref was handed out, one that fails with the generator's error included. */
  isFinished(): boolean {
    const stream = this.#stream;
    return this.#isDone || (!stream.hasNext && stream.end.status !== PENDING && stream.end.status !== FAILED);
  }

  /** Its values are counted here, where the call was made. */
  [DESCRIBE](): never {
    throw new SerializationError("an ObjectRefGenerator cannot be passed on; take refs from it with next() where the call was made, and pass those");
  }

  /** @internal For `wait`: whether `next` would answer at once. */
  isReady(): boolean {
    return this.#isDone || this.#stream.isReady;
  }
  /** @internal */
  whenSettled(callback: () => void): void {
    this.#stream.whenChanged(callback);
  }
  /** @internal */
  stopWaiting(callback: () => void): void {
    this.#stream.stopWaiting(callback);
  }
}

/** Rejects when the task that waits for it is cancelled. */
function changeOf(stream: ValueStream): Promise<void> {
  const { host } = stream;
  return new Promise<void>((resolve, reject) => {
    const finish = (): void => {
      stream.stopWaiting(changed);
      release();
      unblock();
    };
    const changed = (): void => {
      finish();
      resolve();
    };
    const release = host.hold();
    const unblock = host.block((reason) => {
      finish();
      reject(reason);
    }, { things: [stream.end], needed: 1, endsByItself: false });
    stream.whenChanged(changed);
  });
}

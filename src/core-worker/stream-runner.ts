import { SerializationError, type WorkerId } from "../base/mod.ts";
import type { Execution } from "./execution.ts";
import type { ExecutionContext } from "./execution-context.ts";
import { isAsyncIterable, isIterable, isThenable } from "./iterables.ts";
import type { StreamProducer } from "./stream-producer.ts";

/**
 * A generator that goes on for so long without a pause lets the event loop turn: otherwise its worker would not read that
 * its values were consumed, or that nobody wants them any more.
 */
const STREAM_TURN_MS_MAX = 5;

export interface StreamRunnerEnvironment {
  readonly context: ExecutionContext;
  nowMs(): number;
  /** It waits from now on, and its slot is free for others; call the result when it goes on. */
  block(execution: Execution, reject: (reason: Error) => void, what: null): () => void;
  /** The error when the value cannot be sent. */
  sendItem(execution: Execution, value: unknown): Error | null;
  sendEnd(execution: Execution): void;
  /** Makes it the outcome that this was thrown. */
  threw(execution: Execution, thrown: unknown): Promise<void> | undefined;
  /** Makes the runtime's own error its outcome. */
  refused(execution: Execution, error: Error): Promise<void> | undefined;
}

/** Runs the generators of streaming tasks and calls, value by value, as far as their owners want them. */
export class StreamRunner {
  readonly #env: StreamRunnerEnvironment;
  /** From the arrival of a call to its outcome, by its owner and its sequence there. */
  readonly #producers = new Map<WorkerId, Map<number, StreamProducer>>();

  constructor(environment: StreamRunnerEnvironment) {
    this.#env = environment;
  }

  // ------------------------------------------------------------------ what owners say

  arrived(execution: Execution): void {
    const ownerId = execution.peer.workerId;
    let ofOwner = this.#producers.get(ownerId);
    if (ofOwner === undefined) this.#producers.set(ownerId, (ofOwner = new Map()));
    ofOwner.set(execution.sequence, execution.stream as StreamProducer);
  }

  /** It has its outcome. */
  ended(execution: Execution): void {
    const ownerId = execution.peer.workerId;
    const ofOwner = this.#producers.get(ownerId);
    if (ofOwner?.delete(execution.sequence) === true && ofOwner.size === 0) this.#producers.delete(ownerId);
  }

  consumed(ownerId: WorkerId, taskSequence: number, count: number): void {
    this.#producers.get(ownerId)?.get(taskSequence)?.consumed(count);
  }

  closed(ownerId: WorkerId, taskSequence: number): void {
    this.#producers.get(ownerId)?.get(taskSequence)?.close();
  }

  ownerLost(ownerId: WorkerId): void {
    const ofOwner = this.#producers.get(ownerId);
    this.#producers.delete(ownerId);
    if (ofOwner !== undefined) for (const producer of ofOwner.values()) producer.close();
  }

  // ------------------------------------------------------------------ running

  /** Takes what the function returned to its end. Never rejects. */
  async run(execution: Execution, returned: unknown): Promise<void> {
    try {
      const items = isThenable(returned) ? await returned : returned;
      const iterator = isAsyncIterable(items) ? items[Symbol.asyncIterator]() : isIterable(items) ? items[Symbol.iterator]() : null;
      if (iterator === null) throw new SerializationError(`${execution.name}() was called with numReturns: "streaming" but did not return an iterable; make it a generator function`);
      const unsent = await this.#drive(execution, iterator, isAsyncIterable(items));
      if (unsent !== null) return await this.#env.refused(execution, unsent);
      if (execution.borrowing !== null) await execution.borrowing;
      this.#env.sendEnd(execution);
    } catch (error) {
      await this.#env.threw(execution, error);
    }
  }

  /** To its end, its owner's, or the first value that cannot be sent: then resolves with why. Rejects with what the generator threw. */
  async #drive(execution: Execution, iterator: Iterator<unknown> | AsyncIterator<unknown>, isAsync: boolean): Promise<Error | null> {
    const producer = execution.stream as StreamProducer;
    let lastTurnMs = this.#env.nowMs();
    for (;;) {
      if (!producer.hasRoom) await this.#waitForRoom(execution, producer);
      if (this.#env.nowMs() - lastTurnMs >= STREAM_TURN_MS_MAX) {
        await nextTurn();
        lastTurnMs = this.#env.nowMs();
      }
      if (producer.isClosed) {
        await this.#leave(execution, iterator, isAsync);
        return null;
      }
      // The body runs inside `next`, not where the generator was made.
      const stepping = this.#env.context.run(execution, isAsync, () => iterator.next());
      const step = isThenable(stepping) ? await stepping : stepping;
      if (step.done === true) return null;
      let { value } = step;
      if (isThenable(value)) {
        // A synchronous generator that yields promises goes on asynchronously: their code must find its task, too.
        isAsync = true;
        try {
          value = await value;
        } catch (error) {
          await this.#cleanUp(execution, iterator, isAsync);
          throw error;
        }
      }
      if (producer.isClosed || !producer.yielded()) continue;
      const unsent = this.#env.sendItem(execution, value);
      if (unsent === null) continue;
      await this.#cleanUp(execution, iterator, isAsync);
      return unsent;
    }
  }

  /** After something that went wrong outside of it: that is what counts. */
  async #cleanUp(execution: Execution, iterator: Iterator<unknown> | AsyncIterator<unknown>, isAsync: boolean): Promise<void> {
    await this.#leave(execution, iterator, isAsync).catch(() => undefined);
  }

  async #leave(execution: Execution, iterator: Iterator<unknown> | AsyncIterator<unknown>, isAsync: boolean): Promise<void> {
    if (iterator.return !== undefined) await this.#env.context.run(execution, isAsync, () => iterator.return?.());
  }

  async #waitForRoom(execution: Execution, producer: StreamProducer): Promise<void> {
    // A cancelled generator is closed, which ends this wait as well.
    const unblock = this.#env.block(execution, nothing, null);
    await new Promise<void>((resolve) => producer.whenRoom(resolve));
    unblock();
  }
}

const nothing = (): void => undefined;

function nextTurn(): Promise<void> {
  return new Promise((resolve) => { setImmediate(resolve); });
}

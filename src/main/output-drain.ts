import type { Clock, WorkerId } from "../base/mod.ts";

/** A worker that is busy with one long computation says nothing: nobody waits longer for its output. */
const DRAIN_MS_MAX = 200;

interface Drain {
  readonly waitingFor: Set<WorkerId>;
  finish(): void;
}

/**
 * Results come to a driver straight from the worker, output by way of the node: so before a driver ends, each worker is
 * asked whether all of its output has left, and answers behind it.
 */
export class OutputDrain {
  readonly #clock: Clock;
  readonly #ask: (workerId: WorkerId, drainId: number) => void;
  readonly #drains = new Map<number, Drain>();
  #nextDrain = 1;

  constructor(clock: Clock, ask: (workerId: WorkerId, drainId: number) => void) {
    this.#clock = clock;
    this.#ask = ask;
  }

  start(workerIds: Iterable<WorkerId>, then: () => void): void {
    const drainId = this.#nextDrain++;
    const waitingFor = new Set(workerIds);
    const timer = this.#clock.after(DRAIN_MS_MAX, () => drain.finish());
    const drain: Drain = {
      waitingFor,
      finish: () => {
        if (!this.#drains.delete(drainId)) return;
        timer.cancel();
        then();
      },
    };
    this.#drains.set(drainId, drain);
    for (const workerId of waitingFor) this.#ask(workerId, drainId);
    if (waitingFor.size === 0) drain.finish();
  }

  drained(workerId: WorkerId, drainId: number): void {
    const drain = this.#drains.get(drainId);
    if (drain === undefined) return;
    drain.waitingFor.delete(workerId);
    if (drain.waitingFor.size === 0) drain.finish();
  }

  workerLost(workerId: WorkerId): void {
    for (const drainId of [...this.#drains.keys()]) this.drained(workerId, drainId);
  }
}

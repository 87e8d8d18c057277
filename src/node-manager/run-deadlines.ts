import type { Clock, Timer, WorkerId } from "../base/mod.ts";
import type { FromNode, ToNode } from "../protocol/mod.ts";

/**
 * How long a task may take to end by itself after it was told that its time is over: so often it is looked whether it has. Not one
 * wait: when this process stands still for as long, it has not heard yet what has ended meanwhile.
 */
const GRACE_LOOK_EVERY_MS = 100;
const GRACE_LOOKS = 5;

export interface RunDeadlinesEnvironment {
  readonly clock: Clock;
  send(workerId: WorkerId, message: FromNode): void;
  /** Ends the worker of a task that does not end. */
  endRun(ownerId: WorkerId, workerId: WorkerId, leaseId: number, reason: string): void;
}

type Started = ToNode & { readonly type: "runStarted" };

/**
 * Time limits of runs, kept here because a worker may be busy with the very run, and its owner may be that worker.
 *
 *   started ── limit over ──▶ told: its owner has the outcome, its worker aborts it ── a task, and grace over ──▶ its worker is ended
 *
 * A run that ends, and a worker that is lost, are forgotten at any time. Calls of actors are told only: the actor lives on.
 */
export class RunDeadlines {
  readonly #env: RunDeadlinesEnvironment;
  readonly #timers = new Map<WorkerId, Map<number, Timer>>();

  constructor(environment: RunDeadlinesEnvironment) {
    this.#env = environment;
  }

  started(workerId: WorkerId, run: Started): void {
    this.#wait(workerId, run, run.timeoutMs, () => this.#isOver(workerId, run));
  }

  ended(workerId: WorkerId, runId: number): void {
    const ofWorker = this.#timers.get(workerId);
    ofWorker?.get(runId)?.cancel();
    if (ofWorker?.delete(runId) === true && ofWorker.size === 0) this.#timers.delete(workerId);
  }

  workerLost(workerId: WorkerId): void {
    for (const timer of this.#timers.get(workerId)?.values() ?? []) timer.cancel();
    this.#timers.delete(workerId);
  }

  #isOver(workerId: WorkerId, run: Started): void {
    const { ownerId, taskSequence, leaseId, name, timeoutMs } = run;
    this.#env.send(ownerId, { type: "runTimedOut", workerId, taskSequence });
    this.#env.send(workerId, { type: "stopTimedOutRun", ownerId, taskSequence });
    if (leaseId === null) return this.ended(workerId, run.runId);
    let looksLeft = GRACE_LOOKS;
    const look = (): void => {
      if (--looksLeft > 0) return this.#wait(workerId, run, GRACE_LOOK_EVERY_MS, look);
      this.ended(workerId, run.runId);
      this.#env.endRun(ownerId, workerId, leaseId, `was ended because ${name}() went on after its timeoutMs of ${timeoutMs} ms`);
    };
    this.#wait(workerId, run, GRACE_LOOK_EVERY_MS, look);
  }

  #wait(workerId: WorkerId, { runId }: Started, delayMs: number, then: () => void): void {
    let ofWorker = this.#timers.get(workerId);
    if (ofWorker === undefined) this.#timers.set(workerId, (ofWorker = new Map()));
    ofWorker.set(runId, this.#env.clock.after(delayMs, then));
  }
}

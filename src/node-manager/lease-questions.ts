import type { Clock, Timer, WorkerId } from "../base/mod.ts";
import type { FromNode } from "../protocol/mod.ts";

/** An owner that has not answered by then is busy with something else: its job's turn goes to others, who would wait for nothing. */
const ANSWER_MS_MAX = 500;

export interface LeaseQuestionsEnvironment {
  readonly clock: Clock;
  send(ownerId: WorkerId, message: FromNode & { readonly type: "leaseTaken" }): void;
  /** It has answered, or is too late. */
  settled(leaseId: number): void;
}

/** Asks owners what they want, now that a lease of theirs has ended; see `KeptTurns`. */
export class LeaseQuestions {
  readonly #env: LeaseQuestionsEnvironment;
  readonly #timers = new Map<number, Timer>();

  constructor(environment: LeaseQuestionsEnvironment) {
    this.#env = environment;
  }

  ask({ leaseId, workerId, ownerId }: { readonly leaseId: number; readonly workerId: WorkerId; readonly ownerId: WorkerId }): void {
    this.#timers.set(leaseId, this.#env.clock.after(ANSWER_MS_MAX, () => this.settled(leaseId)));
    this.#env.send(ownerId, { type: "leaseTaken", leaseId, workerId });
  }

  settled(leaseId: number): void {
    const timer = this.#timers.get(leaseId);
    if (timer === undefined) return;
    timer.cancel();
    this.#timers.delete(leaseId);
    this.#env.settled(leaseId);
  }

  stop(): void {
    for (const timer of this.#timers.values()) timer.cancel();
    this.#timers.clear();
  }
}

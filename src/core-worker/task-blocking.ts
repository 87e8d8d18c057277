import type { Execution } from "./execution.ts";
import type { HeldLease } from "./held-lease.ts";
import type { Awaited } from "./run-scope.ts";

export interface TaskBlockingEnvironment {
  /** Between its start and its outcome. */
  isRunning(execution: Execution): boolean;
  nowMs(): number;
  /** And gives back the slots that are left. */
  runQueued(lease: HeldLease<Execution>): void;
}

/** Tasks that wait, and what becomes of their slots meanwhile. */
export class TaskBlocking {
  readonly #env: TaskBlockingEnvironment;
  readonly #withBlocked = new Set<HeldLease<Execution>>();
  #isReturnScheduled = false;

  constructor(environment: TaskBlockingEnvironment) {
    this.#env = environment;
  }

  /** It waits from now on; call the result when it goes on. When it is cancelled, `reject` is called with the reason, at most once. */
  block(execution: Execution, reject: (reason: Error) => void, what: Awaited | null): () => void {
    if (!this.#env.isRunning(execution)) return nothing;
    const stopAwaiting = execution.ownScope.awaits(reject, what);
    const { lease } = execution;
    // A call of an actor has no slot to give away meanwhile.
    if (lease === null) return stopAwaiting;
    if (execution.blockedCount++ === 0) {
      execution.blockedSinceMs = this.#env.nowMs();
      lease.taskBlocked();
      this.#withBlocked.add(lease);
      this.#scheduleReturn();
    }
    return () => {
      stopAwaiting();
      if (--execution.blockedCount > 0 || !this.#env.isRunning(execution)) return;
      execution.blockedMs += this.#env.nowMs() - execution.blockedSinceMs;
      lease.taskUnblocked();
    };
  }

  /**
   * The next queued task of the lease runs on the free slot; if there is none after the turn, in which tasks for this
   * lease may still arrive from this very worker, the slot goes back to the node.
   */
  #scheduleReturn(): void {
    if (this.#isReturnScheduled) return;
    this.#isReturnScheduled = true;
    setImmediate(() => setImmediate(() => {
      this.#isReturnScheduled = false;
      const leases = [...this.#withBlocked];
      this.#withBlocked.clear();
      for (const waiting of leases) this.#env.runQueued(waiting);
    }));
  }
}

const nothing = (): void => undefined;

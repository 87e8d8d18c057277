import { Deque, type Clock, type Timer, type WorkerId } from "../base/mod.ts";
import type { LaunchedWorker } from "../clients/mod.ts";
import type { WorkerDeath } from "../protocol/mod.ts";

/** One that needs longer holds up no other: it waits for something else than processors. */
const SLOW_START_MS = 2_000;

export interface WorkerStart {
  readonly workerId: WorkerId;
  readonly start: () => LaunchedWorker;
  /** It was not needed any more before its turn had come. */
  readonly exited: (death: WorkerDeath) => void;
  /** `start` has thrown after its turn had come; before, it throws to who asked. */
  readonly failed: (error: Error) => void;
}

/**
 * Lets workers start by turns. A start is nearly all work for the processor, so that more of them at once come up no sooner; hundreds at
 * once would leave none of a machine's time to its node, which the others then take for dead.
 */
export class WorkerStarts {
  readonly #clock: Clock;
  readonly #atOnceMax: number;
  readonly #waiting = new Deque<WorkerStart>();
  /** Those that are starting, until they have, or are slow. */
  readonly #starting = new Map<WorkerId, Timer>();

  constructor(clock: Clock, atOnceMax: number) {
    this.#clock = clock;
    this.#atOnceMax = atOnceMax;
  }

  begin(worker: WorkerStart): LaunchedWorker {
    if (this.#starting.size < this.#atOnceMax) return this.#start(worker);
    let launched: LaunchedWorker | null = null;
    const waiting: WorkerStart = { ...worker, start: () => (launched = worker.start()) };
    this.#waiting.push(waiting);
    return {
      terminate: () => {
        if (launched !== null) launched.terminate();
        else if (this.#waiting.removeWhere((other) => other === waiting).length > 0) worker.exited({ reason: "was not needed any more", pid: 0, isRetryable: true });
      },
      noteReason: (reason) => launched?.noteReason(reason),
    };
  }

  #start({ workerId, start }: WorkerStart): LaunchedWorker {
    this.#starting.set(workerId, this.#clock.after(SLOW_START_MS, () => this.ended(workerId)));
    try {
      return start();
    } catch (error) {
      this.#leaves(workerId);
      throw error;
    }
  }

  #leaves(workerId: WorkerId): boolean {
    this.#starting.get(workerId)?.cancel();
    return this.#starting.delete(workerId);
  }

  /** It has started, or never will. */
  ended(workerId: WorkerId): void {
    if (!this.#leaves(workerId)) return;
    while (this.#starting.size < this.#atOnceMax) {
      const next = this.#waiting.shift();
      if (next === undefined) return;
      try {
        this.#start(next);
      } catch (error) {
        next.failed(error as Error);
      }
    }
  }

  /** Nothing starts any more. */
  stop(): void {
    for (const worker of this.#waiting.removeWhere(() => true)) worker.exited({ reason: "was not needed any more", pid: 0, isRetryable: true });
    for (const timer of this.#starting.values()) timer.cancel();
    this.#starting.clear();
  }
}

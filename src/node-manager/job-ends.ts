import { forgetOldest, type ActorId, type Clock, type JobId, type Timer, type WorkerId } from "../base/mod.ts";
import type { PoolWorker } from "./worker-pool.ts";

/** Who leaves waits for an orderly shutdown, which takes no longer. */
const WAIT_MS_MAX = 5_000;
/** Programs whose ended workers are counted. */
const COUNTED_MAX = 1_000;

export interface JobEndsEnvironment {
  readonly clock: Clock;
  workers(): Iterable<PoolWorker>;
  /** A root, of any node, that has ended. */
  isGone(rootId: WorkerId): boolean;
  isSharedHost(actorId: ActorId): boolean;
  /** Shared actors of this job have been told to end, and have not. */
  areSharedEnding(jobId: JobId): boolean;
  /** Of placement groups that are removed. */
  areBundlesEnding(): boolean;
}

interface Question {
  readonly jobId: JobId;
  readonly staying: ReadonlySet<ActorId>;
  readonly timer: Timer;
  answer(ends: number | null): void;
}

/** When what programs that have left had on this node has ended, and is given back. What their detached actors need stays. */
export class JobEnds {
  readonly #env: JobEndsEnvironment;
  readonly #questions = new Set<Question>();
  /** Of programs that were asked about: workers that have ended since. */
  readonly #ends = new Map<JobId, number>();
  #isToLook = false;

  constructor(environment: JobEndsEnvironment) {
    this.#env = environment;
  }

  /**
   * `staying`: actors of the job that live, or will, each with a worker of its own. Answers, as soon as nothing else is left, how many
   * workers of the job have ended since it was first asked; null if it takes too long.
   */
  ask(jobId: JobId, staying: readonly ActorId[], answer: (ends: number | null) => void): void {
    if (!this.#ends.has(jobId)) this.#ends.set(jobId, 0);
    forgetOldest(this.#ends, COUNTED_MAX);
    const question: Question = { jobId, staying: new Set(staying), answer, timer: this.#env.clock.after(WAIT_MS_MAX, () => {
      this.#questions.delete(question);
      answer(null);
    }) };
    this.#questions.add(question);
    this.look();
  }

  workerEnded(jobId: JobId | null): void {
    const ends = jobId === null ? undefined : this.#ends.get(jobId);
    if (ends !== undefined) this.#ends.set(jobId as JobId, ends + 1);
  }

  /** Something may have ended. Answered when this turn is over: by then the GCS has been told what has ended. */
  look(): void {
    if (this.#questions.size === 0 || this.#isToLook) return;
    this.#isToLook = true;
    queueMicrotask(() => {
      this.#isToLook = false;
      this.#answer();
    });
  }

  #answer(): void {
    for (const question of [...this.#questions]) {
      if (this.#isAnythingLeft(question)) continue;
      this.#questions.delete(question);
      question.timer.cancel();
      question.answer(this.#ends.get(question.jobId) ?? 0);
    }
  }

  #isAnythingLeft({ jobId, staying }: Question): boolean {
    if (this.#env.areBundlesEnding() || this.#env.areSharedEnding(jobId)) return true;
    for (const worker of this.#env.workers()) {
      if (worker.jobId !== jobId) continue;
      if (worker.actorId !== null && !staying.has(worker.actorId) && !this.#env.isSharedHost(worker.actorId)) return true;
      if (worker.leases.size > 0 && worker.rootId !== null && this.#env.isGone(worker.rootId)) return true;
    }
    return false;
  }

  stop(): void {
    for (const { timer } of this.#questions) timer.cancel();
  }
}

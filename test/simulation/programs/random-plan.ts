import type { Chance } from "../world/chance.ts";
import { type ActorPlan, OBJECT_BYTES_MAX, type ProgramPlan, type Step, type TaskPlan } from "./plan.ts";

export interface PlanSize {
  readonly tasksMax: number;
  readonly depthMax: number;
  /** How many tasks go to any node, by turns. */
  readonly spread: number;
  /** How many steps start a task that nobody waits for and that never returns. */
  readonly background: number;
  /** How many steps hold objects of all nodes for a while. */
  readonly held: number;
}

/** Larger than what travels in messages, or not; and so large that nodes fetch it before they give a lease. */
const OBJECT_BYTES = [10, 1_000, 5_000, 50_000];
const HUGE_OBJECTS = 0.1;
/** Of those that are held for so long: some time is needed for a node to be told to leave, and to do so. */
const HELD_BYTES = [5_000, 50_000];
const HELD_MS_MAX = 1_500;
const SLEEPS_MS = [0, 0.01, 1, 20, 300];

/** Programs that differ in everything but that they end. */
export function randomPlan(random: Chance, size: PlanSize): ProgramPlan {
  return new Planner(random, size).plan();
}

class Planner {
  readonly #random: Chance;
  readonly #size: PlanSize;
  #tasks = 0;

  constructor(random: Chance, size: PlanSize) {
    this.#random = random;
    this.#size = size;
  }

  plan(): ProgramPlan {
    const root = this.#task(0, 8, false);
    return { root, tasks: this.#tasks };
  }

  #task(depth: number, stepsMax: number, mayBeCancelled: boolean): TaskPlan {
    const random = this.#random;
    const id = ++this.#tasks;
    const steps: Step[] = [];
    const count = depth === 0 ? stepsMax : random.below(stepsMax + 1);
    for (let step = 0; step < count; step++) steps.push(this.#step(depth, mayBeCancelled));
    return { id, cpus: random.pick([1, 1, 1, 0.5, 0, 2]), maxRetries: random.pick([3, 3, 0, -1]), ...(this.#size.spread > 0 && random.chance(this.#size.spread) ? { isSpread: true } : {}), steps, fails: depth > 0 && random.chance(0.05), mayBeCancelled };
  }

  #tasksOf(depth: number, widths: readonly number[], mayBeCancelled: boolean): TaskPlan[] {
    const tasks: TaskPlan[] = [];
    for (let left = this.#random.pick(widths); left > 0 && this.#tasks < this.#size.tasksMax; left--) tasks.push(this.#task(depth + 1, 3, mayBeCancelled));
    return tasks;
  }

  #step(depth: number, mayBeCancelled: boolean): Step {
    const random = this.#random;
    if (this.#size.background > 0 && random.chance(this.#size.background)) return this.#background(depth, mayBeCancelled);
    if (depth >= this.#size.depthMax || this.#tasks >= this.#size.tasksMax || random.chance(0.3)) {
      return { do: random.pick(["sleep", "compute"] as const), ms: this.#ms() };
    }
    if (this.#size.held > 0 && random.chance(this.#size.held)) return this.#hold(depth, mayBeCancelled);
    const kind = random.below(100);
    if (kind < 34) return { do: "call", tasks: this.#tasksOf(depth, [1, 2, 4, depth === 0 ? 30 : 6], mayBeCancelled), how: random.pick(["together", "one by one", "as completed"] as const) };
    if (kind < 40) return depth === 0 && random.chance(0.5) ? this.#group() : this.#make(depth, mayBeCancelled);
    if (kind < 50) {
      const tasks = this.#tasksOf(depth, [1, 3, 5], mayBeCancelled);
      return { do: "wait", tasks, numReturns: tasks.length === 0 ? 1 : 1 + random.below(tasks.length), timeoutMs: random.pick([0, 5, 50, 1_000]) };
    }
    if (kind < 65) return { do: "put", bytes: this.#bytes(), tasks: this.#tasksOf(depth, [1, 2, 4], mayBeCancelled), isNested: random.chance(0.5) };
    if (kind < 75) return { do: "cancel", task: this.#task(depth + 1, 3, true), afterMs: this.#ms(), isForced: random.chance(0.3) };
    if (kind < 85) {
      const count = random.below(12);
      return { do: "stream", id: ++this.#tasks, cpus: random.pick([1, 0.5]), maxRetries: random.pick([3, 0]), count, taken: random.chance(0.6) ? count : random.below(count + 1), everyMs: random.pick([0, 0, 2]), backpressure: random.pick([-1, -1, 1, 3]) };
    }
    return { do: "actor", actor: this.#actor() };
  }

  /** It may start others, and wait for some before it is left alone. */
  #background(depth: number, mayBeCancelled: boolean): Step {
    const random = this.#random;
    const steps: Step[] = [{ do: "sleep", ms: this.#ms() }];
    const id = ++this.#tasks;
    while (this.#tasks < this.#size.tasksMax && random.chance(0.5)) steps.push(random.chance(0.5) ? this.#background(depth, mayBeCancelled) : { do: "call", tasks: this.#tasksOf(depth, [1, 2], mayBeCancelled), how: "together" });
    return { do: "background", task: { id, cpus: 0, maxRetries: random.pick([3, 0]), ...(random.chance(this.#size.spread) ? { isSpread: true } : {}), isEndless: true, steps, fails: false, mayBeCancelled } };
  }

  #make(depth: number, mayBeCancelled: boolean): Step {
    const random = this.#random;
    const [id, cpus, maxRetries] = [++this.#tasks, random.pick([1, 0.5]), random.pick([3, 3, 0, -1])];
    return { do: "make", id, cpus, maxRetries, bytes: this.#bytes(), links: random.pick([1, 1, 2, 4]), afterMs: this.#ms(), tasks: this.#tasksOf(depth, [1, 2, 4], mayBeCancelled) };
  }

  #hold(depth: number, mayBeCancelled: boolean): Step {
    const random = this.#random;
    const [id, cpus, maxRetries] = [++this.#tasks, random.pick([1, 0.5]), random.pick([3, 0, 0, -1])];
    const bytes = random.chance(HUGE_OBJECTS) ? OBJECT_BYTES_MAX : random.pick(HELD_BYTES);
    return { do: "hold", id, cpus, maxRetries, bytes, count: 1 + random.below(4), afterMs: random.between(0, HELD_MS_MAX), tasks: this.#tasksOf(depth, [0, 1, 2], mayBeCancelled), isNested: random.chance(0.5) };
  }

  /** Whoever waits for one holds nothing: only the program itself makes them, and what runs there starts nothing. */
  #group(): Step {
    const random = this.#random;
    const tasks = Array.from({ length: random.pick([1, 2, 5]) }, (): TaskPlan => ({ id: ++this.#tasks, cpus: random.pick([1, 0.5]), maxRetries: random.pick([3, 0, -1]), steps: [{ do: "sleep", ms: this.#ms() }], fails: random.chance(0.05), mayBeCancelled: false }));
    return { do: "group", bundles: 1 + random.below(2), strategy: random.pick(["PACK", "SPREAD", "STRICT_PACK"] as const), tasks };
  }

  #bytes(): number {
    return this.#random.chance(HUGE_OBJECTS) ? OBJECT_BYTES_MAX : this.#random.pick(OBJECT_BYTES);
  }

  #actor(): ActorPlan {
    const random = this.#random;
    const calls = (): number[] => Array.from({ length: random.below(8) }, () => random.pick([0, 0, 0, 1, 20]));
    const isShared = random.chance(0.3);
    const callers = Array.from({ length: random.pick([0, 0, 1, 3]) }, () => ({ id: ++this.#tasks, cpus: random.pick([1, 0.5, 0]), maxRetries: random.pick([3, 0]), calls: calls() }));
    const end = random.pick(["release", "kill", "terminate", "nothing"] as const);
    return {
      // Actors that hold much, or for ever, would be a program that waits for itself.
      id: ++this.#tasks, cpus: isShared || end === "nothing" ? 0 : random.pick([0, 0.01]), isShared, maxRestarts: random.pick([0, 1, -1]), maxTaskRetries: random.pick([0, 2, -1]),
      calls: calls(), callers, keptBytes: random.chance(0.4) ? random.pick(OBJECT_BYTES) : 0, end,
    };
  }

  #ms(): number {
    return this.#random.pick(SLEEPS_MS) * this.#random.between(0, 1);
  }
}

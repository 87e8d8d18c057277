import type { SeededRandom } from "../world/seeded-random.ts";
import type { ProgramPlan, Step, TaskPlan } from "./plan.ts";

export interface PlanSize {
  readonly tasksMax: number;
  readonly depthMax: number;
}

/** Programs that differ in everything but that they end. */
export function randomPlan(random: SeededRandom, size: PlanSize): ProgramPlan {
  return new Planner(random, size).plan();
}

class Planner {
  readonly #random: SeededRandom;
  readonly #size: PlanSize;
  #tasks = 0;

  constructor(random: SeededRandom, size: PlanSize) {
    this.#random = random;
    this.#size = size;
  }

  plan(): ProgramPlan {
    const root = this.#task(0, 6);
    return { root, tasks: this.#tasks };
  }

  #task(depth: number, stepsMax: number): TaskPlan {
    const random = this.#random;
    const id = ++this.#tasks;
    const steps: Step[] = [];
    const count = depth === 0 ? stepsMax : random.below(stepsMax + 1);
    for (let step = 0; step < count; step++) steps.push(this.#step(depth));
    return { id, cpus: random.pick([1, 1, 1, 0.5, 0, 2]), maxRetries: random.pick([3, 3, 0, -1]), steps };
  }

  #step(depth: number): Step {
    const random = this.#random;
    if (depth >= this.#size.depthMax || this.#tasks >= this.#size.tasksMax || random.chance(0.3)) {
      return { do: random.pick(["sleep", "compute"] as const), ms: random.pick([0, 0.01, 1, 20, 300]) * random.between(0, 1) };
    }
    const width = random.pick([1, 2, 4, depth === 0 ? 30 : 6]);
    const tasks: TaskPlan[] = [];
    for (let task = 0; task < width && this.#tasks < this.#size.tasksMax; task++) tasks.push(this.#task(depth + 1, 3));
    return { do: "call", tasks, how: random.pick(["together", "one by one", "as completed"] as const) };
  }
}

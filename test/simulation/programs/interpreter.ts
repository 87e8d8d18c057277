import { asCompleted, get, type ObjectRef } from "../../../src/api/mod.ts";
import type { SimulatedProcess } from "../world/simulated-process.ts";
import type { World } from "../world/world.ts";
import { type Step, sumOf, type TaskPlan } from "./plan.ts";
import type { UserCode } from "./user-code.ts";

/** Does what plans say, in whichever process it is called, and remembers what has run. */
export class Interpreter {
  /** Runs of each task, by id. */
  readonly runs = new Map<number, number>();
  readonly #world: World;

  constructor(world: World) {
    this.#world = world;
  }

  get #process(): SimulatedProcess {
    return this.#world.current as SimulatedProcess;
  }

  async runTask(code: UserCode, plan: TaskPlan): Promise<number> {
    this.runs.set(plan.id, (this.runs.get(plan.id) ?? 0) + 1);
    this.#world.trace.note(this.#world.nowMs, this.#process.name, () => `runs task ${plan.id}`);
    return this.interpret(code, plan);
  }

  async interpret(code: UserCode, plan: TaskPlan): Promise<number> {
    let value = plan.id;
    for (const step of plan.steps) value = sumOf(value, await this.#step(code, step));
    return value;
  }

  async #step(code: UserCode, step: Step): Promise<number[]> {
    switch (step.do) {
      case "sleep":
        await this.#sleep(step.ms);
        return [];
      case "compute":
        this.#process.spend(step.ms);
        return [];
      case "call":
        return this.#call(code, step);
    }
  }

  async #call(code: UserCode, { tasks, how }: Step & { readonly do: "call" }): Promise<number[]> {
    const refs = tasks.map((plan) => code.task.options({ numCpus: plan.cpus, maxRetries: plan.maxRetries }).remote(plan) as ObjectRef<number>);
    if (how === "together") return get(refs);
    const values: number[] = [];
    if (how === "as completed") for await (const ref of asCompleted(refs)) values.push(await get(ref));
    else for (const ref of refs) values.push(await get(ref));
    return values;
  }

  #sleep(ms: number): Promise<void> {
    const { clock } = this.#process;
    return new Promise((resolve) => void clock.after(ms, resolve));
  }
}

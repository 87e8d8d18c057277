// What the programs of the simulation are made of, as a user would write it: these functions and classes travel to workers by value.
import { remote } from "../../../src/api/mod.ts";
import type { TaskPlan } from "./plan.ts";
import type { Interpreter } from "./interpreter.ts";

/** In every process of the world: a property of what is global is not captured. */
interface WithInterpreter {
  readonly interpreter: Interpreter;
}

async function runTask(plan: TaskPlan): Promise<number> {
  return (globalThis as unknown as WithInterpreter).interpreter.runTask({ task }, plan);
}

export const task = remote(runTask);

/** What a program needs to go on elsewhere. */
export interface UserCode {
  readonly task: typeof task;
}

export const userFunctions: readonly Function[] = [runTask];

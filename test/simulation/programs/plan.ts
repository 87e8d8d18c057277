/** A program as plain data, with what must come of it. */
export interface ProgramPlan {
  readonly root: TaskPlan;
  readonly tasks: number;
}

/** What one task does, one step after the other. Its value is its id and the values of all tasks that it calls and waits for. */
export interface TaskPlan {
  readonly id: number;
  readonly cpus: number;
  /** -1 without limit. */
  readonly maxRetries: number;
  readonly steps: readonly Step[];
}

export type Step =
  /** Awaits for so long, or computes. */
  | { readonly do: "sleep" | "compute"; readonly ms: number }
  /** Calls tasks and takes their values, each at once or all together. */
  | { readonly do: "call"; readonly tasks: readonly TaskPlan[]; readonly how: "together" | "one by one" | "as completed" };

const MODULUS = 1_000_003;

/** What the task returns if all goes well. */
export function valueOf(plan: TaskPlan): number {
  return sumOf(plan.id, plan.steps.flatMap((step) => (step.do === "call" ? step.tasks.map(valueOf) : [])));
}

export function sumOf(start: number, values: readonly number[]): number {
  return values.reduce((sum, value) => (sum + value) % MODULUS, start % MODULUS);
}

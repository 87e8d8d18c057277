/** A program as plain data, with what must come of it. */
export interface ProgramPlan {
  readonly root: TaskPlan;
  readonly tasks: number;
}

/** What one task does, one step after the other. Its value is its id and the values of all that it calls and waits for. */
export interface TaskPlan {
  readonly id: number;
  readonly cpus: number;
  /** -1 without limit. */
  readonly maxRetries: number;
  /** It goes to any node, by turns. Left out if not: plans travel, and their size decides how. */
  readonly isSpread?: true;
  /** It never returns: it ends with its program. Left out as above. */
  readonly isEndless?: true;
  readonly steps: readonly Step[];
  /** It throws in the end. */
  readonly fails: boolean;
  /** It is, or is called by, a task that may be cancelled. */
  readonly mayBeCancelled: boolean;
}

/** An actor, and the calls that its creator and others make, each from a number of its own: 1, 2, 3… */
export interface ActorPlan {
  readonly id: number;
  readonly cpus: number;
  readonly isShared: boolean;
  readonly maxRestarts: number;
  readonly maxTaskRetries: number;
  /** How long each call of the creator takes. */
  readonly calls: readonly number[];
  readonly callers: readonly CallerPlan[];
  /** Of what it is given to keep, and asked for in the end; 0: nothing. */
  readonly keptBytes: number;
  readonly end: "release" | "kill" | "terminate" | "nothing";
}

/** A task that calls an actor whose handle it is given. */
export interface CallerPlan {
  readonly id: number;
  readonly cpus: number;
  readonly maxRetries: number;
  readonly calls: readonly number[];
}

export type Step =
  /** Awaits for so long, or computes. */
  | { readonly do: "sleep" | "compute"; readonly ms: number }
  /** Calls a task that is endless, and that nobody waits for. */
  | { readonly do: "background"; readonly task: TaskPlan }
  /** Calls tasks and takes their values, each at once or all together. */
  | { readonly do: "call"; readonly tasks: readonly TaskPlan[]; readonly how: "together" | "one by one" | "as completed" }
  /** Waits for some of them first, for so long at most. */
  | { readonly do: "wait"; readonly tasks: readonly TaskPlan[]; readonly numReturns: number; readonly timeoutMs: number }
  /** Gives an object to tasks, as an argument or as a ref inside of one. */
  | { readonly do: "put"; readonly bytes: number; readonly tasks: readonly TaskPlan[]; readonly isNested: boolean }
  /** Tasks that each make an object of the one before; other tasks read the last one, later. */
  | { readonly do: "make"; readonly id: number; readonly cpus: number; readonly maxRetries: number; readonly bytes: number; readonly links: number; readonly afterMs: number; readonly tasks: readonly TaskPlan[] }
  /** Objects that are made on all nodes, held for a while, and read then, here and by tasks. */
  | { readonly do: "hold"; readonly id: number; readonly cpus: number; readonly maxRetries: number; readonly bytes: number; readonly count: number; readonly afterMs: number; readonly tasks: readonly TaskPlan[]; readonly isNested: boolean }
  /** Tasks in the bundles of a placement group, in turn. */
  | { readonly do: "group"; readonly bundles: number; readonly strategy: "PACK" | "SPREAD" | "STRICT_PACK"; readonly tasks: readonly TaskPlan[] }
  | { readonly do: "cancel"; readonly task: TaskPlan; readonly afterMs: number; readonly isForced: boolean }
  | { readonly do: "stream"; readonly id: number; readonly cpus: number; readonly maxRetries: number; readonly count: number; readonly taken: number; readonly everyMs: number; readonly backpressure: number }
  | { readonly do: "actor"; readonly actor: ActorPlan };

const MODULUS = 1_000_003;
/** Of this every task that is endless has one, where there are any, and no processor: what is waited for gets along without it. */
export const BACKGROUND_RESOURCE = "background";
/** What an object that is given to a task adds to its value. */
export const OBJECT_VALUE = 17;
export const OBJECT_BYTES_MAX = 1_200_000;

/** What the task returns if all goes well. */
export function valueOf(plan: TaskPlan): number {
  return sumOf(plan.id, plan.steps.flatMap(valuesOf));
}

function valuesOf(step: Step): number[] {
  switch (step.do) {
    case "call":
    case "wait":
    case "group":
      return step.tasks.map((task) => (task.fails ? 0 : valueOf(task)));
    case "put":
    case "make":
      return step.tasks.map((task) => (task.fails ? 0 : sumOf(valueOf(task), [OBJECT_VALUE])));
    case "hold":
      return [...Array.from({ length: step.count }, () => OBJECT_VALUE), ...step.tasks.map((task) => (task.fails ? 0 : sumOf(valueOf(task), [OBJECT_VALUE])))];
    case "stream":
      return Array.from({ length: step.taken }, (_, index) => streamValue(step.id, index));
    case "actor": {
      const { calls, callers, keptBytes } = step.actor;
      return [...calls.map((_, index) => index + 1), ...callers.flatMap((caller) => caller.calls.map((_, index) => index + 1)), keptBytes > 0 ? OBJECT_VALUE : 0];
    }
    case "sleep":
    case "compute":
    case "background":
    case "cancel":
      return [];
  }
}

export function streamValue(id: number, index: number): number {
  return id * 100 + index;
}

export function sumOf(start: number, values: readonly number[]): number {
  return values.reduce((sum, value) => (sum + value) % MODULUS, start % MODULUS);
}

import { ActorDiedError, ActorUnavailableError, NodeDiedError, ObjectLostError, ObjectStoreFullError, OutOfDiskError, OwnerDiedError, RuntimeStateError, TaskCancelledError, TaskError, WorkerCrashedError } from "../../../src/api/mod.ts";
import type { SimulatedProcess } from "../world/simulated-process.ts";
import type { World } from "../world/world.ts";
import { ActorLives } from "./actor-lives.ts";

/** What a task throws because its plan says so. */
export const PLANNED_FAILURE = "as planned";

export interface Allowances {
  /** Workers and nodes may be lost. */
  readonly losses: boolean;
  /** Not only for the sake of others: such losses cost retries. */
  readonly chargedEnds: boolean;
  readonly fullStores: boolean;
  /** For the program whose code runs now: then whatever needs it fails. */
  isClusterGone(): boolean;
}

interface Invocation {
  readonly name: string;
  readonly maxRetries: number;
  readonly processes: SimulatedProcess[];
}

/** Knows what the runtime promises, and checks it while programs run and when they have ended. */
export class Oracle {
  readonly #world: World;
  readonly #allowances: Allowances;
  readonly #invocations: Invocation[] = [];
  readonly actors: ActorLives;
  /** Errors that were allowed, by their class. */
  readonly losses = new Map<string, number>();

  constructor(world: World, allowances: Allowances) {
    this.#world = world;
    this.#allowances = allowances;
    this.actors = new ActorLives(world);
  }

  get areLossesPossible(): boolean {
    return this.#allowances.losses;
  }

  // ------------------------------------------------------------------ tasks

  /** A task is called: what is returned goes with it. */
  invoked(name: string, maxRetries: number): number {
    return this.#invocations.push({ name, maxRetries, processes: [] }) - 1;
  }

  /** Which run of it this is. */
  runs(invocation: number): number {
    const process = this.#world.current as SimulatedProcess;
    const { name, processes } = this.#invocations[invocation] as Invocation;
    processes.push(process);
    this.#world.trace.note(this.#world.nowMs, process.name, () => `runs ${name} (run ${processes.length})`);
    return processes.length;
  }

  // ------------------------------------------------------------------ errors

  /** Throws what must not happen. `retries`: of what has failed. */
  lost(error: unknown, what: string, retries: number): void {
    const cause = rootOf(error);
    if (!this.#isAllowed(cause, retries)) throw new Error(`${what} failed: ${String((cause as Error).stack ?? cause)}`, { cause: error });
    const name = (cause as Error).name;
    this.losses.set(name, (this.losses.get(name) ?? 0) + 1);
    this.#world.trace.note(this.#world.nowMs, this.#world.current?.name ?? "", () => `${what} is lost: ${String(cause)}`);
  }

  #isAllowed(error: unknown, retries: number): boolean {
    const { losses, fullStores } = this.#allowances;
    if (fullStores && (error instanceof ObjectStoreFullError || error instanceof OutOfDiskError)) return true;
    if (this.isOfLostCluster(error)) return true;
    // A worker that is ended by force, to cancel what runs there, takes with it what waits there.
    if (error instanceof WorkerCrashedError && retries === 0 && error.message.includes("by force")) return true;
    if (!losses) return false;
    if (error instanceof WorkerCrashedError || error instanceof NodeDiedError) return this.#allowances.chargedEnds ? retries !== -1 : retries === 0;
    if (error instanceof ActorDiedError || error instanceof ActorUnavailableError) return this.actors.isAllowed(error);
    return error instanceof OwnerDiedError || error instanceof ObjectLostError;
  }

  isCancelled(error: unknown): boolean {
    return rootOf(error) instanceof TaskCancelledError;
  }

  isOfLostCluster(error: unknown, isGone = this.#allowances.isClusterGone()): boolean {
    return isGone && rootOf(error) instanceof RuntimeStateError;
  }

  isPlanned(error: unknown): boolean {
    return (rootOf(error) as Error).message === PLANNED_FAILURE;
  }

  // ------------------------------------------------------------------ the end

  /** Who ran something more than once had lost the worker of every run but one. */
  check(): void {
    this.actors.check();
    for (const { name, maxRetries, processes } of this.#invocations) {
      const alive = processes.filter(({ isAlive }) => isAlive);
      if (processes.length > 1 && alive.length > 1) throw new Error(`${name} has run ${processes.length} times, in ${processes.map((process) => process.name).join(", ")}`);
      // As above, by force.
      const isCalledFor = processes.slice(0, -1).every(({ isAlive, hasExited }) => !isAlive && !hasExited);
      if (!this.#allowances.losses && !isCalledFor) throw new Error(`${name} has run ${processes.length} times, and nothing was lost`);
      if (maxRetries === 0 && processes.length > 1) throw new Error(`${name} has run ${processes.length} times, in ${processes.map((process) => process.name).join(", ")}, with maxRetries 0`);
      // Workers that were ended to cancel something cost what else ran there no retry.
      const killed = processes.filter((process) => process.wasKilled && !process.isOnDrainingNode()).length;
      if (maxRetries >= 0 && killed > maxRetries + 1) throw new Error(`${name} has run in ${killed} workers that were killed, with maxRetries ${maxRetries}`);
    }
  }
}

/** What was thrown first, behind errors of tasks that only passed it on. */
function rootOf(error: unknown): unknown {
  let root = error;
  while (root instanceof TaskError && root.cause !== undefined) root = root.cause;
  return root;
}

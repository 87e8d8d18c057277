import { userCode, type Outcome } from "./user-code.ts";
import type { SimulatedCluster } from "../cluster/simulated-cluster.ts";
import type { SimulatedNode } from "../cluster/simulated-node.ts";
import type { SimulatedWorker } from "../cluster/simulated-worker.ts";
import type { World } from "../world/world.ts";
import { Interpreter } from "./interpreter.ts";
import type { Oracle } from "./oracle.ts";
import { type ProgramPlan, valueOf } from "./plan.ts";

const PROGRAM_MS_MAX = 600_000;
const COLLECT_EVERY_MS = 30_000;

export interface ProgramSetting {
  readonly plan: ProgramPlan;
  readonly afterMs: number;
  /** Where it starts then; null if that is nowhere any more. */
  where(): SimulatedNode | null;
  /** It is there, and has done nothing yet. */
  started?(driver: SimulatedWorker): void;
  /** When it leaves after its end; null: it stays. */
  readonly leavesAfterMs: number | null;
}

/** A program of the cluster, from its start until it has returned or was killed. */
export class Program {
  readonly plan: ProgramPlan;
  driver: SimulatedWorker | null = null;
  hasNoPlace = false;
  end: { readonly outcome: Outcome } | { readonly error: unknown } | null = null;

  constructor(plan: ProgramPlan) {
    this.plan = plan;
  }

  get wasKilled(): boolean {
    return this.end === null && this.driver?.process.isAlive === false;
  }

  get isOver(): boolean {
    return this.end !== null || this.hasNoPlace || this.wasKilled;
  }

  /** Its node has ended. */
  get isHomeless(): boolean {
    return this.driver?.node.process.isAlive === false;
  }
}

/** The programs that run on a cluster, at once or one after the other. */
export class Programs {
  readonly #world: World;
  readonly #cluster: SimulatedCluster;
  readonly #oracle: Oracle;
  readonly all: Program[] = [];

  constructor(world: World, cluster: SimulatedCluster, oracle: Oracle) {
    this.#world = world;
    this.#cluster = cluster;
    this.#oracle = oracle;
    world.globals["interpreter"] = new Interpreter(world, oracle);
  }

  start({ plan, afterMs, where, started, leavesAfterMs }: ProgramSetting): Program {
    const program = new Program(plan);
    this.all.push(program);
    this.#world.schedule(null, afterMs, "driver starts", () => {
      const node = where();
      if (node === null) {
        program.hasNoPlace = true;
        return;
      }
      const driver = (program.driver = this.#cluster.startDriver(node));
      started?.(driver);
      this.#world.schedule(driver.process, 0, "program", () => {
        const ended = (end: NonNullable<Program["end"]>): void => {
          program.end = end;
          if (leavesAfterMs !== null) this.#world.schedule(driver.process, leavesAfterMs, "driver leaves", () => driver.leave());
        };
        (this.#world.globals["interpreter"] as Interpreter).interpret(userCode, plan.root).then((outcome) => ended({ outcome }), (error: unknown) => ended({ error }));
      });
    });
    return program;
  }

  /** Whether the program that this job belongs to has no node any more. */
  isHomeless(jobId: string): boolean {
    return this.all.some((program) => program.driver?.core.env.jobId === jobId && program.isHomeless);
  }

  /** @throws what is wrong with what they returned. */
  async allOver(): Promise<void> {
    // A program that waits for what garbage holds goes on when that is collected.
    while (!(await this.#world.run(() => this.all.every(({ isOver }) => isOver), COLLECT_EVERY_MS))) {
      if (this.#world.nowMs > PROGRAM_MS_MAX) throw new Error(`a program has not ended after ${PROGRAM_MS_MAX / 1000} s: ${this.#describePending()}`);
      for (const call of await this.#world.collectGarbage()) call();
    }
    for (const program of this.all) this.#check(program);
  }

  #check(program: Program): void {
    const { end, plan } = program;
    if (end === null) return;
    if ("error" in end) {
      if (this.#oracle.isOfLostCluster(end.error, program.isHomeless)) return;
      throw end.error;
    }
    const { value, isDamaged } = end.outcome;
    if (!isDamaged && value !== valueOf(plan.root)) throw new Error(`the program returned ${value} instead of ${valueOf(plan.root)}`);
    // What an actor had in its memory is gone when it has moved.
    if (isDamaged && !this.#oracle.areLossesPossible && this.#oracle.actors.restarts === 0 && this.#oracle.losses.size === 0) throw new Error("the program says that something was lost, and nothing was");
  }

  /** For a program that hangs: what each worker runs, and what it waits for. */
  #describePending(): string {
    return this.#cluster.nodes().flatMap((node) => [...node.workers.values()]).map(({ process: { name }, core }) => {
      const running = Array.from(core.context.running, (execution) => `${execution.peer.workerId.slice(-4)}/${execution.sequence}`);
      const [waiting, queued, calls] = [core.submission.waiting, core.submitter.queued(), core.actors.waiting()].map((tasks) => Array.from(tasks, (task) => task.sequence));
      return `${name} runs [${running}], has tasks that wait for arguments [${waiting}], for leases [${queued}], for actors [${calls}]`;
    }).join("; ");
  }
}

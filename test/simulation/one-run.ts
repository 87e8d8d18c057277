import { Faults, type FaultMix } from "./cluster/faults.ts";
import { SimulatedCluster } from "./cluster/simulated-cluster.ts";
import type { SimulatedNode } from "./cluster/simulated-node.ts";
import type { SimulatedWorker } from "./cluster/simulated-worker.ts";
import { Interpreter } from "./programs/interpreter.ts";
import { Oracle } from "./programs/oracle.ts";
import { type ProgramPlan, valueOf } from "./programs/plan.ts";
import { randomPlan } from "./programs/random-plan.ts";
import { type Outcome, userCode } from "./programs/user-code.ts";
import { passFirstTurns, USER_CODE_URL, warmUp } from "./programs/warm-up.ts";
import { GarbageCollector } from "./world/garbage.ts";
import { World } from "./world/world.ts";

export interface RunReport {
  readonly seed: number;
  readonly events: number;
  readonly simulatedMs: number;
  readonly tasks: number;
  readonly faults: number;
  /** Actors that have started again, each time. */
  readonly restarts: number;
  /** What was lost and might be lost, by the class of the error. */
  readonly losses: readonly (readonly [name: string, count: number])[];
  readonly traceHash: string;
}

const NODES_MAX = 4;
const PLAN_SIZE = { tasksMax: 60, depthMax: 3, spread: 0 };
const CROWDED_SPREAD = 0.2;
const SMALL_STORE_BYTES = 60_000;
const LARGE_STORE_BYTES = 1e9;
const JOIN_MS_MAX = 60_000;
const PROGRAM_MS_MAX = 600_000;
const COLLECT_EVERY_MS = 30_000;
/** By then whoever was silent is gone, and what was kept for late messages too. */
const SETTLE_MS = 25_000;
const COLLECTIONS_MAX = 10;

warmUp();

/** Several seeds, each in a world of its own, that take turns in this thread. What went wrong in one stands in its place. */
export async function runSeeds(seeds: readonly number[], mix: FaultMix, readTrace: ((line: string) => void) | null = null): Promise<PromiseSettledResult<RunReport>[]> {
  await passFirstTurns();
  const collector = new GarbageCollector();
  return Promise.allSettled(seeds.map((seed) => {
    collector.join();
    return runSeed(new World(seed, collector, readTrace), mix).finally(() => collector.leave());
  }));
}

/** From start to end. @throws what went wrong. */
async function runSeed(world: World, mix: FaultMix): Promise<RunReport> {
  const random = world.random.branch();
  const faults = new Faults(world, mix);
  const cluster = new SimulatedCluster(world, {
    entryUrl: USER_CODE_URL, areChannelsLasting: faults.isCrowded, isolation: random.pick(["thread", "process"] as const), storeBytes: faults.smallStores ? SMALL_STORE_BYTES : LARGE_STORE_BYTES, disk: faults.disk,
    network: { within: { msMin: 0.02, msMax: random.pick([0.05, 0.5]) }, between: { msMin: 0.1, msMax: random.pick([0.3, 3, 30]) } },
  });
  const nodes = 1 + random.below(NODES_MAX);
  for (let node = 0; node < nodes; node++) cluster.startNode({ CPU: 2 + random.below(3) });
  if (!(await world.run(() => cluster.nodes().length === nodes, JOIN_MS_MAX))) throw new Error("the nodes do not come together");
  const oracle = new Oracle(world, { losses: faults.areLossesPossible, fullStores: faults.smallStores, isClusterGone: () => cluster.isHeadGone || !driverNode.process.isAlive });
  cluster.onActorPlaced = (actorId, process, isDraining) => oracle.actors.placed(actorId, process, isDraining);
  const planSize = { ...PLAN_SIZE, spread: faults.isCrowded ? CROWDED_SPREAD : 0 };
  const plans = [randomPlan(random, planSize)];
  let driverNode = random.pick(cluster.nodes());
  const drivers = [await runProgram(world, cluster, faults, oracle, plans[0] as ProgramPlan, driverNode)];
  // Whoever finds his program killed starts it again.
  if (drivers[0]?.process.isAlive === false && !cluster.isHeadGone) {
    plans.push(randomPlan(random, planSize));
    driverNode = random.pick(cluster.nodes());
    drivers.push(await runProgram(world, cluster, null, oracle, plans[1] as ProgramPlan, driverNode));
  }
  const driver = drivers.at(-1) as SimulatedWorker;
  await settle(world);
  oracle.check();
  if (cluster.isHeadGone && cluster.nodes().length > 0) throw new Error(`${cluster.nodes().map((node) => node.process.name).join(", ")} live on without a head`);
  for (const node of cluster.nodes()) checkNode(node);
  world.schedule(driver.process, 0, "driver leaves", () => driver.leave());
  await settle(world);
  for (const node of cluster.nodes()) {
    checkNode(node);
    if (node.isDraining) throw new Error(`${node.process.name} was to leave when it has nothing left to do, and is there`);
    if (node.store.objectCount > 0 || node.store.fileCount > 0) throw new Error(`${node.process.name} keeps ${node.store.objectCount} objects of a program that has ended`);
    for (const { process, core } of node.workers.values()) if (drivers.some((driver) => core.env.jobId === driver.core.env.jobId)) throw new Error(`${process.name} lives on, and its program has ended`);
  }
  return { seed: world.seed, events: world.trace.events, simulatedMs: world.nowMs, tasks: plans.reduce((sum, { tasks }) => sum + tasks, 0), faults: faults.count + cluster.network.frameFaultCount, restarts: oracle.actors.restarts, losses: [...oracle.losses], traceHash: world.trace.hash };
}

async function runProgram(world: World, cluster: SimulatedCluster, faults: Faults | null, oracle: Oracle, plan: ProgramPlan, node: SimulatedNode): Promise<SimulatedWorker> {
  const interpreter = new Interpreter(world, oracle);
  world.globals["interpreter"] = interpreter;
  let driver!: SimulatedWorker;
  let end: { readonly outcome: Outcome } | { readonly error: unknown } | null = null;
  world.schedule(null, 0, "driver starts", () => {
    driver = cluster.startDriver(node);
    faults?.start(cluster, driver);
    world.schedule(driver.process, 0, "program", () => {
      interpreter.interpret(userCode, plan.root).then((outcome) => { end = { outcome }; }, (error: unknown) => { end = { error }; });
    });
  });
  const isOver = (): boolean => end !== null || (driver !== undefined && !driver.process.isAlive);
  // A program that waits for what garbage holds goes on when that is collected.
  while (!(await world.run(isOver, COLLECT_EVERY_MS))) {
    if (world.nowMs > PROGRAM_MS_MAX) throw new Error(`the program has not ended after ${PROGRAM_MS_MAX / 1000} s: ${describePending(cluster)}`);
    for (const call of await world.collectGarbage()) call();
  }
  faults?.stop(cluster);
  const ended = end as { readonly outcome: Outcome } | { readonly error: unknown } | null;
  if (ended === null) return driver;
  if ("error" in ended) {
    if (oracle.isOfLostCluster(ended.error)) return driver;
    throw ended.error;
  }
  const { value, isDamaged } = ended.outcome;
  if (!isDamaged && value !== valueOf(plan.root)) throw new Error(`the program returned ${value} instead of ${valueOf(plan.root)}`);
  // What an actor had in its memory is gone when it has moved.
  if (isDamaged && !oracle.areLossesPossible && oracle.actors.restarts === 0) throw new Error("the program says that something was lost, and nothing was");
  return driver;
}

/** Until everything that garbage collection sets free has gone, too. */
async function settle(world: World): Promise<void> {
  for (let collections = 0; collections < COLLECTIONS_MAX; collections++) {
    await world.run(() => false, SETTLE_MS);
    const collected = await world.collectGarbage();
    if (collected.length === 0) return;
    for (const call of collected) call();
  }
  throw new Error(`garbage is left after ${COLLECTIONS_MAX} collections`);
}

/** Nothing is held by anybody. */
function checkNode({ nodeManager, process: { name }, record: { totals }, workers }: SimulatedNode): void {
  const { available } = nodeManager;
  for (const [resource, amount] of Object.entries(totals)) if (available[resource] !== amount) throw new Error(`${name} has ${available[resource]} of ${amount} units of ${resource} when nothing runs any more`);
  for (const { core, process } of workers.values()) {
    if (core.context.running.size > 0) throw new Error(`${process.name} still runs ${[...core.context.running].map((execution) => execution.name).join(", ")}`);
    const references = core.references.snapshot();
    if (Object.keys(references).length > 0) throw new Error(`${process.name} counts ${JSON.stringify(references)}`);
  }
}

/** For a program that hangs: what each worker runs, and what it waits for. */
function describePending(cluster: SimulatedCluster): string {
  return cluster.nodes().flatMap((node) => [...node.workers.values()]).map(({ process: { name }, core }) => {
    const running = Array.from(core.context.running, (execution) => `${execution.peer.workerId.slice(-4)}/${execution.sequence}`);
    const [waiting, queued, calls] = [core.submission.waiting, core.submitter.queued(), core.actors.waiting()].map((tasks) => Array.from(tasks, (task) => task.sequence));
    return `${name} runs [${running}], has tasks that wait for arguments [${waiting}], for leases [${queued}], for actors [${calls}]`;
  }).join("; ");
}

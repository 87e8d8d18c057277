import type { CoreWorker } from "../../src/core-worker/mod.ts";
import { Faults, type FaultMix } from "./cluster/faults.ts";
import { SimulatedCluster } from "./cluster/simulated-cluster.ts";
import type { SimulatedNode } from "./cluster/simulated-node.ts";
import type { SimulatedWorker } from "./cluster/simulated-worker.ts";
import { Oracle } from "./programs/oracle.ts";
import { Programs } from "./programs/programs.ts";
import { randomPlan } from "./programs/random-plan.ts";
import { passFirstTurns, USER_CODE_URL, warmUp } from "./programs/warm-up.ts";
import type { Chance } from "./world/chance.ts";
import { GarbageCollector } from "./world/garbage.ts";
import type { SimulatedProcess } from "./world/simulated-process.ts";
import { World } from "./world/world.ts";

export interface RunReport {
  readonly seed: number;
  readonly events: number;
  readonly simulatedMs: number;
  readonly programs: number;
  readonly tasks: number;
  readonly faults: number;
  /** Actors that have started again, each time. */
  readonly restarts: number;
  /** Objects that nodes which drained have given to others. */
  readonly moves: number;
  /** What was lost and might be lost, by the class of the error. */
  readonly losses: readonly (readonly [name: string, count: number])[];
  readonly traceHash: string;
}

const NODES_MAX = 4;
const PLAN_SIZE = { tasksMax: 60, depthMax: 3, spread: 0, background: 0, held: 0 };
const CROWDED_SPREAD = 0.2;
/** Where nodes leave. */
const HELD = 0.3;
/** Programs beside the first one, and how much they do; when they come, and how long they stay after that. */
const GUESTS = [0, 1, 1, 2];
const GUEST_PLAN_SIZE = { tasksMax: 25, depthMax: 2, spread: CROWDED_SPREAD, background: 0.15, held: 0 };
const GUEST_COMES_MS_MAX = 1_500;
const GUEST_STAYS_MS_MAX = 500;
const SMALL_STORE_BYTES = 60_000;
const LARGE_STORE_BYTES = 1e9;
const JOIN_MS_MAX = 60_000;
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
  const nodes = (faults.doNodesOnlyLeave ? 2 : 1) + random.below(NODES_MAX);
  for (let node = 0; node < nodes; node++) cluster.startNode({ CPU: 2 + random.below(3), ...faults.extraResources });
  if (!(await world.run(() => cluster.nodes().length === nodes, JOIN_MS_MAX))) throw new Error("the nodes do not come together");
  const oracle: Oracle = new Oracle(world, { losses: faults.areLossesPossible, chargedEnds: faults.areEndsCharged, fullStores: faults.smallStores, isClusterGone: () => cluster.isHeadGone || programs.isHomeless(jobOf(world.current)) });
  cluster.onActorPlaced = (actorId, process, isDraining) => oracle.actors.placed(actorId, process, isDraining);
  const programs: Programs = new Programs(world, cluster, oracle);
  const planSize = { ...PLAN_SIZE, spread: faults.isCrowded ? CROWDED_SPREAD : 0, held: faults.doNodesOnlyLeave ? HELD : 0 };
  const plan = randomPlan(random, planSize);
  const home = random.pick(cluster.nodes());
  const first = programs.start({ plan, afterMs: 0, where: () => home, started: (driver) => faults.start(cluster, driver), leavesAfterMs: null });
  if (faults.isCrowded) inviteGuests(random.branch(), cluster, programs, faults);
  await programs.allOver();
  faults.stop(cluster);
  // Whoever finds his program killed starts it again.
  if (first.wasKilled && !cluster.isHeadGone) {
    const nextPlan = randomPlan(random, planSize);
    const next = random.pick(cluster.nodes());
    programs.start({ plan: nextPlan, afterMs: 0, where: () => next, leavesAfterMs: null });
    await programs.allOver();
  }
  await settle(world);
  oracle.check();
  if (cluster.isHeadGone && cluster.nodes().length > 0) throw new Error(`${cluster.nodes().map((node) => node.process.name).join(", ")} live on without a head`);
  const present = programs.all.flatMap(({ driver }) => driver ?? []).filter(({ process }) => process.isAlive);
  for (const node of cluster.nodes()) {
    checkNode(node);
    checkWorkers(node, programs, present);
  }
  for (const driver of present) world.schedule(driver.process, 0, "driver leaves", () => driver.leave());
  await settle(world);
  for (const node of cluster.nodes()) {
    checkNode(node);
    if (node.isDraining) throw new Error(`${node.process.name} was to leave when it has nothing left to do, and is there`);
    if (node.store.objectCount > 0 || node.store.fileCount > 0) throw new Error(`${node.process.name} keeps ${node.store.objectCount} objects of a program that has ended`);
    checkWorkers(node, programs, []);
  }
  return { seed: world.seed, events: world.trace.events, simulatedMs: world.nowMs, programs: programs.all.filter(({ driver }) => driver !== null).length, tasks: programs.all.reduce((sum, { plan }) => sum + plan.tasks, 0), faults: faults.count + cluster.network.frameFaultCount, restarts: oracle.actors.restarts, moves: cluster.objectsMoved, losses: [...oracle.losses], traceHash: world.trace.hash };
}

/** Other programs that come while the first one runs, have work of their own, and leave when that is done, or are killed. */
function inviteGuests(random: Chance, cluster: SimulatedCluster, programs: Programs, faults: Faults): void {
  const where = (): SimulatedNode | null => {
    const nodes = cluster.isHeadGone ? [] : cluster.nodes().filter(({ isDraining }) => !isDraining);
    return nodes.length === 0 ? null : random.pick(nodes);
  };
  for (let guests = random.pick(GUESTS); guests > 0; guests--) {
    programs.start({ plan: randomPlan(random, GUEST_PLAN_SIZE), afterMs: random.between(0, GUEST_COMES_MS_MAX), where, started: (driver) => faults.guestStarted(driver), leavesAfterMs: random.between(0, GUEST_STAYS_MS_MAX) });
  }
}

function jobOf(process: SimulatedProcess | null): string {
  return (process?.runtime?.core as CoreWorker | undefined)?.env.jobId ?? "";
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

/** None is left of a program that has left. */
function checkWorkers(node: SimulatedNode, { all }: Programs, present: readonly SimulatedWorker[]): void {
  for (const { process, core } of node.workers.values()) {
    const isOf = ({ core: { env } }: SimulatedWorker): boolean => env.jobId === core.env.jobId;
    if (all.some(({ driver }) => driver !== null && isOf(driver)) && !present.some(isOf)) throw new Error(`${process.name} lives on, and its program has ended`);
  }
}

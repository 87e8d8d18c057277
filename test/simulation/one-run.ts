import { isDeepStrictEqual } from "node:util";
import type { NodeManager } from "../../src/node-manager/mod.ts";
import { SimulatedCluster } from "./cluster/simulated-cluster.ts";
import type { SimulatedWorker } from "./cluster/simulated-worker.ts";
import { Interpreter } from "./programs/interpreter.ts";
import { valueOf } from "./programs/plan.ts";
import { randomPlan } from "./programs/random-plan.ts";
import * as userCode from "./programs/user-code.ts";
import { USER_CODE_URL, warmUp } from "./programs/warm-up.ts";
import { World } from "./world/world.ts";

export interface RunReport {
  readonly seed: number;
  readonly events: number;
  readonly simulatedMs: number;
  readonly tasks: number;
  readonly traceHash: string;
}

const PROGRAM_MS_MAX = 600_000;
const JOIN_MS_MAX = 60_000;
const SETTLE_MS = 5_000;
const COLLECTIONS_MAX = 10;

warmUp();

/** One seed from start to end. @throws what went wrong. */
export async function runSeed(seed: number, readTrace: ((line: string) => void) | null): Promise<RunReport> {
  const world = new World(seed, readTrace);
  const random = world.random.branch();
  const cluster = new SimulatedCluster(world, {
    entryUrl: USER_CODE_URL, isolation: random.pick(["thread", "process"] as const), storeBytes: 1e9,
    network: { within: { msMin: 0.02, msMax: random.pick([0.05, 0.5]) }, between: { msMin: 0.1, msMax: random.pick([0.3, 3, 30]) } },
  });
  const nodeCount = 1 + random.below(4);
  for (let node = 0; node < nodeCount; node++) cluster.startNode({ CPU: 2 + random.below(3) });
  if (!(await world.run(() => cluster.nodes().length === nodeCount && cluster.head?.clusterState().nodes.length === nodeCount, JOIN_MS_MAX))) throw new Error("the nodes do not come together");
  const interpreter = new Interpreter(world);
  (globalThis as { interpreter?: Interpreter }).interpreter = interpreter;
  const plan = randomPlan(random, { tasksMax: 60, depthMax: 3 });
  let driver: SimulatedWorker | null = null;
  let outcome: { readonly value: number } | { readonly error: unknown } | null = null;
  world.schedule(null, 0, "driver starts", () => {
    driver = cluster.startDriver(random.pick(cluster.nodes()));
    world.schedule(driver.process, 0, "program", () => {
      interpreter.interpret(userCode, plan.root).then((value) => { outcome = { value }; }, (error: unknown) => { outcome = { error }; });
    });
  });
  if (!(await world.run(() => outcome !== null, PROGRAM_MS_MAX))) throw new Error("the program does not end");
  const ended = outcome as unknown as { readonly value: number } | { readonly error: unknown };
  if ("error" in ended) throw ended.error;
  if (ended.value !== valueOf(plan.root)) throw new Error(`the program returned ${ended.value} instead of ${valueOf(plan.root)}`);
  for (const [id, runs] of interpreter.runs) if (runs !== 1) throw new Error(`task ${id} has run ${runs} times`);
  await settle(world);
  checkNodes(cluster);
  return { seed, events: world.trace.events, simulatedMs: world.nowMs, tasks: plan.tasks, traceHash: world.trace.hash };
}

/** Until everything that garbage collection sets free has gone, too. */
async function settle(world: World): Promise<void> {
  for (let collections = 0; collections < COLLECTIONS_MAX; collections++) {
    await world.run(() => false, SETTLE_MS);
    const collected = world.garbage.collect();
    if (collected.length === 0) return;
    for (const call of collected) call();
  }
}

function checkNodes(cluster: SimulatedCluster): void {
  for (const node of cluster.nodes()) {
    const manager: NodeManager = node.nodeManager;
    if (!isDeepStrictEqual({ ...manager.available }, { ...node.record.totals })) throw new Error(`node ${node.record.hostname} has ${JSON.stringify(manager.available)} of ${JSON.stringify(node.record.totals)}`);
    if (node.store.objectCount > 0) throw new Error(`node ${node.record.hostname} keeps ${node.store.objectCount} objects`);
    for (const { core, process } of node.workers.values()) {
      const references = core.references.snapshot();
      if (Object.keys(references).length > 0) throw new Error(`${process.name} counts ${JSON.stringify(references)}`);
    }
  }
}

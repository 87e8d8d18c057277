// How a cluster grows: the same work for each node, on more and more nodes.
//   npm run sim -- --scale [--nodes 10,30,100,300,1000] [--tasks 100]     a table for docs/scale.md; --tasks: for each node
import { get, remote } from "../../src/api/mod.ts";
import { unpackMessage } from "../../src/clients/mod.ts";
import { FRAME_MESSAGE, FRAME_RESULTS, FRAME_TASKS } from "../../src/protocol/mod.ts";
import { SimulatedCluster } from "./cluster/simulated-cluster.ts";
import type { SimulatedWorker } from "./cluster/simulated-worker.ts";
import { passFirstTurns, USER_CODE_URL, warmUp } from "./programs/warm-up.ts";
import { GarbageCollector } from "./world/garbage.ts";
import { World } from "./world/world.ts";

const CPUS = 4;
const TASK_MS = 100;
const JOIN_MS_MAX = 600_000;
const RUN_MS_MAX = 3_600_000;
const STORE_BYTES = 1e9;
const COLLECTIONS = 6;

/** What it costs to run so many tasks on so many nodes; per task unless it says otherwise. */
export interface ScaleReport {
  readonly nodes: number;
  readonly tasks: number;
  /** Leases that some node manager was asked for or has granted, and demands that went on to another node. */
  readonly decisions: number;
  /** Between workers, node managers and the head, and of these what the head sends or gets. Without questions whether a node is alive. */
  readonly messages: number;
  readonly headMessages: number;
  /** Loads of nodes that other nodes were told. */
  readonly loads: number;
  readonly frameBytes: number;
  /** While all of them wait: memory in use, less what is in use without them. */
  readonly memoryBytes: number;
  /** Of the run as a whole. */
  readonly simulatedMs: number;
  /** If all processors had worked all the time. */
  readonly idealMs: number;
  readonly cpuMs: number;
}

/** The program: its tasks wait in the simulated world. */
async function waitingTask(ms: number): Promise<void> {
  await (globalThis as unknown as { readonly sleep: (ms: number) => Promise<void> }).sleep(ms);
}

class Messages {
  readonly #byType = new Map<string, number>();
  total = 0;
  head = 0;
  loads = 0;
  isCounting = false;

  frame(frame: Uint8Array, isOfHead: boolean): void {
    if (!this.isCounting) return;
    if (frame[0] === FRAME_TASKS || frame[0] === FRAME_RESULTS) return this.#one("tasks or results", isOfHead);
    const message = unpackMessage(frame[0] === FRAME_MESSAGE ? frame.subarray(1) : frame);
    for (const one of Array.isArray(message) ? message : [message]) this.#message(one as { readonly type: string; readonly loads?: readonly unknown[]; readonly message?: { readonly type?: string } }, isOfHead);
  }

  #message({ type, loads, message }: { readonly type: string; readonly loads?: readonly unknown[]; readonly message?: { readonly type?: string } }, isOfHead: boolean): void {
    if (type === "areYouAlive" || type === "alive") return;
    this.loads += loads?.length ?? 0;
    this.#one(message?.type ?? type, isOfHead);
  }

  #one(type: string, isOfHead: boolean): void {
    this.total++;
    if (isOfHead) this.head++;
    this.#byType.set(type, (this.#byType.get(type) ?? 0) + 1);
  }

  of(...types: readonly string[]): number {
    return types.reduce((sum, type) => sum + (this.#byType.get(type) ?? 0), 0);
  }

  describe(): string {
    return [...this.#byType].sort(([, one], [, other]) => other - one).map(([type, count]) => `${type} ${count}`).join(", ");
  }
}

export async function measureScale(nodes: number, tasksPerNode: number, note: (text: string) => void = () => undefined): Promise<ScaleReport> {
  warmUp();
  await passFirstTurns();
  const collector = new GarbageCollector();
  collector.join();
  const world = new World(1, collector);
  world.globals["sleep"] = (ms: number) => new Promise<void>((resolve) => void world.current?.clock.after(ms, resolve));
  const messages = new Messages();
  const cluster = new SimulatedCluster(world, { entryUrl: USER_CODE_URL, areChannelsLasting: false, isolation: "thread", storeBytes: STORE_BYTES, disk: null, network: { within: { msMin: 0.02, msMax: 0.05 }, between: { msMin: 0.1, msMax: 0.5 } } });
  cluster.network.onFrame = (frame, from, to) => messages.frame(frame, to.process.name === "node 0" || from.process.name === "node 0");
  for (let node = 0; node < nodes; node++) cluster.startNode({ CPU: CPUS });
  if (!(await world.run(() => cluster.nodes().length === nodes, JOIN_MS_MAX))) throw new Error("the nodes do not come together");
  // Until every node knows of all others.
  await world.run(() => false, 2_000);
  const tasks = nodes * tasksPerNode;
  const before = await memoryInUse(world);
  note(`${nodes} nodes: ${(before / nodes / 1e6).toFixed(2)} MB for each`);
  let driver!: SimulatedWorker;
  let isSubmitted = false;
  let isOver = false;
  const startedMs = world.nowMs;
  const cpuBefore = process.cpuUsage();
  messages.isCounting = true;
  world.schedule(null, 0, "driver starts", () => {
    driver = cluster.startDriver(cluster.nodes()[0] as never);
    world.schedule(driver.process, 0, "program", () => {
      const task = remote(waitingTask);
      const refs = Array.from({ length: tasks }, () => task.remote(TASK_MS));
      isSubmitted = true;
      get(refs).then(() => { isOver = true; }, (error: unknown) => world.fail(error));
    });
  });
  await world.run(() => isSubmitted);
  const memoryBytes = (await memoryInUse(world)) - before;
  if (!(await world.run(() => isOver, RUN_MS_MAX))) throw new Error(`${tasks} tasks on ${nodes} nodes have not ended after ${RUN_MS_MAX / 1000} s`);
  const cpu = process.cpuUsage(cpuBefore);
  note(messages.describe());
  return {
    nodes, tasks, decisions: messages.of("leaseDemand", "leaseDemands", "leaseGranted") / tasks, messages: messages.total / tasks, headMessages: messages.head / tasks, loads: messages.loads / tasks,
    frameBytes: cluster.network.bytes / tasks, memoryBytes: memoryBytes / tasks, simulatedMs: world.nowMs - startedMs, idealMs: (tasks * TASK_MS) / (nodes * CPUS), cpuMs: (cpu.user + cpu.system) / 1_000 / tasks,
  };
}

async function memoryInUse(world: World): Promise<number> {
  // What finalizers let go of is garbage of the second time; a world that was before this one takes more turns to go.
  for (let times = 0; times < COLLECTIONS; times++) await world.collectGarbage();
  return process.memoryUsage().heapUsed;
}

export function scaleTable(reports: readonly ScaleReport[]): string {
  const rows = reports.map(({ nodes, tasks, decisions, messages, headMessages, loads, memoryBytes, simulatedMs, idealMs, cpuMs }) =>
    [nodes, tasks, decisions.toFixed(2), messages.toFixed(2), headMessages.toFixed(2), loads.toFixed(2), Math.round(memoryBytes), (simulatedMs / 1000).toFixed(2), (idealMs / simulatedMs).toFixed(2), cpuMs.toFixed(3)].join(" | "));
  return ["nodes | tasks | decisions | messages | of the head | loads told | bytes of memory | simulated s | share of the ideal | CPU ms", "--- | --- | --- | --- | --- | --- | --- | --- | --- | ---", ...rows].map((row) => `| ${row} |`).join("\n");
}

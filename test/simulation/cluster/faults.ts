import type { Chance } from "../world/chance.ts";
import type { World } from "../world/world.ts";
import type { ConnectionUse, FrameFaults } from "./network.ts";
import type { SimulatedCluster } from "./simulated-cluster.ts";
import type { SimulatedNode } from "./simulated-node.ts";
import type { SimulatedWorker } from "./simulated-worker.ts";

export type FaultMix = "none" | "standard" | "harsh";

interface FaultRates {
  /** Between two faults, on average. */
  readonly everyMs: number;
  /** Then there is peace, so that programs come to an end. */
  readonly countMax: number;
  /** How likely each kind is among them. */
  readonly kinds: Readonly<Record<FaultKind, number>>;
  readonly pauseMsMax: number;
  readonly partitionMsMax: number;
  /** Runs in which the object stores are small, and in which the program is killed. */
  readonly smallStores: number;
  readonly driverKilled: number;
  readonly headCrashes: number;
  /** Connections that may break: those of workers end one of the two. */
  readonly breaks: readonly ConnectionUse[];
  /** Of what nodes send to each other: it is repaired. */
  readonly frames: FrameFaults;
  readonly slowMsMax: number;
}

type FaultKind = "worker killed" | "node crashes" | "process stops" | "machine slows" | "partition" | "connection breaks";

const RATES: Readonly<Record<Exclude<FaultMix, "none">, FaultRates>> = {
  // A node that is silent for 10 s is gone, so these partitions only delay.
  standard: { everyMs: 150, countMax: 60, kinds: { "worker killed": 10, "node crashes": 1, "process stops": 4, "machine slows": 1, partition: 3, "connection breaks": 2 }, breaks: ["head", "nodes"], pauseMsMax: 1_500, partitionMsMax: 5_000, smallStores: 0.1, driverKilled: 0.1, headCrashes: 0, frames: { lost: 0.02, twice: 0.05, late: 0.05, lateMsMax: 100 }, slowMsMax: 1_000 },
  harsh: { everyMs: 60, countMax: 150, kinds: { "worker killed": 10, "node crashes": 2, "process stops": 4, "machine slows": 2, partition: 4, "connection breaks": 5 }, breaks: ["head", "nodes", "workers"], pauseMsMax: 15_000, partitionMsMax: 30_000, smallStores: 0.2, driverKilled: 0.15, headCrashes: 0.1, frames: { lost: 0.1, twice: 0.1, late: 0.1, lateMsMax: 1_000 }, slowMsMax: 5_000 },
};

/** What an event takes on a slow machine. */
const SLOW_EVENT_MS_MAX = 5;

/** What goes wrong in a run, decided by its seed. */
export class Faults {
  readonly smallStores: boolean;
  readonly isDriverKilled: boolean;
  readonly doesHeadCrash: boolean;
  count = 0;
  readonly #world: World;
  readonly #random: Chance;
  readonly #rates: FaultRates | null;
  #isOver = false;

  constructor(world: World, mix: FaultMix) {
    this.#world = world;
    this.#random = world.random.branch();
    this.#rates = mix === "none" ? null : RATES[mix];
    this.smallStores = this.#random.chance(this.#rates?.smallStores ?? 0);
    this.isDriverKilled = this.#random.chance(this.#rates?.driverKilled ?? 0);
    this.doesHeadCrash = this.#random.chance(this.#rates?.headCrashes ?? 0);
  }

  get areLossesPossible(): boolean {
    return this.#rates !== null;
  }

  /** From now on. The machine of the program does not crash, and the head only where that is the point. */
  start(cluster: SimulatedCluster, driver: SimulatedWorker): void {
    const rates = this.#rates;
    if (rates === null) return;
    if (this.isDriverKilled) this.#world.schedule(null, this.#random.between(0, 1_000), "driver killed", () => driver.process.end());
    if (this.doesHeadCrash) this.#world.schedule(null, this.#random.between(0, 1_000), "head crashes", () => cluster.crashHead(this.#random.chance(0.3)));
    cluster.network.frameFaults = rates.frames;
    const next = (): void => {
      this.#world.schedule(null, this.#random.between(0, 2 * rates.everyMs), "fault", () => {
        if (this.#isOver || this.count === rates.countMax) return;
        this.#happen(rates, cluster, driver);
        next();
      });
    };
    next();
  }

  stop(cluster: SimulatedCluster): void {
    this.#isOver = true;
    cluster.network.frameFaults = null;
  }

  #happen(rates: FaultRates, cluster: SimulatedCluster, driver: SimulatedWorker): void {
    const nodes = cluster.nodes();
    if (nodes.length === 0) return;
    const kind = this.#kind(rates);
    this.count++;
    this.#world.trace.note(this.#world.nowMs, "", () => `fault: ${kind}`);
    switch (kind) {
      case "worker killed": {
        const worker = this.#pick(nodes.flatMap(({ workers }) => [...workers.values()]).filter(({ isDriver }) => !isDriver));
        return worker?.process.kill();
      }
      case "node crashes":
        return this.#crash(cluster, nodes.slice(1).filter((node) => node !== driver.node));
      case "process stops": {
        const node = this.#random.pick(nodes);
        const { process } = this.#random.chance(0.3) ? node : (this.#pick([...node.workers.values()]) ?? node);
        process.busyUntilMs = Math.max(process.busyUntilMs, this.#world.nowMs + this.#random.between(0, rates.pauseMsMax));
        return undefined;
      }
      case "machine slows": {
        const node = this.#random.pick(nodes);
        const [untilMs, eventMs] = [this.#world.nowMs + this.#random.between(0, rates.slowMsMax), this.#random.between(0.05, SLOW_EVENT_MS_MAX)];
        for (const { process } of [node, ...node.workers.values()]) process.slow(untilMs, eventMs);
        return undefined;
      }
      case "partition": {
        const [one, other] = [this.#random.pick(nodes), this.#random.pick(nodes)];
        if (one !== other) cluster.network.partition(one.process.machine, other.process.machine, this.#world.nowMs + this.#random.between(0, rates.partitionMsMax));
        return undefined;
      }
      case "connection breaks":
        return this.#pick(cluster.network.remoteConnections(rates.breaks))?.cut();
    }
  }

  #crash(cluster: SimulatedCluster, candidates: readonly SimulatedNode[]): void {
    this.#pick(candidates)?.crash(this.#random.chance(0.3));
    if (!cluster.isHeadGone && this.#random.chance(0.7)) this.#world.schedule(null, this.#random.between(0, 3_000), "new node", () => { if (!cluster.isHeadGone) cluster.startNode({ CPU: 2 + this.#random.below(3) }); });
  }

  #kind({ kinds }: FaultRates): FaultKind {
    const entries = Object.entries(kinds) as [FaultKind, number][];
    let left = this.#random.between(0, entries.reduce((sum, [, weight]) => sum + weight, 0));
    for (const [kind, weight] of entries) if ((left -= weight) < 0) return kind;
    return "worker killed";
  }

  #pick<T>(items: readonly T[]): T | undefined {
    return items.length === 0 ? undefined : this.#random.pick(items);
  }
}

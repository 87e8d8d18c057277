import { BACKGROUND_RESOURCE } from "../programs/plan.ts";
import type { Chance } from "../world/chance.ts";
import type { World } from "../world/world.ts";
import type { DiskFaults, DiskSetting } from "./simulated-disk.ts";
import type { FrameFaults } from "./network.ts";
import type { SimulatedCluster } from "./simulated-cluster.ts";
import type { SimulatedNode } from "./simulated-node.ts";
import type { SimulatedWorker } from "./simulated-worker.ts";

/**
 * In `drains` nodes leave in good order and nothing else happens: then nothing is lost, and nothing runs again. In `deadlines` they have little
 * time for it, and nothing else happens: that costs no retries and no restarts. `crowded` is as `standard`, in a crowded cluster.
 */
export type FaultMix = "none" | "drains" | "deadlines" | "standard" | "crowded" | "harsh";

interface FaultRates {
  /** Between two faults, on average. */
  readonly everyMs: number;
  /** Then there is peace, so that programs come to an end. */
  readonly countMax: number;
  /** How likely each kind is among them. */
  readonly kinds: Readonly<Record<FaultKind, number>>;
  readonly pauseMsMax: number;
  readonly partitionMsMax: number;
  /** Runs in which the object stores are small, without a disk to spill to or with one, and in which the program is killed. */
  readonly smallStores: number;
  readonly spillingStores: number;
  readonly disk: DiskFaults;
  readonly driverKilled: number;
  readonly headCrashes: number;
  /** Of what nodes, and workers of different nodes, send to each other: it is repaired. */
  readonly frames: FrameFaults;
  readonly slowMsMax: number;
  /** Of draining nodes: how many must be gone by a deadline. */
  readonly drainsWithDeadline: number;
  /** Which of them begin together with another one. */
  readonly drainsInPairs: number;
  /** Machines that are replaced by another one when they are gone. */
  readonly replaced: number;
}

const NO_DISK_FAULTS: DiskFaults = { unwritten: 0, damaged: 0, unreadable: 0 };

/** Workers that are parted can have no connection with each other any more, and one of them ends. */
type FaultKind = "worker killed" | "node process killed" | "node crashes" | "node drains" | "process stops" | "machine slows" | "partition" | "connection breaks" | "workers parted";

const STANDARD: FaultRates = {
  everyMs: 150, countMax: 60,
  kinds: { "worker killed": 10, "node process killed": 0.5, "node crashes": 1, "node drains": 1, "process stops": 4, "machine slows": 1, partition: 3, "connection breaks": 2, "workers parted": 0.5 },
  // A node that is silent for 10 s is gone, so these partitions only delay.
  pauseMsMax: 1_500, partitionMsMax: 5_000, slowMsMax: 1_000,
  smallStores: 0.1, spillingStores: 0.15, disk: { unwritten: 0.02, damaged: 0.1, unreadable: 0.05 },
  driverKilled: 0.1, headCrashes: 0.03, frames: { breaks: 0, lost: 0.02, twice: 0.05, late: 0.05, lateMsMax: 100 }, drainsWithDeadline: 0.5, drainsInPairs: 0, replaced: 0.7,
};

const DRAINS: FaultRates = {
  everyMs: 150, countMax: 20,
  kinds: { "worker killed": 0, "node process killed": 0, "node crashes": 0, "node drains": 1, "process stops": 0, "machine slows": 0, partition: 0, "connection breaks": 0, "workers parted": 0 },
  pauseMsMax: 0, partitionMsMax: 0, slowMsMax: 0, smallStores: 0, spillingStores: 0, disk: NO_DISK_FAULTS,
  driverKilled: 0, headCrashes: 0, frames: { breaks: 0, lost: 0, twice: 0, late: 0, lateMsMax: 0 }, drainsWithDeadline: 0, drainsInPairs: 0.4, replaced: 0.95,
};

const RATES: Readonly<Record<Exclude<FaultMix, "none">, FaultRates>> = {
  drains: DRAINS,
  deadlines: { ...DRAINS, drainsWithDeadline: 1 },
  standard: STANDARD,
  crowded: { ...STANDARD, frames: { ...STANDARD.frames, breaks: 0.05 } },
  harsh: {
    everyMs: 60, countMax: 150,
    kinds: { "worker killed": 10, "node process killed": 1, "node crashes": 2, "node drains": 2, "process stops": 4, "machine slows": 2, partition: 4, "connection breaks": 3, "workers parted": 2 },
    pauseMsMax: 15_000, partitionMsMax: 30_000, slowMsMax: 5_000,
    smallStores: 0.2, spillingStores: 0.2, disk: { unwritten: 0.1, damaged: 0.1, unreadable: 0.1 },
    driverKilled: 0.15, headCrashes: 0.1, frames: { breaks: 0.1, lost: 0.1, twice: 0.1, late: 0.1, lateMsMax: 1_000 }, drainsWithDeadline: 0.5, drainsInPairs: 0, replaced: 0.7,
  },
};

/** What an event takes on a slow machine. */
const SLOW_EVENT_MS_MAX = 5;
const DISK_BYTES = 1e9;
const DISK_MS_MAX = 20;
/** On one node. */
const BACKGROUND_TASKS_MAX = 50;
const SILENT_CRASHES = 0.3;
const REPLACED_MS_MAX = 3_000;
/** When nodes with a deadline must be gone. */
const DRAIN_MS_MAX = 3_000;
/** How often the machine of the program is hit, where others are. */
const HOME_HIT = 0.1;

const NO_STORE_FAULTS = { smallStores: 0, spillingStores: 0, disk: NO_DISK_FAULTS };

/** What goes wrong in a run, decided by its seed. */
export class Faults {
  readonly smallStores: boolean;
  /** Null: small stores are full when they are full. */
  readonly disk: DiskSetting | null;
  readonly isDriverKilled: boolean;
  readonly doesHeadCrash: boolean;
  /** Several programs are there at once, spread their tasks, and have lasting channels between their workers, whose connections break. */
  readonly isCrowded: boolean;
  /** Of each node. */
  readonly extraResources: Readonly<Record<string, number>>;
  /** Nothing happens but that nodes leave, so there are several, and programs hold objects that lie on them. */
  readonly doNodesOnlyLeave: boolean;
  count = 0;
  readonly #world: World;
  readonly #random: Chance;
  readonly #rates: FaultRates | null;
  readonly areLossesPossible: boolean;
  /** Workers may end for other reasons than that their node leaves, or to cancel something: that costs retries. */
  readonly areEndsCharged: boolean;
  #isOver = false;

  constructor(world: World, mix: FaultMix) {
    this.#world = world;
    this.#random = world.random.branch();
    this.#rates = mix === "none" ? null : RATES[mix];
    this.areLossesPossible = mix !== "none" && mix !== "drains";
    this.areEndsCharged = this.areLossesPossible && mix !== "deadlines";
    this.doNodesOnlyLeave = mix === "drains" || mix === "deadlines";
    this.isCrowded = mix === "crowded" || mix === "harsh" || mix === "none";
    this.extraResources = this.isCrowded ? { [BACKGROUND_RESOURCE]: BACKGROUND_TASKS_MAX } : {};
    const { smallStores, spillingStores, disk } = this.#rates ?? NO_STORE_FAULTS;
    const drawn = this.#random.fraction();
    this.smallStores = drawn < smallStores + spillingStores;
    this.disk = drawn >= smallStores && this.smallStores ? { ...disk, capacityBytes: DISK_BYTES, msMax: DISK_MS_MAX } : null;
    this.isDriverKilled = this.#random.chance(this.#rates?.driverKilled ?? 0);
    this.doesHeadCrash = this.#random.chance(this.#rates?.headCrashes ?? 0);
  }

  /** From now on. */
  start(cluster: SimulatedCluster, driver: SimulatedWorker): void {
    const rates = this.#rates;
    if (rates === null) return;
    if (this.isDriverKilled) this.#world.schedule(null, this.#random.between(0, 1_000), "driver killed", () => this.#endDriver(cluster, driver));
    if (this.doesHeadCrash) this.#world.schedule(null, this.#random.between(0, 1_000), "head crashes", () => cluster.crashHead(this.#random.chance(SILENT_CRASHES)));
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

  /** Another program. */
  guestStarted({ process }: SimulatedWorker): void {
    if (this.#random.chance(this.#rates?.driverKilled ?? 0)) this.#world.schedule(null, this.#random.between(0, 1_000), "driver killed", () => process.end());
  }

  stop(cluster: SimulatedCluster): void {
    this.#isOver = true;
    cluster.network.frameFaults = null;
  }

  /** Or its machine with it. */
  #endDriver(cluster: SimulatedCluster, { node, process }: SimulatedWorker): void {
    if (cluster.isHead(node) || this.#random.chance(0.7)) process.end();
    else node.crash(this.#random.chance(SILENT_CRASHES));
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
      case "node process killed":
        return this.#leaves(cluster, this.#member(cluster, driver), rates.replaced, (node) => node.process.kill());
      case "node crashes":
        return this.#leaves(cluster, this.#pick(nodes.filter((node) => node !== driver.node && !cluster.isHead(node))), rates.replaced, (node) => node.crash(this.#random.chance(SILENT_CRASHES)));
      case "node drains":
        for (let left = rates.drainsInPairs > 0 && this.#random.chance(rates.drainsInPairs) ? 2 : 1; left > 0; left--) {
          this.#leaves(cluster, this.#member(cluster, driver), rates.replaced, (node) => cluster.drain(node, this.#random.chance(rates.drainsWithDeadline) ? this.#random.between(0, DRAIN_MS_MAX) : null));
        }
        return undefined;
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
        return this.#pick(cluster.network.remoteConnections(["head", "nodes"]))?.cut();
      case "workers parted": {
        const connection = this.#pick(cluster.network.remoteConnections(["workers"]));
        if (connection !== undefined) cluster.network.part(connection);
        return undefined;
      }
    }
  }

  /** A node whose end the cluster survives, seldom that of the program. */
  #member(cluster: SimulatedCluster, { node: home }: SimulatedWorker): SimulatedNode | undefined {
    const isHomeHit = this.#random.chance(HOME_HIT);
    return this.#pick(cluster.nodes().filter((node) => !cluster.isHead(node) && (node !== home || isHomeHit)));
  }

  #leaves(cluster: SimulatedCluster, node: SimulatedNode | undefined, replaced: number, how: (node: SimulatedNode) => void): void {
    if (node !== undefined) how(node);
    if (cluster.isHeadGone || !this.#random.chance(replaced)) return;
    this.#world.schedule(null, this.#random.between(0, REPLACED_MS_MAX), "new node", () => { if (!cluster.isHeadGone) cluster.startNode({ CPU: 2 + this.#random.below(3), ...this.extraResources }); });
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

import { describeFrame } from "./frame-descriptions.ts";
import type { Channel, ChannelCloseReason } from "../../../src/transport/mod.ts";
import { SimulatedEnd } from "../../../src/transport/simulated-channel.ts";
import type { Chance } from "../world/chance.ts";
import type { SimulatedProcess } from "../world/simulated-process.ts";
import type { World } from "../world/world.ts";

export interface Latency {
  readonly msMin: number;
  readonly msMax: number;
}

/** How long frames take: between threads and processes of one machine, and between machines. */
export interface NetworkSetting {
  readonly within: Latency;
  readonly between: Latency;
}

/** Connections of which one end hears late that they broke. */
const HALF_OPEN = 0.3;
const HALF_OPEN_MS_MAX = 1_000;

/** What happens to single frames, by how likely it is. A session above such a connection repairs it. */
export interface FrameFaults {
  /** Between workers of two machines: the connection breaks. */
  readonly breaks: number;
  /** Between nodes: one frame is lost. */
  readonly lost: number;
  readonly twice: number;
  /** Later than those that follow, by so much at most. */
  readonly late: number;
  readonly lateMsMax: number;
}

/** Who talks over a connection: a node and the head, two nodes, or workers with each other and with their node. */
export type ConnectionUse = "head" | "nodes" | "workers";

/** One end of a connection, with the name by which it knows the other. */
export interface EndSetting {
  readonly process: SimulatedProcess;
  readonly peerId: string;
}

/** Connections between processes. Each keeps the order of its frames, or breaks; between connections there is no order. */
export class Network {
  /** Frames on their way over all connections, ever. */
  frames = 0;
  bytes = 0;
  /** Each frame when it is sent. */
  onFrame: ((frame: Uint8Array, from: ConnectionEnd, to: ConnectionEnd) => void) | null = null;
  readonly #world: World;
  readonly #random: Chance;
  readonly #setting: NetworkSetting;
  readonly #connections = new Set<Connection>();
  frameFaults: FrameFaults | null = null;
  frameFaultCount = 0;
  /** Until when nothing passes between two machines. */
  readonly #cuts = new Map<string, number>();
  /** Who can have no connection with each other any more. */
  readonly #parted = new Set<string>();

  constructor(world: World, setting: NetworkSetting) {
    this.#world = world;
    this.#random = world.random.branch();
    this.#setting = setting;
  }

  connect(first: EndSetting, second: EndSetting, use: ConnectionUse = "workers"): readonly [Channel, Channel] {
    const connection = new Connection(this.#world, this, first, second, use);
    this.#connections.add(connection);
    return connection.ends;
  }

  forget(connection: Connection): void {
    this.#connections.delete(connection);
  }

  /** Between different machines, for one of these uses, in the order in which they were made. */
  remoteConnections(uses: readonly ConnectionUse[]): Connection[] {
    return [...this.#connections].filter(({ isRemote, use }) => isRemote && uses.includes(use));
  }

  /** Frames wait, as they do in TCP. */
  partition(machine: string, other: string, untilMs: number): void {
    this.#cuts.set(pairOf(machine, other), untilMs);
  }

  /** For good: nothing is lost with a connection as long as there can be another. */
  part(connection: Connection): void {
    const [one, other] = connection.ends;
    this.#parted.add(pairOf(one.peerId, other.peerId));
    connection.cut();
  }

  areParted(peerId: string, otherId: string): boolean {
    return this.#parted.has(pairOf(peerId, otherId));
  }

  /** Until when nothing passes between these machines, or passed when that was cut last. */
  cutUntilMs(machine: string, other: string): number {
    return this.#cuts.get(pairOf(machine, other)) ?? -Infinity;
  }

  /** By how much a frame comes too late, once for each time that it comes: once, and at once, unless something goes wrong. */
  frameDelaysMs(): readonly number[] {
    const faults = this.frameFaults;
    if (faults === null) return [0];
    const drawn = this.#random.fraction();
    const { lost, twice, late } = faults;
    if (drawn >= lost + twice + late) return [0];
    this.frameFaultCount++;
    if (drawn < lost) return [];
    const delayMs = this.#random.between(0, faults.lateMsMax);
    return drawn < lost + twice ? [0, delayMs] : [delayMs];
  }

  /** Null: the connection of two workers lasts. Else it breaks with what is sent now, and by so much later the second end learns of it. */
  breaksMs(): number | null {
    const faults = this.frameFaults;
    if (faults === null || faults.breaks === 0 || !this.#random.chance(faults.breaks)) return null;
    this.frameFaultCount++;
    return this.#random.chance(HALF_OPEN) ? this.#random.between(0, HALF_OPEN_MS_MAX) : 0;
  }

  /** When a frame that is sent now arrives. */
  arrivalMs(from: SimulatedProcess, to: SimulatedProcess): number {
    const isWithin = from.machine === to.machine;
    const { msMin, msMax } = isWithin ? this.#setting.within : this.#setting.between;
    const sentMs = from.clock.nowMs();
    const freeMs = isWithin ? sentMs : Math.max(sentMs, this.cutUntilMs(from.machine, to.machine));
    return freeMs + this.#random.between(msMin, msMax);
  }

  /** What a process has sent before it ended. Within a machine nothing is lost, as in a pipe; between machines connections may be reset. */
  arrivesAfterEnd(from: SimulatedProcess, to: SimulatedProcess): boolean {
    return from.hasExited || from.machine === to.machine || this.#random.chance(0.7);
  }
}

function pairOf(machine: string, other: string): string {
  return machine < other ? `${machine} ${other}` : `${other} ${machine}`;
}

export class Connection {
  readonly ends: readonly [ConnectionEnd, ConnectionEnd];
  readonly isRemote: boolean;
  readonly use: ConnectionUse;
  readonly #network: Network;

  constructor(world: World, network: Network, first: EndSetting, second: EndSetting, use: ConnectionUse) {
    this.#network = network;
    this.use = use;
    this.isRemote = first.process.machine !== second.process.machine;
    const ends = [first, second].map((setting) => new ConnectionEnd(world, network, setting)) as [ConnectionEnd, ConnectionEnd];
    this.ends = ends;
    ends[0].connect(ends[1], this);
    ends[1].connect(ends[0], this);
  }

  /** It breaks: what is on its way does not arrive, and both ends learn of it, the second one so much later. */
  cut(laterMs = 0): void {
    this.ends[0].lose(0);
    this.ends[1].lose(laterMs);
  }

  ended(): void {
    if (this.ends.every(({ isClosed }) => isClosed)) this.#network.forget(this);
  }
}

class ConnectionEnd extends SimulatedEnd {
  readonly process: SimulatedProcess;
  readonly #world: World;
  readonly #network: Network;
  #other!: ConnectionEnd;
  #connection!: Connection;
  /** No frame overtakes another. */
  #lastArrivalMs = 0;
  #lastUsedMs = -1;
  /** What is on its way here does not arrive. */
  #isLost = false;
  /** With its process, which hears nothing any more. */
  #hasEnded = false;
  /** What arrives here later was lost with its sender; what had arrived before is read whenever this process gets to it. */
  #arrivesUntilMs = Infinity;

  constructor(world: World, network: Network, { process, peerId }: EndSetting) {
    super(peerId);
    this.#world = world;
    this.#network = network;
    this.process = process;
    process.onEnd(() => this.#processEnded());
  }

  connect(other: ConnectionEnd, connection: Connection): void {
    this.#other = other;
    this.#connection = connection;
  }

  override get isClosed(): boolean {
    return this.#hasEnded || super.isClosed;
  }

  protected carry(frame: Uint8Array): void {
    this.#network.frames++;
    this.#network.bytes += frame.byteLength;
    this.#network.onFrame?.(frame, this, this.#other);
    const arrive = (other: ConnectionEnd): void => {
      this.#world.trace.note(this.#world.nowMs, other.process.name, () => `reads ${describeFrame(frame)} of ${this.process.name}`);
      other.arrived(frame);
    };
    if (this.#connection.use !== "nodes") {
      if (this.#connection.use === "workers" && this.#connection.isRemote) this.#breakPerhaps();
      return this.#travel("frame", arrive);
    }
    for (const delayMs of this.#network.frameDelaysMs()) this.#travel("frame", arrive, delayMs);
  }

  /** With the first frame of a turn: what was kept of a long backlog would never arrive else. */
  #breakPerhaps(): void {
    const { nowMs } = this.#world;
    if (nowMs === this.#lastUsedMs) return;
    this.#lastUsedMs = nowMs;
    const laterMs = this.#network.breaksMs();
    if (laterMs !== null) this.#connection.cut(laterMs);
  }

  protected carryClose(): void {
    this.#travel("close", (other) => other.ended("peer"));
  }

  override ended(reason: ChannelCloseReason): void {
    super.ended(reason);
    this.#connection.ended();
  }

  /** Its process is told in an event of its own. */
  lose(laterMs: number): void {
    if (this.isClosed || this.#isLost) return;
    this.#isLost = true;
    this.#world.schedule(this.process, laterMs, "connection lost", () => this.ended("lost"));
  }

  #processEnded(): void {
    if (this.isClosed) return;
    const other = this.#other;
    if (!this.#network.arrivesAfterEnd(this.process, other.process)) other.#arrivesUntilMs = this.#world.nowMs;
    if (!this.process.isSilent) {
      this.#lastArrivalMs = Math.max(this.#lastArrivalMs, this.#network.arrivalMs(this.process, other.process));
      this.#world.scheduleAt(other.process, this.#lastArrivalMs, "connection lost", () => other.ended("lost"));
    }
    this.#hasEnded = true;
    this.#connection.ended();
  }

  /** What is late does not hold up what follows. */
  #travel(label: string, arrive: (other: ConnectionEnd) => void, lateMs = 0): void {
    const other = this.#other;
    this.#lastArrivalMs = Math.max(this.#lastArrivalMs, this.#network.arrivalMs(this.process, other.process));
    const arrivalMs = this.#lastArrivalMs + lateMs;
    this.#world.scheduleAt(other.process, arrivalMs, label, () => {
      if (!other.#isLost && arrivalMs <= other.#arrivesUntilMs) arrive(other);
    });
  }
}

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

/** What happens to single frames, by how likely it is. A session above such a connection repairs it. */
export interface FrameFaults {
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
  /** Of connections between nodes, which number what they send. */
  frameFaults: FrameFaults | null = null;
  frameFaultCount = 0;
  /** Until when nothing passes between two machines. */
  readonly #cuts = new Map<string, number>();

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

  /** When a frame that is sent now arrives. */
  arrivalMs(from: SimulatedProcess, to: SimulatedProcess): number {
    const isWithin = from.machine === to.machine;
    const { msMin, msMax } = isWithin ? this.#setting.within : this.#setting.between;
    const sentMs = from.clock.nowMs();
    const freeMs = isWithin ? sentMs : Math.max(sentMs, this.#cuts.get(pairOf(from.machine, to.machine)) ?? 0);
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

  /** It breaks: what is on its way does not arrive, and both ends learn of it. */
  cut(): void {
    for (const end of this.ends) end.lose();
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
    if (this.#connection.use !== "nodes") return this.#travel("frame", arrive);
    for (const delayMs of this.#network.frameDelaysMs()) this.#travel("frame", arrive, delayMs);
  }

  protected carryClose(): void {
    this.#travel("close", (other) => other.ended("peer"));
  }

  override ended(reason: ChannelCloseReason): void {
    super.ended(reason);
    this.#connection.ended();
  }

  /** Its process is told in an event of its own. */
  lose(): void {
    if (this.isClosed || this.#isLost) return;
    this.#isLost = true;
    this.#world.schedule(this.process, 0, "connection lost", () => this.ended("lost"));
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

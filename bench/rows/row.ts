import type { ContestantProcess } from "../contestant-process.ts";
import type { Figures } from "../measure.ts";
import type { PeerSettings } from "../peers/peer.ts";
import type { PeerId } from "../peers/registry.ts";

export interface Figure {
  readonly key: string;
  readonly title: string;
  readonly unit: string;
  readonly better: "higher" | "lower";
}

export interface Row {
  readonly key: string;
  readonly group: Group;
  readonly title: string;
  readonly figures: readonly Figure[];
  readonly contestants: readonly PeerId[];
  /** Where a contestant goes by another name in this row. */
  readonly labels?: Partial<Record<PeerId, string>>;
  /** What the ratios are to, of the contestants. */
  readonly baseline: PeerId;
  /** What the machine must have to spare; without it the row is left out. */
  readonly needs?: (isQuick: boolean) => MachineNeeds;
  /** At most so many rounds, for rows that take long. */
  readonly roundsMax?: number;
  /** Ray's best published figure: of another machine (see the notes), and no contestant. */
  readonly published?: PublishedFigure;
  measure(peer: PeerId, bench: Bench): Promise<Figures>;
}

export interface MachineNeeds {
  /** Of all memory, shared memory included. */
  readonly memoryBytes: number;
  readonly sharedMemoryBytes: number;
  /** In the folder for temporary files. */
  readonly diskBytes?: number;
  /** Links of a limited rate, see links.ts. */
  readonly links?: boolean;
}

export interface PublishedFigure {
  readonly value: number;
  readonly source: string;
}

export type Group = "tasks" | "actors" | "computing" | "starting" | "objects" | "clusters" | "recovery" | "memory and idling" | "typing" | "Ray's microbenchmark";

/** What a row needs of the bench. */
export interface Bench {
  readonly isQuick: boolean;
  /** How long a trial of short units lasts. */
  readonly trialMs: number;
  /** The peer's process for all rounds of this row. */
  resident(peer: PeerId): Promise<ContestantProcess>;
  /** A process for this turn only. */
  fresh<T>(peer: PeerId, use: (contestant: ContestantProcess) => Promise<T>, settings?: PeerSettings): Promise<T>;
  /** Starts a program of programs/, and waits for what it prints first. */
  firstResult(program: string): Promise<Figures>;
}

export const CALLS_PER_SECOND: Figure = { key: "perSecond", title: "", unit: "/s", better: "higher" };

export const MANTARAY: readonly PeerId[] = ["mantaray-thread", "mantaray-process"];
export const POOLS: readonly PeerId[] = ["piscina", "tinypool", "workerpool", "poolifier", "multithreading"];

import type { Figures } from "../measure.ts";
import type { Peer } from "../peers/peer.ts";

export type Parameters = Readonly<Record<string, number>>;

/** Runs in the contestant's own process. */
export type Workload = (peer: Peer, parameters: Parameters) => Promise<Figures>;

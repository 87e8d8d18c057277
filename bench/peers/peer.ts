import type { CancelledBy } from "./cancelled-calls.ts";

/** What every contestant of the bench can do, whatever it is called there. */
export interface Peer {
  /** Runs one empty task, to its result. */
  runTask?(): Promise<unknown>;
  /** Submits so many empty tasks before it awaits the first, and awaits all. */
  runTasks?(count: number): Promise<unknown>;
  /** Runs `samplePi` as one task. */
  samplePi?(samples: number, seed: number): Promise<number>;
  /** Submits so many tasks behind others that keep the workers, and cancels them; in how many milliseconds all have failed. */
  cancelQueued?(count: number, by: CancelledBy): Promise<number>;
  /** Starts an object with a state that lives in a worker of its own. */
  createCounter?(): Promise<RemoteCounter>;
  /** Starts one worker more and keeps it; resolves with the first thing that came from it. */
  startWorker?(): Promise<unknown>;
  /** Hands a Float64Array of so many bytes to another worker so often; until that can read it. */
  deliverArray?(byteLength: number, times: number): Promise<Delivery>;
  /** Has the bytes copied to where others can read them, or to where they are only copied, and drops the copy. */
  copyBytes?(bytes: Uint8Array): void;
  close(): Promise<unknown>;
}

export interface RemoteCounter {
  increment(): Promise<number>;
  /** Calls `increment` so many times before it awaits the first, and awaits all. */
  incrementMany(count: number): Promise<unknown>;
  close(): Promise<unknown>;
}

/** Times in milliseconds, the middle ones. */
export interface Delivery {
  /** An array that the worker has not had before. */
  readonly firstMs: number;
  /** Once more the same one. */
  readonly againMs: number;
}

/** What a row may ask of a peer when it opens. Only Mantaray has an object store. */
export interface PeerSettings {
  readonly objectStoreBytes?: number;
  readonly spillFolder?: string;
}

/** Pools have so many workers, Mantaray so many CPUs. */
export const WORKERS = 2;

export function allAtOnce(count: number, call: () => Promise<unknown>): Promise<unknown> {
  return Promise.all(Array.from({ length: count }, call));
}

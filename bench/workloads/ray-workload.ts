/** What Ray's own microbenchmark does. `prepare` runs once; the rest is timed. */
export interface RayWorkload {
  /** So many of the row's unit come from one call of `prepare`'s result. */
  readonly unitsPerCall: number;
  prepare(sizes: RaySizes): Promise<() => unknown>;
}

export interface RaySizes {
  /** 1 for Ray's own sizes; a quick run divides those of large objects. */
  readonly objectDivisor: number;
}

/** `get` returns bytes in Ray's rows; here it is the same two. */
export const OK = "ok";

export const BATCH_CALLS = 1000;
/** Ray takes half of the machine's CPUs; here it is as many actors as the other rows have workers. */
export const SERVER_ACTORS = 2;
/** Clients in the rows with several: as in Ray. */
export const CLIENTS = 4;

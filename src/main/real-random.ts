import { closeSync, openSync, readSync } from "node:fs";
import type { RandomSource } from "../base/mod.ts";

const POOL_BYTES = 512;
let pool: Buffer = Buffer.alloc(0);

/** Ids and the session's secret. From the system's own device where there is one: loading node:crypto takes 7 ms of every start. */
export const realRandom: RandomSource = {
  hex: (byteCount) => take(byteCount).toString("hex"),
  below: (limit) => Number(take(6).readUIntBE(0, 6) % limit),
};

function take(byteCount: number): Buffer {
  if (pool.byteLength < byteCount) pool = fill();
  const bytes = pool.subarray(0, byteCount);
  pool = pool.subarray(byteCount);
  return bytes;
}

function fill(): Buffer {
  const bytes = Buffer.alloc(POOL_BYTES);
  try {
    const device = openSync("/dev/urandom", "r");
    try {
      if (readSync(device, bytes) === POOL_BYTES) return bytes;
    } finally {
      closeSync(device);
    }
  } catch {
    // No such device on this system.
  }
  return process.getBuiltinModule("node:crypto").randomBytes(POOL_BYTES);
}

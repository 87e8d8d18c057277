/** What fills Mantaray's object store. */
import * as ray from "mantaray";
import { durationMs } from "../measure.ts";
import type { Workload } from "./workload.ts";

const GIB = 2 ** 30;
const MS_PER_SECOND = 1_000;
const PUTTERS = 2;

const putAndRelease = ray.remote((byteLength: number, times: number) => {
  const value = new Uint8Array(byteLength).fill(1);
  for (let time = 0; time < times; time++) ray.put(value).release();
});

const putAndForget = ray.remote((byteLength: number, times: number) => {
  const value = new Uint8Array(byteLength).fill(1);
  for (let time = 0; time < times; time++) ray.put(value);
});

async function putByAll(put: typeof putAndRelease | typeof putAndForget, byteLength: number, times: number): Promise<{ gibPerSecond: number }> {
  // The first tasks start the workers; later ones find them.
  await ray.get(Array.from({ length: PUTTERS }, () => put.remote(byteLength, 1)));
  const timesEach = Math.ceil(times / PUTTERS);
  const elapsedMs = await durationMs(() => ray.get(Array.from({ length: PUTTERS }, () => put.remote(byteLength, timesEach))));
  return { gibPerSecond: (PUTTERS * timesEach * byteLength * MS_PER_SECOND) / GIB / elapsedMs };
}

/** Values that differ in every word, and from each other. */
function numbered(value: Uint32Array, seed: number): Uint32Array {
  for (let index = 0; index < value.length; index++) value[index] = Math.imul(index ^ seed, 0x9e3779b1) + seed;
  return value;
}

export const STORE_WORKLOADS = {
  putSmall: async (_peer, { byteLength, times }) => {
    const value = new Uint8Array(byteLength!).fill(1);
    const elapsedMs = await durationMs(async () => {
      for (let time = 0; time < times!; time++) ray.put(value).release();
    });
    return { perSecond: (times! * MS_PER_SECOND) / elapsedMs };
  },

  putAndRelease: (_peer, { byteLength, times }) => putByAll(putAndRelease, byteLength!, times!),
  putAndForget: (_peer, { byteLength, times }) => putByAll(putAndForget, byteLength!, times!),

  /** Holds far more than fits, then reads all of it back. */
  putAllThenReadAll: async (_peer, { byteLength, times }) => {
    const expected = new Uint32Array(byteLength! / Uint32Array.BYTES_PER_ELEMENT);
    const refs: ray.ObjectRef<Uint32Array>[] = [];
    const elapsedMs = await durationMs(async () => {
      for (let seed = 0; seed < times!; seed++) refs.push(ray.put(numbered(expected, seed)));
      for (const [seed, ref] of refs.entries()) {
        const value = await ray.get(ref);
        if (Buffer.compare(bytesOf(value), bytesOf(numbered(expected, seed))) !== 0) throw new Error(`value ${seed} came back with other bytes`);
      }
    });
    for (const ref of refs) ref.release();
    return { seconds: elapsedMs / MS_PER_SECOND };
  },
} as const satisfies Record<string, Workload>;

function bytesOf({ buffer, byteOffset, byteLength }: Uint32Array): Uint8Array {
  return new Uint8Array(buffer, byteOffset, byteLength);
}

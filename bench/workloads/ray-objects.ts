import * as ray from "mantaray";
import { BATCH_CALLS, OK } from "./ray-workload.ts";
import type { RayWorkload } from "./ray-workload.ts";

const PUT_TASKS = 10;
const PUTS_PER_TASK = 100;
const LARGE_PUTS_PER_TASK = 10;
const MEBI = 2 ** 20;
const REFS = 10_000;

const putSmall = ray.remote(() => {
  for (let puts = 0; puts < PUTS_PER_TASK; puts++) ray.put(0).release();
});
const putLarge = ray.remote((bytes: number) => {
  const value = new BigInt64Array(bytes / BigInt64Array.BYTES_PER_ELEMENT);
  for (let puts = 0; puts < LARGE_PUTS_PER_TASK; puts++) ray.put(value).release();
});
const small = ray.remote(() => OK);

export const RAY_OBJECT_WORKLOADS = {
  single_client_get_calls_Plasma_Store: {
    unitsPerCall: 1,
    prepare: async () => {
      const ref = ray.put(0);
      return () => ray.get(ref);
    },
  },
  single_client_put_calls_Plasma_Store: {
    unitsPerCall: 1,
    prepare: async () => () => ray.put(0).release(),
  },
  multi_client_put_calls_Plasma_Store: {
    unitsPerCall: PUT_TASKS * PUTS_PER_TASK,
    prepare: async () => () => ray.get(Array.from({ length: PUT_TASKS }, () => putSmall.remote())),
  },
  single_client_put_gigabytes: {
    // 100 Mi numbers of 8 bytes, which Ray counts as 0.8.
    unitsPerCall: 0.8,
    prepare: async ({ objectDivisor }) => {
      const value = new BigInt64Array((100 * MEBI) / objectDivisor);
      return () => {
        for (let part = 0; part < objectDivisor; part++) ray.put(value).release();
      };
    },
  },
  multi_client_put_gigabytes: {
    // 10 x 10 x 80 MiB, which Ray counts as 8.
    unitsPerCall: 8,
    prepare: async ({ objectDivisor }) => {
      const bytes = (80 * MEBI) / objectDivisor;
      return () => ray.get(Array.from({ length: PUT_TASKS * objectDivisor }, () => putLarge.remote(bytes)));
    },
  },
  single_client_get_object_containing_10k_refs: {
    unitsPerCall: 1,
    prepare: async () => {
      const createRefs = ray.remote(() => Array.from({ length: REFS }, () => ray.put(1)));
      const ref = createRefs.remote();
      await ray.get(ref);
      return () => ray.get(ref);
    },
  },
  single_client_wait_1k_refs: {
    unitsPerCall: 1,
    prepare: async () => async () => {
      let notReady: ray.ObjectRef<string>[] = Array.from({ length: BATCH_CALLS }, () => small.remote());
      for (let waits = 0; waits < BATCH_CALLS; waits++) {
        [, notReady] = await ray.wait(notReady, { fetchLocal: waits === 0 });
      }
    },
  },
} as const satisfies Record<string, RayWorkload>;

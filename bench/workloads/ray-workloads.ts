import { perSecond } from "../measure.ts";
import { RAY_ACTOR_WORKLOADS } from "./ray-actors.ts";
import { RAY_OBJECT_WORKLOADS } from "./ray-objects.ts";
import { RAY_PLACEMENT_GROUP_WORKLOADS } from "./ray-placement-groups.ts";
import { RAY_TASK_WORKLOADS } from "./ray-tasks.ts";
import type { RayWorkload } from "./ray-workload.ts";
import type { Workload } from "./workload.ts";

export const RAY_WORKLOADS: Readonly<Record<string, RayWorkload>> = {
  ...RAY_OBJECT_WORKLOADS,
  ...RAY_TASK_WORKLOADS,
  ...RAY_ACTOR_WORKLOADS,
  ...RAY_PLACEMENT_GROUP_WORKLOADS,
};

const CALLS_BETWEEN_CLOCKS = 20;
const prepared = new Map<string, Promise<() => unknown>>();

/** Every row is measured alike: prepared once, then called for a trial's time, each call awaited. */
export function rayWorkload(row: string): Workload {
  const { unitsPerCall, prepare } = RAY_WORKLOADS[row]!;
  const callsPerStep = unitsPerCall === 1 ? CALLS_BETWEEN_CLOCKS : 1;
  return async (_peer, { trialMs, objectDivisor }) => {
    if (!prepared.has(row)) prepared.set(row, prepare({ objectDivisor: objectDivisor! }));
    const call = await prepared.get(row)!;
    const stepsPerSecond = await perSecond(trialMs!, async () => {
      for (let calls = 0; calls < callsPerStep; calls++) await call();
    });
    return { perSecond: stepsPerSecond * callsPerStep * unitsPerCall };
  };
}

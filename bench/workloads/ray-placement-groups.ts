import * as ray from "mantaray";
import type { RayWorkload } from "./ray-workload.ts";

const GROUPS_AT_ONCE = 100;
/** Ray's row takes so much of a resource of its own; here it is of a processor. */
const BUNDLE = { CPU: 0.001 };

export const RAY_PLACEMENT_GROUP_WORKLOADS: Readonly<Record<string, RayWorkload>> = {
  "placement_group_create/removal": {
    unitsPerCall: GROUPS_AT_ONCE,
    prepare: async () => async () => {
      const groups = Array.from({ length: GROUPS_AT_ONCE }, () => ray.placementGroup([BUNDLE]));
      for (const group of groups) await group.wait();
      await Promise.all(groups.map((group) => ray.removePlacementGroup(group)));
    },
  },
};

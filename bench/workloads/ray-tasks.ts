import * as ray from "mantaray";
import { BATCH_CALLS, CLIENTS, OK } from "./ray-workload.ts";
import type { RayWorkload } from "./ray-workload.ts";

const TASKS_PER_CLIENT = 10_000;

const small = ray.remote(() => OK);

class TaskClient {
  async smallTasks(count: number): Promise<void> {
    await ray.get(Array.from({ length: count }, () => small.remote()));
  }
}

export const RAY_TASK_WORKLOADS = {
  single_client_tasks_and_get_batch: {
    unitsPerCall: 1,
    prepare: async () => () => ray.get(Array.from({ length: BATCH_CALLS }, () => small.remote())),
  },
  single_client_tasks_sync: {
    unitsPerCall: 1,
    prepare: async () => () => ray.get(small.remote()),
  },
  single_client_tasks_async: {
    unitsPerCall: BATCH_CALLS,
    prepare: async () => () => ray.get(Array.from({ length: BATCH_CALLS }, () => small.remote())),
  },
  multi_client_tasks_async: {
    unitsPerCall: CLIENTS * TASKS_PER_CLIENT,
    prepare: async () => {
      const Client = ray.remote(TaskClient);
      const clients = Array.from({ length: CLIENTS }, () => Client.remote());
      await ray.get(clients.map((client) => client.ready()));
      return () => ray.get(clients.map((client) => client.smallTasks.remote(TASKS_PER_CLIENT)));
    },
  },
} as const satisfies Record<string, RayWorkload>;

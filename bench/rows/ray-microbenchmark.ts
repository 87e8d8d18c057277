/**
 * The rows of `ray microbenchmark` that make sense on one machine without Ray Client,
 * under its own names, with the best figure that Ray has published for each since 1.8. Those come from one
 * machine with 64 virtual CPUs (AWS m5.16xlarge).
 */
import { CALLS_PER_SECOND, MANTARAY } from "./row.ts";
import type { PublishedFigure, Row } from "./row.ts";

const RELEASE_LOGS = "release logs of Ray 1.8 to 2.31";

const PUBLISHED: readonly (readonly [row: string, title: string, published: PublishedFigure, unit?: string])[] = [
  ["single_client_get_calls_Plasma_Store", "get of one small object", { value: 10_975, source: "Ray 2.43, PR 51535" }],
  ["single_client_put_calls_Plasma_Store", "put of one small object", { value: 6_461, source: `Ray 1.8, ${RELEASE_LOGS}` }],
  ["multi_client_put_calls_Plasma_Store", "puts of small objects by 10 tasks", { value: 16_770, source: "Ray 2.47, PR 54647" }],
  ["single_client_put_gigabytes", "put of 800 MiB", { value: 21.3, source: `Ray 2.21, ${RELEASE_LOGS}` }, "GB/s"],
  ["multi_client_put_gigabytes", "10 puts of 80 MiB by 10 tasks", { value: 47.6, source: "Ray 2.52, PR 59553" }, "GB/s"],
  ["single_client_tasks_and_get_batch", "batches of 1000 tasks", { value: 15.2, source: `Ray 1.10, ${RELEASE_LOGS}` }],
  ["single_client_get_object_containing_10k_refs", "get of one object with 10,000 refs", { value: 14.8, source: `Ray 2.7, ${RELEASE_LOGS}` }],
  ["single_client_wait_1k_refs", "1000 waits for 1000 refs", { value: 5.67, source: `Ray 2.4, ${RELEASE_LOGS}` }],
  ["single_client_tasks_sync", "tasks, one at a time", { value: 1_781, source: `Ray 1.12, ${RELEASE_LOGS}` }],
  ["single_client_tasks_async", "tasks, 1000 at a time", { value: 14_390, source: `Ray 1.10, ${RELEASE_LOGS}` }],
  ["multi_client_tasks_async", "10,000 tasks from each of 4 actors", { value: 46_643, source: `Ray 1.12, ${RELEASE_LOGS}` }],
  ["1_1_actor_calls_sync", "calls on one actor, one at a time", { value: 2_887, source: `Ray 1.12, ${RELEASE_LOGS}` }],
  ["1_1_actor_calls_async", "calls on one actor, 1000 at a time", { value: 9_231, source: `Ray 2.21, ${RELEASE_LOGS}` }],
  ["1_1_actor_calls_concurrent", "the same, 16 running at once", { value: 5_775, source: "Ray 2.48, microbenchmark.json" }],
  ["1_n_actor_calls_async", "one actor calls n others 5000 times each", { value: 15_615, source: `Ray 1.9, ${RELEASE_LOGS}` }],
  ["n_n_actor_calls_async", "4 tasks call n actors 5000 times each", { value: 46_045, source: `Ray 1.9, ${RELEASE_LOGS}` }],
  ["n_n_actor_calls_with_arg_async", "n actors call n others with a ref", { value: 4_106, source: "Ray 2.50, PR 58175" }],
  ["1_1_async_actor_calls_sync", "calls on one async actor, one at a time", { value: 1_993, source: `Ray 1.12, ${RELEASE_LOGS}` }],
  ["1_1_async_actor_calls_async", "calls on one async actor, 1000 at a time", { value: 5_129, source: "Ray 2.39, PR 48915" }],
  ["1_1_async_actor_calls_with_args_async", "the same, with a number", { value: 3_278, source: "Ray 2.39, PR 48915" }],
  ["1_n_async_actor_calls_async", "one actor calls n async ones 5000 times each", { value: 15_150, source: `Ray 1.9, ${RELEASE_LOGS}` }],
  ["placement_group_create/removal", "placement groups of one bundle, 100 made, awaited and removed", { value: 1_468, source: `Ray 1.11, ${RELEASE_LOGS}` }],
  ["n_n_async_actor_calls_async", "4 tasks call n async actors 5000 times each", { value: 40_161, source: `Ray 1.9, ${RELEASE_LOGS}` }],
];

/** Large objects are smaller by this in a quick run; the amount per second stays comparable. */
const QUICK_OBJECT_DIVISOR = 10;

export const RAY_ROWS: readonly Row[] = PUBLISHED.map(([key, title, published, unit]) => ({
  key,
  group: "Ray's microbenchmark",
  title,
  figures: [{ ...CALLS_PER_SECOND, unit: unit ?? CALLS_PER_SECOND.unit }],
  contestants: MANTARAY,
  baseline: "mantaray-thread",
  published,
  measure: async (peer, bench) =>
    (await bench.resident(peer)).run(`ray:${key}`, {
      trialMs: bench.trialMs,
      objectDivisor: bench.isQuick ? QUICK_OBJECT_DIVISOR : 1,
    }),
}));

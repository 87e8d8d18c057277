import { ACTOR_ROWS } from "./actors.ts";
import { CLUSTER_ROWS } from "./clusters.ts";
import { COMPUTING_ROWS } from "./computing.ts";
import { MEMORY_ROWS } from "./memory.ts";
import { NODE_ROWS } from "./nodes.ts";
import { OBJECT_ROWS } from "./objects.ts";
import { RAY_ROWS } from "./ray-microbenchmark.ts";
import { RECOVERY_ROWS } from "./recovery.ts";
import type { Row } from "./row.ts";
import { STARTING_ROWS } from "./starting.ts";
import { TASK_ROWS } from "./tasks.ts";
import { TYPING_ROWS } from "./typing.ts";

export const ALL_ROWS: readonly Row[] = [
  ...TASK_ROWS,
  ...ACTOR_ROWS,
  ...COMPUTING_ROWS,
  ...STARTING_ROWS,
  ...OBJECT_ROWS,
  ...NODE_ROWS,
  ...CLUSTER_ROWS,
  ...RECOVERY_ROWS,
  ...MEMORY_ROWS,
  ...TYPING_ROWS,
  ...RAY_ROWS,
];

import type { JobId } from "../base/mod.ts";
import type { RuntimeEnvRecord } from "./runtime-env.ts";

export type WorkerIsolation = "thread" | "process";

/** What a worker is from its start to its end: only work that wants exactly this may run there. Plain data. */
export interface WorkerKind {
  readonly isolation: WorkerIsolation;
  /** Null: as the program that started the runtime. */
  readonly runtimeEnv: RuntimeEnvRecord | null;
  /** What it may use before it is ended; null without limit. */
  readonly memoryLimitBytes: number | null;
  /** That it is started for, and lives in one process with others of; null: of the first that uses it. Said by its node alone. */
  readonly jobId: JobId | null;
}

const PLAIN_KINDS: Readonly<Record<WorkerIsolation, WorkerKind>> = {
  thread: { isolation: "thread", runtimeEnv: null, memoryLimitBytes: null, jobId: null },
  process: { isolation: "process", runtimeEnv: null, memoryLimitBytes: null, jobId: null },
};

/** A thread cannot have a folder of its own to work in. */
export function workerKindOf(isolation: WorkerIsolation, runtimeEnv: RuntimeEnvRecord | null, memoryLimitBytes: number | null = null): WorkerKind {
  if (runtimeEnv === null && memoryLimitBytes === null) return plainWorkerKind(isolation);
  return { isolation: (runtimeEnv?.workingDir ?? null) === null ? isolation : "process", runtimeEnv, memoryLimitBytes, jobId: null };
}

export function plainWorkerKind(isolation: WorkerIsolation): WorkerKind {
  return PLAIN_KINDS[isolation];
}

/** The same for equal kinds, and for no others. */
export function workerKindKeyOf({ isolation, runtimeEnv, memoryLimitBytes, jobId }: WorkerKind): string {
  const env = runtimeEnv === null ? "" : ` env=${runtimeEnv.hash}`;
  const memory = memoryLimitBytes === null ? "" : ` memory=${memoryLimitBytes}`;
  return jobId === null ? isolation + env + memory : `${isolation}${env}${memory} job=${jobId}`;
}

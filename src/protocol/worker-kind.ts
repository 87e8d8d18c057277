import type { RuntimeEnvRecord } from "./runtime-env.ts";

export type WorkerIsolation = "thread" | "process";

/** What a worker is from its start to its end: only work that wants exactly this may run there. Plain data. */
export interface WorkerKind {
  readonly isolation: WorkerIsolation;
  /** Null: as the program that started the runtime. */
  readonly runtimeEnv: RuntimeEnvRecord | null;
  /** What it may use before it is ended; null without limit. */
  readonly memoryLimitBytes: number | null;
}

const PLAIN_KINDS: Readonly<Record<WorkerIsolation, WorkerKind>> = {
  thread: { isolation: "thread", runtimeEnv: null, memoryLimitBytes: null },
  process: { isolation: "process", runtimeEnv: null, memoryLimitBytes: null },
};

/** A thread cannot have a folder of its own to work in. */
export function workerKindOf(isolation: WorkerIsolation, runtimeEnv: RuntimeEnvRecord | null, memoryLimitBytes: number | null = null): WorkerKind {
  if (runtimeEnv === null && memoryLimitBytes === null) return plainWorkerKind(isolation);
  return { isolation: (runtimeEnv?.workingDir ?? null) === null ? isolation : "process", runtimeEnv, memoryLimitBytes };
}

export function plainWorkerKind(isolation: WorkerIsolation): WorkerKind {
  return PLAIN_KINDS[isolation];
}

/** The same for equal kinds, and for no others. */
export function workerKindKeyOf({ isolation, runtimeEnv, memoryLimitBytes }: WorkerKind): string {
  const env = runtimeEnv === null ? "" : ` env=${runtimeEnv.hash}`;
  return memoryLimitBytes === null ? isolation + env : `${isolation}${env} memory=${memoryLimitBytes}`;
}

import assert from "node:assert/strict";
import { test } from "node:test";
import { plainWorkerKind, workerKindKeyOf, type WorkerKind } from "./worker-kind.ts";

test("kinds of workers: equal ones have the same key, and each difference makes another", () => {
  const env = (hash: string): WorkerKind["runtimeEnv"] => ({ hash, envVars: {}, workingDir: null, npm: [], config: { setupTimeoutMs: 1 }, failure: null });
  const kinds: WorkerKind[] = [plainWorkerKind("thread"), plainWorkerKind("process")];
  for (const isolation of ["thread", "process"] as const) {
    kinds.push({ isolation, runtimeEnv: env("a"), memoryLimitBytes: null, jobId: null }, { isolation, runtimeEnv: env("b"), memoryLimitBytes: null, jobId: null });
    kinds.push({ isolation, runtimeEnv: null, memoryLimitBytes: 1000, jobId: null }, { isolation, runtimeEnv: env("a"), memoryLimitBytes: 1000, jobId: null });
  }
  kinds.push(...kinds.map((kind) => ({ ...kind, jobId: "a" })), { ...plainWorkerKind("thread"), jobId: "b" });
  assert.equal(new Set(kinds.map(workerKindKeyOf)).size, kinds.length);
  for (const kind of kinds) assert.equal(workerKindKeyOf(structuredClone(kind)), workerKindKeyOf(kind));
});

import assert from "node:assert/strict";
import { test } from "node:test";
import { workerKindOf, type WorkerDeath } from "../protocol/mod.ts";
import { deathWithinLimit } from "./memory-limits.ts";

const limited = workerKindOf("thread", null, 64 * 2 ** 20);
const seen: WorkerDeath = { reason: "exited with code 1", pid: 7, isRetryable: true };
const exhausted: WorkerDeath = { reason: "ran out of heap memory", pid: 7, isRetryable: false, isHeapExhausted: true };

test("a worker that was ended for its memory, or filled its heap, says what it used, what it might, and what to do", () => {
  assert.deepEqual(deathWithinLimit(limited, 100 * 2 ** 20, seen), {
    reason: "used 100 MiB, more than its limit of 64 MiB (memory: 67108864), and was ended; raise 'memory', or keep less in memory at once", pid: 7, isRetryable: false, isOutOfMemory: true,
  });
  assert.match(deathWithinLimit(limited, null, exhausted).reason, /^filled the heap of its limit of 64 MiB \(memory: 67108864\); raise 'memory'/);
  assert.match(deathWithinLimit(workerKindOf("process", null, 1_500_000), null, exhausted).reason, /limit of 1\.4 MiB/);
});

test("other ends are what they were", () => {
  assert.equal(deathWithinLimit(limited, null, seen), seen);
  assert.equal(deathWithinLimit(workerKindOf("thread", null), null, exhausted), exhausted);
});

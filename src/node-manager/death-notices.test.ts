import assert from "node:assert/strict";
import { test } from "node:test";
import type { WorkerDeath } from "../protocol/mod.ts";
import { deathFor } from "./death-notices.ts";

test("an owner hears which of its own tasks had begun, and nothing of those of others", () => {
  const plain: WorkerDeath = { reason: "was killed", pid: 7, isRetryable: true };
  assert.equal(deathFor("a", plain), plain);
  const death: WorkerDeath = { ...plain, begun: new Map([["a", new Set([1])], ["b", new Set([2])]]) };
  assert.deepEqual(deathFor("a", death), { ...plain, begun: new Map([["a", new Set([1])]]) });
  assert.deepEqual(deathFor("c", death), plain);
});

import assert from "node:assert/strict";
import { test } from "node:test";
import { workersToEnd } from "./forced-ends.ts";

const lease = (leaseId: number, ownerId: string, workerId: string): { leaseId: number; ownerId: string; workerId: string } => ({ leaseId, ownerId, workerId });

test("only the worker that has the lease", () => {
  assert.deepEqual([...workersToEnd([lease(1, "driver", "a"), lease(2, "a", "b")], "a", 1, false, "driver")], ["a"]);
});

test("nobody once the lease has ended, or if another worker has it", () => {
  assert.deepEqual([...workersToEnd([lease(2, "driver", "a")], "a", 1, true, "driver")], []);
  assert.deepEqual([...workersToEnd([lease(1, "driver", "a")], "b", 1, true, "driver")], []);
});

test("with what it has submitted, however deep, in circles too, but not who asks", () => {
  const leases = [lease(1, "asker", "a"), lease(2, "a", "b"), lease(3, "b", "c"), lease(4, "c", "a"), lease(5, "c", "asker"), lease(6, "asker", "d"), lease(7, "driver", "e")];
  assert.deepEqual([...workersToEnd(leases, "a", 1, true, "asker")].sort(), ["a", "b", "c"]);
});

import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { WorkerDeath } from "../protocol/mod.ts";
import { StartFailures } from "./start-failures.ts";

const failed: WorkerDeath = { reason: "exited with code 1", pid: 1, isRetryable: true };
const killed = (pid: number): WorkerDeath => ({ reason: "was killed by signal SIGKILL", pid, isRetryable: true, wasKilled: true });

describe("workers that do not start", () => {
  test("are given up at the third in a row", () => {
    const failures = new StartFailures();
    assert.deepEqual([failures.add(failed), failures.add(failed), failures.add(failed)], [false, false, true]);
    failures.reset();
    assert.equal(failures.add(failed), false);
  });

  test("count once for each process that was killed, and many of those are borne", () => {
    const failures = new StartFailures();
    for (let thread = 0; thread < 32; thread++) assert.equal(failures.add(killed(7)), false);
    const outcomes = Array.from({ length: 19 }, (_, index) => failures.add(killed(8 + index)));
    assert.deepEqual([outcomes.indexOf(true), outcomes.length], [18, 19]);
  });
});

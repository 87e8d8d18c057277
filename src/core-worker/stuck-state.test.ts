import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { RootReason } from "./explanation.ts";
import { StuckState } from "./stuck-state.ts";

const AFTER_MS = 10_000;
const root = (key: string, rest: Partial<RootReason> = {}): RootReason => ({ key, reason: "resources", message: `because of ${key}`, isGoingOn: false, wasTold: false, ...rest });

/** At that time. */
function stuckAt(state: StuckState, nowMs: number, pending: readonly string[], own: readonly RootReason[], all = own): string[] | null {
  return state.look(nowMs, pending).length === 0 ? null : state.surveyed(nowMs, own, all);
}

describe("what has been pending for too long", () => {
  test("is asked for when it is still there, and told once", () => {
    const state = new StuckState(AFTER_MS);
    assert.equal(stuckAt(state, 0, ["a"], [root("r")]), null);
    assert.equal(stuckAt(state, 9_000, ["a", "b"], [root("r")]), null);
    assert.deepEqual(stuckAt(state, 10_000, ["a", "b"], [root("r")]), ["because of r"]);
    assert.deepEqual(stuckAt(state, 60_000, ["a", "b"], [root("r")]), []);
  });

  test("is not asked for while other things take its place", () => {
    const state = new StuckState(AFTER_MS);
    for (let nowMs = 0; nowMs < 100_000; nowMs += 2_500) assert.deepEqual(state.look(nowMs, [`${nowMs}`, `${nowMs + 2_500}`]), []);
  });

  test("is asked for less and less often while it goes on", () => {
    const state = new StuckState(AFTER_MS);
    const surveysMs: number[] = [];
    for (let nowMs = 0; nowMs <= 160_000; nowMs += 2_500) if (stuckAt(state, nowMs, ["long"], [root("r", { isGoingOn: true })]) !== null) surveysMs.push(nowMs);
    assert.deepEqual(surveysMs, [10_000, 20_000, 40_000, 80_000, 160_000]);
  });

  test("is told when its reason has been there for so long, and not when others come and go", () => {
    const state = new StuckState(AFTER_MS);
    stuckAt(state, 0, ["parent"], []);
    assert.deepEqual(stuckAt(state, 10_000, ["parent"], [], [root("young")]), []);
    assert.deepEqual(stuckAt(state, 20_000, ["parent"], [], [root("other")]), []);
    assert.deepEqual(stuckAt(state, 30_000, ["parent"], [], [root("other")]), ["because of other"]);
  });

  test("a cycle is told at once, what was told by others is not", () => {
    const state = new StuckState(AFTER_MS);
    stuckAt(state, 0, ["parent"], []);
    assert.deepEqual(stuckAt(state, 10_000, ["parent"], [], [root("c", { reason: "cycle" }), root("told", { wasTold: true })]), ["because of c"]);
  });
});

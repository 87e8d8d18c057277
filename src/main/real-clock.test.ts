import assert from "node:assert/strict";
import { test } from "node:test";
import { realClock } from "./real-clock.ts";

const TIMER_MS_MAX = 2 ** 31 - 1;

test("waits for longer than a timer can, and is cancelled in the midst of it", ({ mock }) => {
  mock.timers.enable({ apis: ["setTimeout"] });
  let calls = 0;
  realClock.after(2 * TIMER_MS_MAX + 500, () => calls++);
  const cancelled = realClock.after(2 * TIMER_MS_MAX, () => assert.fail("it was cancelled"));
  const never = realClock.after(Number.POSITIVE_INFINITY, () => assert.fail("it never comes"));
  mock.timers.tick(TIMER_MS_MAX);
  cancelled.cancel();
  mock.timers.tick(TIMER_MS_MAX);
  mock.timers.tick(499);
  assert.equal(calls, 0);
  mock.timers.tick(1);
  assert.equal(calls, 1);
  never.cancel();
});

import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { Clock } from "../base/mod.ts";
import type { HeldUp } from "./held-up.ts";
import { WaitingWatch } from "./waiting-watch.ts";

const task = (key: string): HeldUp => ({ wanted: {}, task: { ownerId: "driver", key }, actorId: null, reason: "1 licence" });
const actor = (actorId: string): HeldUp => ({ wanted: {}, task: null, actorId, reason: "1 licence" });

function watch(): { watch: WaitingWatch; heldUp: HeldUp[]; told: HeldUp[]; tick(): boolean } {
  const timers: (() => void)[] = [];
  const clock: Clock = { nowMs: () => 0, after: (_delayMs, callback) => { timers.push(callback); return { cancel: () => void timers.splice(timers.indexOf(callback), 1) }; } };
  const made = { heldUp: [] as HeldUp[], told: [] as HeldUp[] };
  const watching = new WaitingWatch({ clock, heldUp: () => made.heldUp, tell: (one) => made.told.push(one) });
  return Object.assign(made, { watch: watching, tick: () => { const timer = timers.shift(); timer?.(); return timer !== undefined; } });
}

describe("the watch over those who wait", () => {
  test("says once of each that it is held up, at the second look", () => {
    const { watch: watching, heldUp, told, tick } = watch();
    heldUp.push(task("a"));
    watching.somebodyWaits();
    watching.somebodyWaits();
    tick();
    assert.deepEqual(told, []);
    heldUp.push(actor("b"));
    tick();
    assert.deepEqual(told, [task("a")]);
    tick();
    assert.deepEqual(told, [task("a"), actor("b")]);
    assert.equal(tick(), false, "nobody is left to tell of");
  });

  test("does not speak of those who got on, and looks no longer than somebody waits", () => {
    const { watch: watching, heldUp, told, tick } = watch();
    heldUp.push(task("a"));
    watching.somebodyWaits();
    tick();
    heldUp.length = 0;
    assert.equal(tick(), true);
    assert.equal(tick(), false);
    assert.deepEqual(told, []);
  });

  test("says it again of one who got on and is held up again, and nothing after its end", () => {
    const { watch: watching, heldUp, told, tick } = watch();
    for (let round = 0; round < 2; round++) {
      heldUp.push(task("a"));
      watching.somebodyWaits();
      while (tick());
      heldUp.length = 0;
      watching.somebodyWaits();
      while (tick());
    }
    assert.equal(told.length, 2);
    watching.somebodyWaits();
    watching.stop();
    assert.equal(tick(), false);
  });
});

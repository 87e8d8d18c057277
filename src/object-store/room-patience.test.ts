import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { RoomPatience } from "./room-patience.ts";

describe("who waits for memory", () => {
  test("waits one period when nothing happens, and on while others get some or objects get to disk", () => {
    assert.equal(new RoomPatience(5).goesOn(5, false), false);
    const patience = new RoomPatience(5);
    for (let progress = 6; progress < 100; progress++) assert.equal(patience.goesOn(progress, progress % 2 === 0), true);
    assert.equal(patience.goesOn(99, false), false);
  });

  test("waits for a slow disk, not for ever for one that hangs", () => {
    const patience = new RoomPatience(0);
    let periods = 0;
    while (patience.goesOn(0, true)) periods++;
    assert.ok(periods >= 5 && periods <= 20, `${periods}`);
    assert.equal(patience.goesOn(1, true), true, "it has gone on");
    assert.equal(patience.goesOn(1, true), true);
  });
});

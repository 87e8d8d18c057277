import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { ResourceAmounts } from "../base/mod.ts";
import { givenByBundle, takenFromNode } from "../scheduling/mod.ts";
import { inTurns, LastTurns, Shares, type Taker } from "./turns.ts";

/** Takes so many of these, while `room` lasts, and notes each. */
function* taking(name: string, amounts: ResourceAmounts, count: number, taken: string[], room = { left: Infinity }): Generator<ResourceAmounts> {
  for (let index = 0; index < count; index++) {
    if (room.left === 0) return;
    room.left--;
    taken.push(name);
    yield amounts;
  }
}

function take(takers: ReadonlyMap<string, Taker>, shares: () => Shares, lastTurns = new LastTurns()): unknown[] {
  return [...inTurns(takers, shares, lastTurns)];
}

describe("turns", () => {
  test("a share is that of the resource that a holder has most of", () => {
    const shares = new Shares({ CPU: 8, GPU: 2 });
    shares.add("a", { CPU: 2 });
    shares.add("a", { CPU: 1, GPU: 1, other: 5 });
    assert.deepEqual([shares.of("a"), shares.of("b")], [0.5, 0]);
  });

  test("what is taken from a bundle of a placement group is a part of the machine as well, and counts once", () => {
    const shares = new Shares({ CPU: 8, ...givenByBundle({ CPU: 2 }, "g", 0) });
    shares.add("a", takenFromNode({ CPU: 2 }, { groupId: "g", bundleIndex: 0, capturesChildren: false }));
    shares.add("b", takenFromNode({ CPU: 1 }, { groupId: "g", bundleIndex: -1, capturesChildren: false }));
    assert.deepEqual([shares.of("a"), shares.of("b")], [0.25, 0.125]);
  });

  test("whoever has least comes next", () => {
    const taken: string[] = [];
    const shares = new Shares({ CPU: 8 });
    shares.add("a", { CPU: 2 });
    const room = { left: 6 };
    const amounts = take(new Map([["a", taking("a", { CPU: 1 }, 9, taken, room)], ["b", taking("b", { CPU: 1 }, 9, taken, room)]]), () => shares);
    assert.equal(taken.join(""), "bbabab");
    assert.deepEqual(amounts, Array.from({ length: 6 }, () => ({ CPU: 1 })), "what was taken is told");
  });

  test("one that is served leaves the rest to others, and large things count as what they are", () => {
    const taken: string[] = [];
    take(new Map([["a", taking("a", { CPU: 3 }, 3, taken)], ["b", taking("b", { CPU: 1 }, 4, taken)]]), () => new Shares({ CPU: 100 }));
    assert.equal(taken.join(""), "abbbaba");
  });

  test("things that take nothing are counted", () => {
    const taken: string[] = [];
    take(new Map([["a", taking("a", {}, 3, taken)], ["b", taking("b", {}, 2, taken)]]), () => new Shares({ CPU: 1 }));
    assert.equal(taken.join(""), "ababa");
  });

  test("of those that have nothing, the one that was served longest ago comes next, also where there is room for one thing only", () => {
    const taken: string[] = [];
    const lastTurns = new LastTurns();
    for (let round = 0; round < 7; round++) {
      const room = { left: 1 };
      const names = round < 5 ? ["a", "b"] : ["a", "b", "c"];
      take(new Map(names.map((name) => [name, taking(name, { CPU: 1 }, 9, taken, room)])), () => new Shares({ CPU: 1 }), lastTurns);
    }
    assert.equal(taken.join(""), "ababacb");
  });

  test("a single one takes all, and nobody counts", () => {
    const taken: string[] = [];
    take(new Map([["a", taking("a", { CPU: 1 }, 3, taken)]]), () => assert.fail("not asked"));
    take(new Map(), () => new Shares({}));
    assert.equal(taken.join(""), "aaa");
  });
});

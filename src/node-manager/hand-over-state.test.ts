import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import type { HandedObject } from "../object-store/mod.ts";
import { type HandOverOffer, HandOverState, OFFERED_BYTES_MAX } from "./hand-over-state.ts";

const MIB = 1024 ** 2;
const NODES = ["a", "b"];

function object(id: number, byteLength = MIB, isAdopted = true): HandedObject {
  return { id, byteLength, ownerId: isAdopted ? `owner of ${id}` : null, isAdopted };
}

function placesOf(offers: readonly HandOverOffer[]): (readonly [number, string])[] {
  return offers.map(({ id, node }) => [id, node] as const);
}

describe("the objects of a node that drains", () => {
  test("are offered once each, to the nodes in equal parts", () => {
    const state = new HandOverState();
    const objects = [1, 2, 3, 4].map((id) => object(id));
    assert.deepEqual(placesOf(state.plan(objects, NODES, 0)), [[1, "a"], [2, "b"], [3, "a"], [4, "b"]]);
    assert.deepEqual(state.plan(objects, NODES, 1), []);
    assert.equal(state.isOver, false);
  });

  test("stay here until their owners free them, however long that takes, and do not hold up the node for longer than that takes", () => {
    const state = new HandOverState();
    state.plan([object(1), object(2)], NODES, 0);
    state.taken(1, 10);
    state.taken(2, 10);
    assert.deepEqual(state.plan([object(1), object(2)], NODES, 20), []);
    assert.equal(state.isOver, false);
    assert.deepEqual(state.plan([object(2)], NODES, 20), []);
    assert.equal(state.isOver, false);
    assert.deepEqual(state.plan([object(2)], NODES, 10_000), [], "another node has it: its owner will hear of it");
    assert.deepEqual([state.isOver, state.leftBehind], [true, { objects: 0, bytes: 0 }]);
  });

  test("are not offered before their owners know them, and waited for", () => {
    const state = new HandOverState();
    assert.deepEqual(state.plan([object(1, MIB, false)], NODES, 0), []);
    assert.equal(state.isOver, false);
    assert.deepEqual(placesOf(state.plan([object(1)], NODES, 1)), [[1, "a"]]);
  });

  test("go elsewhere when a node refuses them, is lost, or does not answer, and are left behind when no node is left", () => {
    const state = new HandOverState();
    state.plan([object(1)], NODES, 0);
    state.refused(1, "a", "failed");
    assert.deepEqual(placesOf(state.plan([object(1)], NODES, 1)), [[1, "b"]]);
    state.nodeLost("b");
    assert.deepEqual(placesOf(state.plan([object(1)], ["a", "c"], 2)), [[1, "c"]]);
    assert.deepEqual(placesOf(state.plan([object(1)], ["a", "c"], 100_000)), []);
    assert.deepEqual([state.isOver, state.leftBehind], [true, { objects: 1, bytes: MIB }]);
    assert.deepEqual(placesOf(state.plan([object(1)], ["a", "c", "d"], 100_001)), [[1, "d"]], "there is another node now");
    assert.equal(state.isOver, false);
  });

  test("that are no smaller than what a full node had no room for are not offered there, until all are tried again", () => {
    const state = new HandOverState();
    state.plan([object(1, 4 * MIB)], ["a"], 0);
    state.refused(1, "a", "full");
    const objects = [object(1, 4 * MIB), object(2, 5 * MIB), object(3, MIB)];
    assert.deepEqual(placesOf(state.plan(objects, ["a"], 1)), [[3, "a"]]);
    state.tryAllAgain();
    assert.deepEqual(placesOf(state.plan(objects, ["a"], 2)), [[1, "a"], [2, "a"]]);
  });

  test("are on their way in limited numbers and bytes, but one of whatever size", () => {
    const state = new HandOverState();
    const large = [1, 2].map((id) => object(id, 2 * OFFERED_BYTES_MAX));
    assert.deepEqual(placesOf(state.plan(large, NODES, 0)), [[1, "a"]]);
    state.taken(1, 1);
    assert.deepEqual(placesOf(state.plan(large, NODES, 1)), [[2, "b"]]);
    const many = new HandOverState();
    assert.equal(many.plan(Array.from({ length: 1_000 }, (_, id) => object(id, 1_000)), NODES, 0).length, 64);
  });

  test("come to an end whatever the others answer, each offered to a node at most once, and nothing is left behind that some node would have taken", () => {
    const sizes = fc.array(fc.integer({ min: 1, max: 40 }), { maxLength: 30 });
    fc.assert(fc.property(sizes, fc.array(fc.integer({ min: 0, max: 300 }), { maxLength: 4 }), fc.infiniteStream(fc.integer({ min: 0, max: 99 })), (megabytes, rooms, chance) => {
      const state = new HandOverState();
      const here = new Map(megabytes.map((size, id) => [id, object(id, size * MIB)]));
      const room = new Map(rooms.map((size, index) => [`node${index}`, size * MIB]));
      const next = (): number => chance.next().value as number;
      const open: HandOverOffer[] = [];
      const offered = new Set<string>();
      for (let nowMs = 0; ; nowMs += 10) {
        assert.ok(nowMs < 1_000_000, "it ends");
        for (const offer of state.plan(here.values(), [...room.keys()], nowMs)) {
          assert.ok(!offered.has(`${offer.id} ${offer.node}`), "twice");
          offered.add(`${offer.id} ${offer.node}`);
          open.push(offer);
        }
        if (state.isOver) break;
        const [offer] = open.splice(next() % Math.max(1, open.length), 1);
        if (offer === undefined) continue;
        const left = room.get(offer.node);
        if (left === undefined) continue;
        const answer = next();
        if (answer < 5) {
          room.delete(offer.node);
          state.nodeLost(offer.node);
        } else if (left < offer.byteLength) state.refused(offer.id, offer.node, "full");
        else {
          room.set(offer.node, left - offer.byteLength);
          state.taken(offer.id, nowMs);
          here.delete(offer.id);
        }
      }
      assert.equal(state.leftBehind.objects, here.size);
      for (const { byteLength } of here.values()) for (const left of room.values()) assert.ok(left < byteLength, `${left} bytes are free, and ${byteLength} were left behind`);
    }), { numRuns: 300 });
  });
});

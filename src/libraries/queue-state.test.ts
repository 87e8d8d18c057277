import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { QueueState } from "./queue-state.ts";

type State = QueueState<number, string, string>;
const ofSize = (sizeMax: number): State => new QueueState(sizeMax);

describe("QueueState", () => {
  it("gives items in the order in which they came", () => {
    const state = ofSize(Number.POSITIVE_INFINITY);
    state.put([1, 2]);
    state.put([3]);
    assert.deepEqual(state.get(2), { items: [1, 2], admitted: [] });
    assert.deepEqual(state.getOrWait("r"), { items: [3], admitted: [] });
    assert.equal(state.size, 0);
  });

  it("hands items to readers that wait, in the order of their coming, and past those that gave up", () => {
    const state = ofSize(1);
    for (const reader of ["a", "b", "c"]) assert.equal(state.getOrWait(reader), null);
    assert.equal(state.giveUpReading("b"), true);
    assert.deepEqual(state.put([1]), [{ reader: "a", item: 1 }]);
    assert.deepEqual(state.put([2]), [{ reader: "c", item: 2 }]);
    assert.equal(state.size, 0);
    assert.equal(state.giveUpReading("c"), false, "it was served");
  });

  it("lets writers in, in the order of their coming, as items are taken", () => {
    const state = ofSize(1);
    assert.deepEqual(state.putOrWait(1, "first"), []);
    for (const [item, writer] of [[2, "a"], [3, "b"], [4, "c"]] as const) assert.equal(state.putOrWait(item, writer), null);
    assert.equal(state.put([9]), null, "nobody overtakes those who wait");
    assert.equal(state.giveUpWriting("b"), true);
    assert.deepEqual(state.get(1), { items: [1], admitted: ["a"] });
    assert.deepEqual(state.get(1), { items: [2], admitted: ["c"] });
    assert.deepEqual(state.get(1), { items: [4], admitted: [] });
    assert.equal(state.giveUpWriting("c"), false, "it was let in");
  });

  it("takes and gives batches whole or not at all", () => {
    const state = ofSize(3);
    assert.deepEqual(state.put([1, 2]), []);
    assert.equal(state.put([3, 4]), null);
    assert.equal(state.get(3), null);
    assert.equal(state.size, 2);
    assert.deepEqual(state.put([]), []);
    assert.deepEqual(state.get(0), { items: [], admitted: [] });
    assert.deepEqual(state.put([3]), []);
    assert.equal(state.isFull, true);
  });

  it("what comes back goes before all others, to readers that wait first", () => {
    const state = ofSize(2);
    state.put([3, 4]);
    assert.deepEqual(state.putBack([1, 2]), []);
    assert.equal(state.isFull, true);
    assert.equal(state.put([5]), null, "there is more than fits already");
    assert.deepEqual(state.get(4)?.items, [1, 2, 3, 4]);
    state.getOrWait("a");
    assert.deepEqual(state.putBack([1, 2, 3]), [{ reader: "a", item: 1 }]);
    assert.deepEqual(state.get(2)?.items, [2, 3]);
    assert.deepEqual(state.putBack([]), []);
  });

  it("behaves as a plain list would, whatever happens in whatever order", () => {
    const event = fc.oneof(
      fc.record({ type: fc.constant("put" as const), count: fc.integer({ min: 0, max: 3 }) }),
      fc.record({ type: fc.constant("putOrWait" as const) }),
      fc.record({ type: fc.constant("getOrWait" as const) }),
      fc.record({ type: fc.constant("get" as const), count: fc.integer({ min: 0, max: 3 }) }),
      fc.record({ type: fc.constant("giveUpReading" as const), who: fc.integer({ min: 0, max: 20 }) }),
      fc.record({ type: fc.constant("giveUpWriting" as const), who: fc.integer({ min: 0, max: 20 }) }),
    );
    fc.assert(fc.property(fc.integer({ min: 1, max: 4 }), fc.array(event, { maxLength: 60 }), (sizeMax, events) => {
      const state = ofSize(sizeMax);
      const put: number[] = [];
      const got: number[] = [];
      const lost = new Set<number>();
      const readers: string[] = [];
      const writers: { name: string; item: number }[] = [];
      let next = 0;
      let names = 0;
      const handOver = (handovers: readonly { reader: string; item: number }[]): void => {
        for (const { reader, item } of handovers) {
          assert.equal(reader, readers.shift());
          got.push(item);
        }
      };
      const take = (taken: { items: number[]; admitted: readonly string[] }): void => {
        got.push(...taken.items);
        for (const writer of taken.admitted) {
          const first = writers.shift();
          assert.equal(writer, first?.name);
          put.push(first?.item as number);
        }
      };
      for (const each of events) {
        if (each.type === "put") {
          const items = Array.from({ length: each.count }, () => next++);
          const handovers = state.put(items);
          if (handovers === null) continue;
          put.push(...items);
          handOver(handovers);
        } else if (each.type === "putOrWait") {
          const [item, name] = [next++, `w${names++}`];
          const handovers = state.putOrWait(item, name);
          if (handovers === null) writers.push({ name, item });
          else { put.push(item); handOver(handovers); }
        } else if (each.type === "get") {
          const taken = state.get(each.count);
          if (taken !== null) take(taken);
        } else if (each.type === "getOrWait") {
          const name = `r${names++}`;
          const taken = state.getOrWait(name);
          if (taken === null) readers.push(name);
          else take(taken);
        } else if (each.type === "giveUpReading") {
          const index = readers.indexOf(`r${each.who}`);
          assert.equal(state.giveUpReading(`r${each.who}`), index >= 0);
          if (index >= 0) readers.splice(index, 1);
        } else {
          const index = writers.findIndex(({ name }) => name === `w${each.who}`);
          assert.equal(state.giveUpWriting(`w${each.who}`), index >= 0);
          if (index >= 0) lost.add((writers.splice(index, 1)[0] as { item: number }).item);
        }
        assert.ok(state.size <= sizeMax);
        assert.equal(state.size, put.length - got.length);
        assert.ok(readers.length === 0 || state.size === 0, "readers wait only for lack of items");
        assert.ok(writers.length === 0 || state.isFull, "writers wait only for lack of room");
      }
      assert.deepEqual(got, put.slice(0, got.length), "what came first went first, each item once");
      assert.ok(put.every((item) => !lost.has(item)), "what was given up was never in");
    }));
  });
});

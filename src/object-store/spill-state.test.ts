import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { type SpillInstruction, SpillState } from "./spill-state.ts";

const remove = (fileId: number): SpillInstruction => ({ type: "remove", fileId });
const a = { key: "a", offset: 0, byteLength: 10 };
const b = { key: "b", offset: 40, byteLength: 5 };
const c = { key: "c", offset: 0, byteLength: 7 };

function keptFile(state: SpillState): number {
  const [fileId] = state.begin([[a, b]]) as [number];
  assert.deepEqual(state.written(fileId), []);
  return fileId;
}

describe("spill files: the numbered transitions", () => {
  test("(1) (2) objects can be read from when all of their file is written", () => {
    const state = new SpillState();
    const [first, second] = state.begin([[a, b], [c]]) as [number, number];
    assert.deepEqual([state.locate("a"), state.beginRead("a"), state.spilledBytes, state.fileCount], [undefined, undefined, 0, 2]);
    assert.deepEqual(state.written(first), []);
    assert.deepEqual(state.locate("b"), { fileId: first, offset: 40, byteLength: 5 });
    assert.equal(state.locate("c"), undefined);
    assert.equal(state.spilledBytes, 15);
    assert.deepEqual(state.written(second), []);
    assert.equal(state.spilledBytes, 22);
  });

  test("(1) nothing is spilled twice, and a refused call leaves nothing behind", () => {
    const state = new SpillState();
    keptFile(state);
    assert.throws(() => state.begin([[c], [a]]), /object a is spilled twice/);
    assert.throws(() => state.begin([[c], [c]]), /object c is spilled twice/);
    assert.equal(state.fileCount, 1);
    assert.equal(state.begin([[c]]).length, 1);
  });

  test("(2) what is forgotten while it is written cannot be read; a file without any other goes at once", () => {
    const state = new SpillState();
    const [first, second] = state.begin([[a, b], [c]]) as [number, number];
    assert.deepEqual([...state.forget("a"), ...state.forget("c")], []);
    assert.deepEqual(state.written(first), []);
    assert.deepEqual([state.locate("a"), state.spilledBytes], [undefined, 5]);
    assert.deepEqual(state.written(second), [remove(second)]);
  });

  test("(2) an object that is forgotten and spilled again while it is written is the later one", () => {
    const state = new SpillState();
    const [first] = state.begin([[a]]) as [number];
    state.forget("a");
    const [second] = state.begin([[a]]) as [number];
    assert.deepEqual(state.written(second), []);
    assert.deepEqual(state.written(first), [remove(first)]);
    assert.deepEqual(state.locate("a")?.fileId, second);
  });

  test("(3) after a failure nothing is known of the objects", () => {
    const state = new SpillState();
    const [first, second] = state.begin([[a, b], [c]]) as [number, number];
    assert.deepEqual(state.failed(first, true), [remove(first)]);
    assert.deepEqual(state.failed(second, false), [], "a file that was never created needs no removal");
    assert.deepEqual([state.spilledBytes, state.fileCount], [0, 1]);
    keptFile(state);
  });

  test("(4) (5) a file goes with the last of its objects", () => {
    const state = new SpillState();
    const fileId = keptFile(state);
    assert.deepEqual(state.forget("a"), []);
    assert.deepEqual(state.forget("a"), [], "forgotten already");
    assert.equal(state.spilledBytes, 5);
    assert.deepEqual(state.forget("b"), [remove(fileId)]);
    assert.deepEqual([state.spilledBytes, state.fileCount], [0, 1]);
    state.removed(fileId);
    assert.equal(state.fileCount, 0);
  });

  test("(4) a read keeps the file until it is over, and no other can begin once the object is forgotten", () => {
    const state = new SpillState();
    const fileId = keptFile(state);
    state.beginRead("a");
    state.beginRead("b");
    assert.deepEqual(state.forgetAll(), []);
    assert.equal(state.beginRead("a"), undefined);
    assert.deepEqual(state.endRead(fileId), []);
    assert.deepEqual(state.endRead(fileId), [remove(fileId)]);
    assert.throws(() => state.endRead(fileId), /instead of kept/);
  });

  test("(6) (7) a removal that failed is asked for again", () => {
    const state = new SpillState();
    const fileId = keptFile(state);
    assert.deepEqual(state.forgetAll(), [remove(fileId)]);
    assert.deepEqual(state.retryRemovals(), [], "it is under way");
    state.removalFailed(fileId);
    assert.equal(state.fileCount, 1);
    assert.deepEqual(state.retryRemovals(), [remove(fileId)]);
    state.removed(fileId);
    assert.deepEqual([state.retryRemovals(), state.fileCount], [[], 0]);
  });
});

test("random histories: every file is removed exactly once, when it is not needed, and nothing stays", () => {
  const event = fc.record({
    type: fc.constantFrom("begin", "written", "failed", "forget", "beginRead", "endRead", "removed", "removalFailed", "retryRemovals"),
    pick: fc.nat(1000),
    size: fc.integer({ min: 1, max: 4 }),
  });
  fc.assert(
    fc.property(fc.array(event, { maxLength: 80 }), (events) => {
      const state = new SpillState();
      let keyCount = 0;
      // The model: what an observer knows from the events alone.
      const writing = new Map<number, string[]>();
      const kept = new Map<number, Set<string>>();
      const reads: number[] = [];
      const removing = new Set<number>();
      const stuck = new Set<number>();
      const take = (instructions: readonly SpillInstruction[]): void => {
        for (const { fileId } of instructions) {
          assert.ok(!removing.has(fileId) && !reads.includes(fileId) && (kept.get(fileId)?.size ?? 0) === 0);
          stuck.delete(fileId);
          kept.delete(fileId);
          removing.add(fileId);
        }
      };
      const pickOf = <T>(all: Iterable<T>, pick: number): T | undefined => {
        const list = [...all];
        return list[pick % Math.max(1, list.length)];
      };
      const forgotten = new Set<string>();
      const forget = (key: string): void => {
        forgotten.add(key);
        for (const keys of kept.values()) keys.delete(key);
        take(state.forget(key));
      };
      for (const { type, pick, size } of events) {
        if (type === "begin") {
          const keys = Array.from({ length: size }, () => `k${keyCount++}`);
          const [fileId] = state.begin([keys.map((key, index) => ({ key, offset: index, byteLength: 1 }))]) as [number];
          writing.set(fileId, keys);
        } else if (type === "forget" && keyCount > 0) {
          forget(`k${pick % keyCount}`);
        } else if (type === "beginRead" && keyCount > 0) {
          const location = state.beginRead(`k${pick % keyCount}`);
          const isKept = [...kept.values()].some((keys) => keys.has(`k${pick % keyCount}`));
          assert.equal(location !== undefined, isKept);
          if (location !== undefined) reads.push(location.fileId);
        } else if (type === "endRead" && reads.length > 0) {
          take(state.endRead(reads.splice(pick % reads.length, 1)[0]!));
        } else if (type === "retryRemovals") {
          take(state.retryRemovals());
          assert.equal(stuck.size, 0);
        } else if (type === "written" || type === "failed") {
          const fileId = pickOf(writing.keys(), pick);
          if (fileId === undefined) continue;
          const keys = writing.get(fileId)!;
          writing.delete(fileId);
          if (type === "written") kept.set(fileId, new Set(keys.filter((key) => !forgotten.has(key))));
          take(type === "written" ? state.written(fileId) : state.failed(fileId, true));
        } else if (type === "removed" || type === "removalFailed") {
          const fileId = pickOf(removing, pick);
          if (fileId === undefined) continue;
          removing.delete(fileId);
          if (type === "removalFailed") stuck.add(fileId);
          if (type === "removed") state.removed(fileId);
          else state.removalFailed(fileId);
        }
        for (const [fileId, keys] of kept) assert.ok(keys.size > 0 || reads.includes(fileId), "a file that nobody needs is not kept");
        assert.equal(state.spilledBytes, [...kept.values()].reduce((sum, keys) => sum + keys.size, 0));
        assert.equal(state.fileCount, writing.size + kept.size + removing.size + stuck.size);
      }
      for (const [fileId, keys] of writing) {
        kept.set(fileId, new Set(keys.filter((key) => !forgotten.has(key))));
        take(state.written(fileId));
      }
      while (reads.length > 0) take(state.endRead(reads.pop()!));
      for (let index = 0; index < keyCount; index++) forget(`k${index}`);
      take(state.retryRemovals());
      for (const fileId of removing) state.removed(fileId);
      assert.deepEqual([state.fileCount, state.spilledBytes, kept.size], [0, 0, 0]);
    }),
    { numRuns: 500 },
  );
});

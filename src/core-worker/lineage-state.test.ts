import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { type LineageInstruction, LineageState } from "./lineage-state.ts";

const BYTES = 100;
const NO_LIMIT = Number.POSITIVE_INFINITY;
const gone = (): boolean => false;

/** Each task makes the object of ten times its number. */
function stateOf(tasks: Readonly<Record<number, { readonly needs?: readonly number[]; readonly retriesLeft?: number }>>, bytesMax = NO_LIMIT): LineageState {
  const state = new LineageState(bytesMax);
  for (const [task, { needs = [], retriesLeft = 3 }] of Object.entries(tasks)) {
    state.addTask({ task: Number(task), needs, bytes: BYTES, retriesLeft, refusal: null });
    state.addObject(Number(task), 10 * Number(task), retriesLeft);
  }
  return state;
}

const NOTHING_LEFT = { tasks: 0, objects: 0, bytes: 0, rebuilding: 0 };

describe("LineageState", () => {
  it("(1) (2) keeps a task as long as a result of it is held, or is needed by a task that is kept", () => {
    const state = stateOf({ 1: {}, 2: { needs: [10] } });
    state.freed(10);
    assert.deepEqual(state.snapshot(), { tasks: 2, objects: 2, bytes: 2 * BYTES, rebuilding: 0 });
    state.freed(20);
    state.freed(20);
    assert.deepEqual(state.snapshot(), NOTHING_LEFT);
    assert.deepEqual(state.takeDropped(), { tasks: [2, 1], objects: [20, 10] });
    assert.deepEqual(state.takeDropped(), { tasks: [], objects: [] });
  });

  it("(1) keeps a task with several results until the last of them", () => {
    const state = stateOf({ 1: {} });
    state.addObject(1, 11, 3);
    state.freed(10);
    assert.deepEqual(state.takeDropped(), { tasks: [], objects: [10] });
    state.freed(11);
    assert.deepEqual(state.snapshot(), NOTHING_LEFT);
  });

  it("(3) forgets the arguments of the oldest beyond the limit, and says so when they are wanted", () => {
    const state = stateOf({ 1: {}, 2: { needs: [10] }, 3: { needs: [20] } }, 2 * BYTES);
    assert.deepEqual(state.takeDropped(), { tasks: [1], objects: [] });
    assert.equal(state.snapshot().bytes, 2 * BYTES);
    assert.deepEqual(state.lost(10, gone), { object: 10, reason: "lineageEvicted" });
    assert.deepEqual(state.lost(30, gone), { object: 10, reason: "lineageEvicted" });
    assert.deepEqual(state.lost(30, (object) => object === 10), [{ type: "run", task: 2 }]);
  });

  it("(4) (5) runs what is lost after what it needs, each task once however many want it", () => {
    const state = stateOf({ 1: {}, 2: { needs: [10] }, 3: { needs: [10, 20] } });
    assert.deepEqual(state.lost(30, gone), [{ type: "run", task: 1 }]);
    assert.deepEqual(state.lost(20, gone), [], "it waits already");
    assert.deepEqual(state.lost(10, gone), [], "it runs already");
    assert.deepEqual(state.ended(1, 2, false), [{ type: "run", task: 2 }]);
    assert.deepEqual(state.ended(2, 2, false), [{ type: "run", task: 3 }]);
    assert.deepEqual(state.ended(3, 2, false), []);
    assert.equal(state.snapshot().rebuilding, 0);
  });

  it("(4) does not run what is there", () => {
    const state = stateOf({ 1: {}, 2: { needs: [10] } });
    assert.deepEqual(state.lost(20, (object) => object === 10), [{ type: "run", task: 2 }]);
  });

  it("(4) lets go of what was freed and made again, once all that wait for it have it", () => {
    const state = stateOf({ 1: {}, 2: { needs: [10] }, 3: { needs: [10] } });
    state.freed(10);
    state.lost(20, gone);
    state.lost(30, gone);
    assert.deepEqual(state.ended(1, 2, false), [{ type: "run", task: 2 }, { type: "run", task: 3 }, { type: "drop", object: 10 }]);
  });

  it("(4) keeps what was freed and made again until all is there of whoever needs it", () => {
    const state = stateOf({ 1: {}, 2: {}, 3: { needs: [10, 20] }, 4: { needs: [10, 20] } });
    state.freed(10);
    state.freed(20);
    state.lost(30, gone);
    assert.deepEqual(state.ended(1, 2, false), []);
    assert.ok(state.isAwaited(10));
    assert.deepEqual(state.lost(40, (object) => object === 10), []);
    assert.deepEqual(state.ended(2, 2, false), [{ type: "run", task: 3 }, { type: "run", task: 4 }, { type: "drop", object: 20 }, { type: "drop", object: 10 }]);
  });

  it("(4) refuses what no task has made, may not run, or has no retry left, and starts nothing then", () => {
    const state = stateOf({ 1: { retriesLeft: 0 }, 2: { needs: [10, 999] }, 3: {}, 4: { needs: [30, 888] } });
    assert.deepEqual(state.lost(777, gone), { object: 777, reason: "put" });
    assert.deepEqual(state.lost(20, (object) => object === 999), { object: 10, reason: "retriesUsedUp" });
    assert.deepEqual(state.lost(40, gone), { object: 888, reason: "put" });
    assert.equal(state.snapshot().rebuilding, 0);
    state.addTask({ task: 5, needs: [], bytes: 0, retriesLeft: 0, refusal: "retriesDisabled" });
    state.addObject(5, 50, 0);
    assert.deepEqual(state.lost(50, gone), { object: 50, reason: "retriesDisabled" });
  });

  it("(4) counts runs: each uses up a retry, and what it used up itself counts too", () => {
    const state = stateOf({ 1: { retriesLeft: 2 } });
    state.lost(10, gone);
    assert.equal(state.retriesLeft(1), 1);
    state.ended(1, 0, false);
    assert.deepEqual(state.lost(10, gone), { object: 10, reason: "retriesUsedUp" });
    const endless = stateOf({ 1: { retriesLeft: -1 } });
    for (let run = 0; run < 10; run++) {
      assert.deepEqual(endless.lost(10, gone), [{ type: "run", task: 1 }]);
      endless.ended(1, -1, false);
    }
  });

  it("(6) (7) fails what waits for a run that failed, in turn, and lets it try again later", () => {
    const state = stateOf({ 1: {}, 2: { needs: [10] }, 3: { needs: [20] }, 4: {} });
    state.lost(30, gone);
    assert.deepEqual(state.ended(1, 2, true), [{ type: "fail", task: 2 }, { type: "fail", task: 3 }]);
    assert.equal(state.snapshot().rebuilding, 0);
    assert.deepEqual(state.lost(30, gone), [{ type: "run", task: 1 }]);
  });

  it("(6) never runs again what was cancelled", () => {
    const state = stateOf({ 1: {}, 2: { needs: [10] }, 3: { needs: [20] } });
    state.lost(30, gone);
    assert.deepEqual(state.cancelled(2), [{ type: "fail", task: 2 }, { type: "fail", task: 3 }]);
    assert.deepEqual(state.ended(1, 2, false), []);
    assert.deepEqual(state.lost(30, gone), { object: 20, reason: "cancelled" });
    assert.deepEqual(state.cancelled(77), []);
  });

  it("goes through a chain of twenty thousand tasks", () => {
    const length = 20_000;
    const state = stateOf(Object.fromEntries(Array.from({ length }, (_, index) => [index + 1, { needs: index === 0 ? [] : [10 * index] }])));
    for (let task = 1; task < length; task++) state.freed(10 * task);
    assert.equal(state.snapshot().tasks, length);
    let next: LineageInstruction[] | { reason: string } = state.lost(10 * length, gone);
    for (let task = 1; task <= length; task++) {
      assert.ok(Array.isArray(next) && next[0]?.type === "run" && next[0].task === task);
      next = state.ended(task, 2, false);
    }
    state.freed(10 * length);
    assert.deepEqual(state.snapshot(), NOTHING_LEFT);
  });
});

/** What an owner does with the instructions: values are there, or lost; runs end in any order. */
class SimulatedOwner {
  readonly state: LineageState;
  readonly needs = new Map<number, readonly number[]>();
  readonly resultsOf = new Map<number, readonly number[]>();
  readonly retries = new Map<number, number>();
  readonly held = new Set<number>();
  readonly there = new Set<number>();
  readonly running = new Set<number>();
  /** Lost while something was made again: a task may begin without it, and its worker says so. */
  readonly #lostMeanwhile = new Set<number>();
  /** Gets that wait, by object. */
  readonly waiting = new Map<number, number>();
  #next = 1;

  constructor(bytesMax: number) {
    this.state = new LineageState(bytesMax);
  }

  finish(needs: readonly number[], results: number, retriesLeft: number): void {
    const task = this.#next++;
    this.needs.set(task, needs);
    this.retries.set(task, retriesLeft);
    this.state.addTask({ task, needs, bytes: BYTES, retriesLeft, refusal: null });
    const made = Array.from({ length: results }, () => this.#next++);
    this.resultsOf.set(task, made);
    for (const object of made) {
      this.state.addObject(task, object, retriesLeft);
      this.held.add(object);
      this.there.add(object);
    }
    this.#check();
  }

  free(object: number): void {
    this.held.delete(object);
    if (!this.state.isAwaited(object)) this.there.delete(object);
    this.waiting.delete(object);
    this.state.freed(object);
    this.#check();
  }

  lose(object: number): void {
    this.there.delete(object);
    if (this.state.snapshot().rebuilding > 0) this.#lostMeanwhile.add(object);
  }

  get(object: number): void {
    if (this.there.has(object)) return;
    const outcome = this.state.lost(object, (needed) => this.there.has(needed));
    if (!Array.isArray(outcome)) {
      assert.ok(!this.state.isRebuilding(object));
      return;
    }
    assert.ok(this.state.isRebuilding(object));
    this.waiting.set(object, (this.waiting.get(object) ?? 0) + 1);
    this.#act(outcome);
    this.#check();
  }

  end(task: number, isFailed: boolean): void {
    this.running.delete(task);
    for (const object of this.state.objectsOf(task)) {
      if (isFailed) this.waiting.delete(object);
      else if (this.held.has(object) || this.state.isAwaited(object)) {
        this.there.add(object);
        this.waiting.delete(object);
      }
    }
    this.#act(this.state.ended(task, this.state.retriesLeft(task), isFailed));
    this.#check();
  }

  #act(instructions: readonly LineageInstruction[]): void {
    for (const instruction of instructions) {
      if (instruction.type === "drop") {
        assert.ok(!this.held.has(instruction.object), "only what was freed is dropped");
        this.there.delete(instruction.object);
      } else if (instruction.type === "fail") {
        for (const object of this.state.objectsOf(instruction.task)) this.waiting.delete(object);
      } else {
        const { task } = instruction;
        assert.ok(!this.running.has(task), "a task does not run twice at once");
        for (const need of this.needs.get(task) as readonly number[]) assert.ok(this.there.has(need) || this.#lostMeanwhile.has(need), `task ${task} lacks ${need}`);
        this.running.add(task);
        const left = this.retries.get(task) as number;
        assert.notEqual(left, 0, "no task runs more often than it may");
        if (left > 0) this.retries.set(task, left - 1);
      }
    }
  }

  #check(): void {
    for (const object of this.waiting.keys()) assert.ok(this.state.isRebuilding(object), `somebody waits for ${object}, and nothing makes it`);
    assert.ok(this.state.snapshot().rebuilding >= this.running.size);
    if (this.state.snapshot().rebuilding === 0) this.#lostMeanwhile.clear();
    if (this.running.size === 0) assert.equal(this.state.snapshot().rebuilding, 0, "what waits, waits for something that runs");
  }
}

/** Of these the one that a number stands for. */
function pick(numbers: Iterable<number>, choice: number): number | undefined {
  const all = [...numbers];
  return all[choice % Math.max(1, all.length)];
}

describe("random histories of LineageState", () => {
  const event = fc.tuple(fc.constantFrom("finish", "finish", "free", "free", "lose", "lose", "get", "get", "get", "end", "end", "fail"), fc.nat(1_000), fc.nat(1_000));

  it("run nothing without its arguments, nothing twice at once, nothing too often; leave nobody waiting and nothing kept", () => {
    fc.assert(fc.property(fc.array(event, { maxLength: 120 }), fc.constantFrom(NO_LIMIT, 12 * BYTES), (events, bytesMax) => {
      const owner = new SimulatedOwner(bytesMax);
      for (const [kind, a, b] of events) {
        if (kind === "finish") {
          const needs = [pick(owner.there, a), pick(owner.there, b)].filter((need): need is number => need !== undefined && owner.held.has(need));
          owner.finish(a % 5 === 0 ? [] : needs, 1 + (b % 2), (a % 4) - 1);
        } else if (kind === "end" || kind === "fail") {
          const task = pick(owner.running, a);
          if (task !== undefined) owner.end(task, kind === "fail");
        } else {
          const object = pick(owner.held, a);
          if (object === undefined) continue;
          if (kind === "free") owner.free(object);
          else if (kind === "lose") owner.lose(object);
          else owner.get(object);
        }
        assert.ok(owner.state.snapshot().bytes <= Math.max(bytesMax, (owner.running.size + owner.state.snapshot().rebuilding + 1) * BYTES));
      }
      for (let task = pick(owner.running, 0); task !== undefined; task = pick(owner.running, 0)) owner.end(task, false);
      assert.equal(owner.waiting.size, 0);
      for (const object of [...owner.held]) owner.free(object);
      assert.deepEqual(owner.state.snapshot(), NOTHING_LEFT);
      assert.ok([...owner.there].every((object) => owner.held.has(object)), "what was made again only for others is let go");
    }), { numRuns: 2_000 });
  });
});

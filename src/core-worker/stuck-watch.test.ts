import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { NodeWaits, PendingRecord } from "../protocol/mod.ts";
import { Explanations } from "./explanation.ts";
import { StuckWatch } from "./stuck-watch.ts";
import { taskKey, WaitGraph } from "./wait-graph.ts";

const AFTER_MS = 10_000;
const DRIVER = "aaaaaaaa000000000001";
const nextTurn = (): Promise<void> => new Promise((resolve) => { setImmediate(resolve); });

/** A program whose tasks all want what is not free. */
class Program {
  readonly warnings: string[] = [];
  surveys = 0;
  tasks = 0;
  /** How much is free, by survey; after the last one nothing is. */
  free: number[] = [];
  #nowMs = 0;
  #timer: { readonly atMs: number; readonly callback: () => void } | null = null;
  /** Of a worker: what its program was told of. */
  readonly toldProgram: string[][] = [];
  hasProgram = false;
  readonly watch = new StuckWatch({
    isLeftAlone: async (keys) => {
      this.toldProgram.push([...keys]);
      return !this.hasProgram;
    },
    clock: { nowMs: () => this.#nowMs, after: (delayMs, callback) => { assert.equal(this.#timer, null, "one timer at most"); this.#timer = { atMs: this.#nowMs + delayMs, callback }; return { cancel: () => undefined }; } },
    afterMs: AFTER_MS, isAnythingPending: () => this.tasks > 0, warn: (text) => this.warnings.push(text),
    pending: () => Array.from({ length: this.tasks }, (_, index) => taskKey(DRIVER, index + 1)),
    survey: async () => { this.surveys++; return this.#found(); },
  });

  #found(): Explanations {
    const pending = Array.from({ length: this.tasks }, (_, index): PendingRecord => ({ taskSequence: index + 1, name: "f", callSite: null, makes: [], missing: [], actorId: null, workerId: null, isBetweenRuns: false, behind: null, demand: { key: "k", resources: { tape: 10_000 }, groupId: null, wasTold: false } }));
    const nodes: NodeWaits[] = [{ nodeId: "aaaaaaaa00000001", totals: { tape: 10_000 }, available: { tape: this.free.shift() ?? 0 }, isDraining: false, demands: [], placements: [], roomWaits: [], workers: [{ workerId: DRIVER, pending, runs: [] }], unansweredWorkerIds: [] }];
    return new Explanations(new WaitGraph({ nodes, actors: [], groups: [] }), nodes, []);
  }

  submit(count: number): void {
    this.tasks += count;
    this.watch.somethingPending();
  }

  /** How often a timer fired. */
  async passes(ms: number): Promise<number> {
    const endMs = this.#nowMs + ms;
    let fired = 0;
    for (; this.#timer !== null && this.#timer.atMs <= endMs; fired++) {
      const { atMs, callback } = this.#timer;
      this.#timer = null;
      this.#nowMs = atMs;
      callback();
      await nextTurn();
    }
    this.#nowMs = endMs;
    return fired;
  }
}

describe("the watch over what is stuck", () => {
  test("says so after ten seconds without progress, once, and how many wait for the same", async () => {
    const program = new Program();
    program.submit(3);
    program.submit(1);
    await program.passes(AFTER_MS);
    assert.deepEqual(program.warnings, []);
    await program.passes(AFTER_MS / 4);
    assert.deepEqual(program.warnings, ["task f() waits for 1 tape, of which 0 of 1 are free on node aaaaaaaa00000001 (and 3 more wait for the same)"]);
    await program.passes(100 * AFTER_MS);
    assert.equal(program.warnings.length, 1);
  });

  test("does not say what only the first of two surveys has found", async () => {
    const program = new Program();
    program.free = [0, 10_000, 0, 0];
    program.submit(1);
    await program.passes(AFTER_MS * 1.25);
    assert.deepEqual([program.surveys, program.warnings], [2, []]);
    await program.passes(AFTER_MS);
    assert.deepEqual([program.surveys, program.warnings.length], [4, 1]);
  });

  test("looks at nothing once all is there, and asks nobody before something is late", async () => {
    const program = new Program();
    program.submit(1);
    await program.passes(AFTER_MS / 2);
    program.tasks = 0;
    await program.passes(AFTER_MS);
    assert.deepEqual([await program.passes(10 * AFTER_MS), program.surveys], [0, 0]);
    program.submit(1);
    assert.ok((await program.passes(AFTER_MS)) > 0, "it looks again for what comes next");
  });

  test("of a worker leaves it to the program if that is there, and tells it later and later", async () => {
    const program = new Program();
    program.hasProgram = true;
    program.submit(1);
    await program.passes(AFTER_MS * 1.25);
    assert.deepEqual(program.toldProgram, [[taskKey(DRIVER, 1)]]);
    await program.passes(AFTER_MS * 7);
    assert.deepEqual([program.toldProgram.length, program.surveys, program.warnings], [4, 0, []]);
    program.hasProgram = false;
    await program.passes(AFTER_MS * 16);
    assert.equal(program.warnings.length, 1);
  });

  test("says what workers wait for while the program itself waits for nothing, all of a while together, once", async () => {
    const program = new Program();
    program.tasks = 2;
    for (const sequence of [1, 2, 2]) program.watch.waitsElsewhere([taskKey(DRIVER, sequence)]);
    await program.passes(AFTER_MS);
    assert.deepEqual([program.surveys, program.warnings.length], [2, 1]);
    program.watch.waitsElsewhere([taskKey(DRIVER, 1)]);
    await program.passes(AFTER_MS);
    assert.equal(program.warnings.length, 1);
  });
});

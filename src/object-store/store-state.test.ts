import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { ArenaState } from "./arena-state.ts";
import { CACHED, DOOMED, ExtentTable, FREE, SEALED, WRITING } from "./extent-table.ts";
import { ANSWER_DISK_FULL, ANSWER_FULL, ANSWER_GRANTED } from "./store-control.ts";
import type { StoreInstruction } from "./store-instructions.ts";
import { StoreState } from "./store-state.ts";

const CAPACITY_PAGES = 16;

/** A state with workers a, b and c in slots 1, 2 and 3, and what they do with the table. */
class Scene {
  readonly table = new ExtentTable(new Int32Array(new SharedArrayBuffer(ExtentTable.bytesFor(32))));
  readonly state = new StoreState(new ArenaState({ capacityPages: CAPACITY_PAGES, segmentPagesMax: CAPACITY_PAGES }), this.table, (_segment, pages) => pages);
  #sequence = 0;
  #lastUse = 0;

  constructor() {
    for (const worker of ["a", "b", "c"]) this.state.slots.attach(worker);
  }

  slot(worker: string): number {
    return this.state.slots.of(worker) as number;
  }

  taken(): StoreInstruction[] {
    return this.state.takeInstructions();
  }
  types(): string[] {
    return this.taken().map(({ type }) => type);
  }

  request(worker: string, pages: number, mayWait: boolean = true): StoreInstruction[] {
    this.state.request(worker, ++this.#sequence, pages, 1, mayWait);
    return this.taken();
  }

  /** A worker writes an object; the service is not told. */
  write(worker: string, id: number, pages: number): number {
    const [answer] = this.request(worker, pages, false);
    assert.ok(answer?.type === "answer" && answer.answer === ANSWER_GRANTED, "there is no room for the object");
    return this.fill(worker, answer.rows[0] as number, id);
  }

  fill(worker: string, row: number, id: number): number {
    const slot = this.slot(worker);
    this.table.change(row, CACHED, slot, WRITING, slot);
    this.table.describe(row, id, 100);
    this.table.touch(row, ++this.#lastUse);
    assert.ok(this.table.change(row, WRITING, slot, SEALED, slot));
    return row;
  }

  put(worker: string, id: number, pages: number, owner: string = worker): number {
    const row = this.write(worker, id, pages);
    this.state.sealed(worker, row, id, 100, owner);
    return row;
  }

  /** The owner keeps the extent; the service is not told. */
  reuse(worker: string, row: number): void {
    assert.ok(this.table.changeState(row, SEALED, DOOMED));
    assert.ok(this.table.change(row, DOOMED, this.table.slot(row), CACHED, this.slot(worker)));
  }

  fetch(worker: string, id: number): StoreInstruction[] {
    this.state.fetch(worker, ++this.#sequence, id);
    return this.taken();
  }

  /** Makes it write what it must to disk, and answers the ids. */
  spillFor(worker: string, pages: number): number[] {
    const asked = this.request(worker, pages);
    assert.deepEqual(asked.map(({ type }) => type), ["collect"]);
    this.state.collectionExpired();
    return this.taken().flatMap((instruction) => (instruction.type === "spill" ? instruction.objects.map(({ id }) => id) : []));
  }

  end(...workers: string[]): void {
    for (const worker of workers) this.state.workerLost(worker);
    for (const instruction of this.taken()) if (instruction.type === "expectAdoption") this.state.adoptionExpired(instruction.producerId);
    const { objects, usedPages, grantedRows, doomedRows, waiting } = this.state.usage();
    assert.deepEqual({ objects, usedPages, grantedRows, doomedRows, waiting }, { objects: 0, usedPages: 0, grantedRows: 0, doomedRows: 0, waiting: 0 });
  }
}

describe("messages that overtake each other", () => {
  test("an owner frees a result before its maker's message has come", () => {
    const scene = new Scene();
    const row = scene.write("a", 1, 4);
    scene.state.adopted("b", 1);
    scene.state.freed("b", 1, false);
    scene.state.sealed("a", row, 1, 100, "b");
    assert.equal(scene.table.state(row), FREE);
    assert.deepEqual(scene.fetch("c", 1).map((failure) => "reason" in failure && failure.reason), ["freed"]);
    scene.end("a", "b", "c");
  });

  test("whoever asks for an object before its maker's message has come gets it; the message says whose it is, and changes no more", () => {
    const scene = new Scene();
    const row = scene.write("a", 1, 4);
    scene.state.watch(1);
    assert.deepEqual(scene.fetch("c", 1).map(({ type }) => type), ["fetched"]);
    scene.state.sealed("a", row, 1, 100, "b");
    scene.state.adopted("b", 1);
    scene.state.unpin("c", row);
    assert.equal(scene.state.usage().objects, 1);
    scene.state.workerLost("b");
    assert.ok(scene.types().includes("watchedGone"));
    assert.equal(scene.table.state(row), FREE);
    scene.end("a", "c");
  });

  test("an object that was found and freed before its maker's message has come stays freed", () => {
    const scene = new Scene();
    const row = scene.write("a", 1, 4);
    scene.state.watch(1);
    scene.state.freed("b", 1, false);
    scene.state.sealed("a", row, 1, 100, "b");
    assert.deepEqual([scene.table.state(row), scene.state.usage().objects], [FREE, 0]);
    scene.end("a", "b", "c");
  });

  test("an owner frees and reuses the extent of a result before its maker's message has come", () => {
    const scene = new Scene();
    const row = scene.write("a", 1, 4);
    scene.state.adopted("b", 1);
    scene.reuse("b", row);
    scene.state.freed("b", 1, true);
    scene.fill("b", row, 2);
    scene.state.sealed("b", row, 2, 100, "b");
    scene.state.sealed("a", row, 1, 100, "b");
    scene.state.workerLost("a");
    assert.deepEqual(scene.taken(), []);
    assert.deepEqual([scene.table.state(row), scene.table.id(row), scene.state.usage().objects], [SEALED, 2, 1]);
    scene.end("b", "c");
  });

  test("an extent goes through two owners, and the second is heard first", () => {
    const scene = new Scene();
    const row = scene.put("a", 1, 4);
    scene.reuse("a", row);
    scene.fill("a", row, 2);
    scene.reuse("b", row);
    scene.fill("b", row, 3);
    scene.state.adopted("b", 2);
    scene.state.freed("b", 2, true);
    scene.state.sealed("b", row, 3, 100, "c");
    scene.state.adopted("c", 3);
    scene.state.freed("a", 1, true);
    scene.state.sealed("a", row, 2, 100, "b");
    scene.state.workerLost("b");
    scene.state.workerLost("a");
    assert.equal(scene.fetch("c", 3)[0]?.type, "fetched", "the last object in it lives on");
    scene.end("c");
  });

  test("what is said twice, or by one that has ended, changes nothing", () => {
    const scene = new Scene();
    const row = scene.put("a", 1, 4);
    scene.state.sealed("a", row, 1, 100, "a");
    scene.state.freed("a", 1, false);
    scene.state.freed("a", 1, false);
    scene.state.workerLost("a");
    scene.state.workerLost("a");
    scene.state.sealed("a", row, 9, 100, "b");
    scene.state.request("a", 1, 4, 1, true);
    assert.deepEqual(scene.taken(), []);
    scene.end("b", "c");
  });
});

describe("the end of workers", () => {
  test("a result whose maker could not tell the service stays for its owner", () => {
    const scene = new Scene();
    const row = scene.write("a", 1, 4);
    scene.state.workerLost("a");
    assert.deepEqual(scene.taken(), [{ type: "expectAdoption", producerId: "a" }]);
    scene.state.adopted("b", 1);
    scene.state.adoptionExpired("a");
    assert.deepEqual(scene.fetch("c", 1).map(({ type }) => type), ["fetched"]);
    scene.state.workerLost("b");
    assert.equal(scene.table.state(row), DOOMED, "a reader still looks at it");
    scene.end("c");
  });

  test("the memory of an owner that died while it reused an extent returns, whatever it had begun", () => {
    for (const step of ["doomed", "cached", "writing", "sealed"]) {
      const scene = new Scene();
      const row = scene.put("a", 1, 4);
      if (step === "doomed") scene.table.changeState(row, SEALED, DOOMED);
      else scene.reuse("a", row);
      if (step === "writing") scene.table.change(row, CACHED, 1, WRITING, 1);
      if (step === "sealed") scene.fill("a", row, 2);
      scene.end("a", "b", "c");
    }
  });

  test("pins of a dead reader hold nothing, nor does its slot for the next worker", () => {
    const scene = new Scene();
    const row = scene.put("a", 1, 4);
    scene.fetch("b", 1);
    scene.state.freed("a", 1, false);
    assert.equal(scene.state.usage().doomedRows, 1);
    scene.state.workerLost("b");
    assert.equal(scene.table.state(row), FREE);
    assert.equal(scene.state.slots.attach("d"), 2);
    scene.end("a", "c", "d");
  });

  test("nothing is brought back from disk for readers that have all died", () => {
    const scene = new Scene();
    scene.put("a", 1, 8);
    scene.state.spilled(scene.spillFor("b", 16));
    assert.deepEqual(scene.types(), ["answer"]);
    assert.deepEqual(scene.fetch("c", 1).map(({ type }) => type), ["collect", "expectRoom"], "what was granted is not taken back");
    scene.state.workerLost("c");
    assert.equal(scene.state.usage().waiting, 0);
    scene.state.workerLost("b");
    assert.deepEqual(scene.taken(), []);
    assert.deepEqual(scene.fetch("a", 1).map(({ type }) => type), ["restore"], "it can be brought back for others");
    scene.state.restored(1);
    scene.end("a");
  });
});

describe("room", () => {
  test("unused memory of workers is taken back before anybody is asked or anything is written", () => {
    const scene = new Scene();
    scene.put("a", 1, 4);
    scene.reuse("b", scene.put("b", 2, 8));
    scene.state.freed("b", 2, true);
    assert.deepEqual(scene.request("c", 12).map((answer) => "answer" in answer && answer.answer), [ANSWER_GRANTED]);
  });

  test("workers that are awake collect garbage first; who sleeps is not asked", () => {
    const scene = new Scene();
    for (const id of [1, 2]) scene.put("a", id, 8);
    assert.deepEqual(scene.request("b", 8), [{ type: "collect", workerIds: ["a", "c"] }]);
    scene.state.collected("c");
    assert.deepEqual(scene.taken(), []);
    scene.state.freed("a", 2, false);
    assert.deepEqual(scene.types(), ["answer"]);
    scene.state.collected("a");
    assert.deepEqual(scene.taken(), []);
  });

  test("what was not used for longest goes to disk, what is looked at does not", () => {
    const scene = new Scene();
    const rows = [1, 2, 3, 4].map((id) => scene.put("a", id, 4));
    scene.table.touch(rows[0] as number, 100);
    scene.fetch("c", 2);
    assert.deepEqual(scene.spillFor("b", 4), [3]);
  });

  test("an extent whose owner has reused it unheard is not written to disk in the name of the old object", () => {
    const scene = new Scene();
    const row = scene.put("a", 1, 16);
    scene.reuse("a", row);
    scene.fill("a", row, 2);
    assert.deepEqual(scene.spillFor("b", 4), []);
    assert.deepEqual([scene.table.state(row), scene.table.id(row)], [SEALED, 2]);
    scene.state.freed("a", 1, true);
    scene.state.sealed("a", row, 2, 100, "a");
    assert.deepEqual(scene.taken().flatMap((instruction) => (instruction.type === "spill" ? instruction.objects : [])), [{ id: 2, row }]);
  });

  test("a copy of what is on disk goes first, but not one whose extent its owner has reused unheard", () => {
    const scene = new Scene();
    scene.put("a", 1, 8);
    scene.state.spilled(scene.spillFor("b", 16));
    const [granted] = scene.taken();
    assert.ok(granted?.type === "answer");
    scene.state.workerLost("b");
    const [restore] = scene.fetch("c", 1);
    assert.ok(restore?.type === "restore");
    scene.state.restored(1);
    scene.table.clearPin(restore.row, scene.slot("c"));
    scene.taken();
    scene.put("a", 5, 4);
    scene.reuse("a", restore.row);
    scene.fill("a", restore.row, 2);
    assert.deepEqual(scene.request("c", 8, false).map((answer) => "answer" in answer && answer.answer), [ANSWER_FULL]);
    assert.deepEqual([scene.table.state(restore.row), scene.table.id(restore.row)], [SEALED, 2]);
  });

  test("who looked at an object while it was written keeps it in memory", () => {
    const scene = new Scene();
    const row = scene.put("a", 1, 16);
    const ids = scene.spillFor("b", 8);
    assert.equal(scene.fetch("c", 1)[0]?.type, "fetched");
    scene.state.spilled(ids);
    assert.equal(scene.table.state(row), SEALED);
    scene.taken();
    scene.table.clearPin(row, scene.slot("c"));
    scene.state.unpinned(row);
    assert.deepEqual(scene.types(), ["answer"]);
  });

  test("when writing fails, what was freed meanwhile serves who waits; the others are told", () => {
    const scene = new Scene();
    for (const id of [1, 2]) scene.put("a", id, 8);
    const ids = scene.spillFor("b", 8);
    scene.request("c", 8);
    scene.state.freed("a", ids[0] as number, false);
    scene.state.spillFailed(ids, true);
    assert.deepEqual(scene.taken().map((answer) => answer.type === "answer" && [answer.slot, answer.answer]), [[2, ANSWER_GRANTED], [3, ANSWER_DISK_FULL]]);
  });

  test("a time that was set for an earlier wait does not end a later one", () => {
    const scene = new Scene();
    scene.put("a", 1, 8);
    scene.state.spilled(scene.spillFor("b", 16));
    scene.taken();
    const attemptOf = (instructions: readonly StoreInstruction[]): number => instructions.flatMap((each) => (each.type === "expectRoom" ? each.attempt : []))[0] as number;
    const first = attemptOf(scene.fetch("c", 1));
    scene.state.roomExpired(1, first);
    assert.deepEqual(scene.taken().map((failure) => "reason" in failure && failure.reason), ["full"]);
    const second = attemptOf(scene.fetch("c", 1));
    scene.state.roomExpired(1, first);
    assert.deepEqual(scene.taken(), []);
    scene.state.roomExpired(1, second);
    assert.deepEqual(scene.types(), ["fetchFailed"]);
  });

  test("who waits for room waits on while objects are written, or others get what they wait for", () => {
    const scene = new Scene();
    for (const id of [1, 2]) scene.put("a", id, 8);
    scene.state.spilled(scene.spillFor("b", 16));
    scene.state.workerLost("b");
    const row = scene.put("a", 3, 16);
    scene.taken();
    assert.deepEqual(scene.fetch("c", 1).map(({ type }) => type), ["collect", "expectRoom"]);
    scene.state.collectionExpired();
    assert.deepEqual([scene.types(), scene.state.isSpilling], [["spill"], true]);
    scene.state.roomExpired(1, 1);
    assert.deepEqual(scene.types(), ["expectRoom"], "while it is written");
    const before = scene.state.progress;
    scene.table.setPin(row, scene.slot("c"));
    scene.state.spilled([3]);
    assert.ok(scene.state.progress !== before && !scene.state.isSpilling);
    scene.taken();
    scene.state.roomExpired(1, 1);
    assert.deepEqual(scene.types(), ["expectRoom"], "something has got to disk");
    scene.state.roomExpired(1, 1);
    assert.deepEqual(scene.types(), ["fetchFailed"], "nothing has happened since");
  });

  test("an object that was freed while it was brought back ends when that is done", () => {
    for (const outcome of ["done", "damaged", "unreadable"]) {
      const scene = new Scene();
      scene.put("a", 1, 8);
      scene.state.spilled(scene.spillFor("b", 16));
      scene.state.workerLost("b");
      scene.taken();
      assert.deepEqual(scene.fetch("c", 1).map(({ type }) => type), ["restore"]);
      scene.state.freed("a", 1, false);
      assert.deepEqual(scene.types(), ["fetchFailed"]);
      if (outcome === "done") scene.state.restored(1);
      else scene.state.restoreFailed(1, outcome === "damaged");
      assert.deepEqual(scene.types(), ["forgetSpilled"]);
      scene.end("a", "c");
    }
  });
});

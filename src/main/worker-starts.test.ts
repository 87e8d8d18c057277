import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { WorkerId } from "../base/mod.ts";
import { WorkerStarts } from "./worker-starts.ts";

class Machine {
  readonly log: string[] = [];
  readonly #timers = new Set<() => void>();
  readonly starts = new WorkerStarts({ nowMs: () => 0, after: (_, callback) => (this.#timers.add(callback), { cancel: () => void this.#timers.delete(callback) }) }, 2);

  begin(id: string, start: () => void = () => undefined): ReturnType<WorkerStarts["begin"]> {
    return this.starts.begin({
      workerId: id as WorkerId,
      start: () => {
        start();
        this.log.push(`start ${id}`);
        return { terminate: () => void this.log.push(`terminate ${id}`), noteReason: () => undefined };
      },
      exited: ({ reason }) => void this.log.push(`${id} ${reason}`),
      failed: ({ message }) => void this.log.push(`${id} failed: ${message}`),
    });
  }

  ended(id: string): void {
    this.starts.ended(id as WorkerId);
  }

  get timers(): number {
    return this.#timers.size;
  }
  timePasses(): void {
    for (const callback of [...this.#timers]) callback();
  }
}

const broken = (): never => { throw new Error("no memory"); };

describe("starts of workers", () => {
  test("are so many at once, and the next ones in turn", () => {
    const machine = new Machine();
    for (const id of ["a", "b", "c", "d"]) machine.begin(id);
    assert.deepEqual(machine.log, ["start a", "start b"]);
    machine.ended("b");
    machine.ended("b");
    assert.deepEqual(machine.log.slice(2), ["start c"]);
    machine.ended("a");
    machine.ended("c");
    machine.ended("d");
    assert.deepEqual(machine.log.slice(3), ["start d"]);
    assert.equal(machine.timers, 0);
  });

  test("that are slow hold up no others", () => {
    const machine = new Machine();
    for (const id of ["a", "b", "c"]) machine.begin(id);
    machine.timePasses();
    assert.deepEqual(machine.log, ["start a", "start b", "start c"]);
  });

  test("that wait are given up without a trace, and others are ended", () => {
    const machine = new Machine();
    const [a, , c, d] = ["a", "b", "c", "d"].map((id) => machine.begin(id));
    c!.terminate();
    c!.terminate();
    a!.terminate();
    machine.ended("a");
    d!.terminate();
    assert.deepEqual(machine.log.slice(2), ["c was not needed any more", "terminate a", "start d", "terminate d"]);
  });

  test("that fail say so, at once or when their turn comes, and make room", () => {
    const machine = new Machine();
    assert.throws(() => machine.begin("a", broken), /no memory/);
    for (const id of ["b", "c"]) machine.begin(id);
    machine.begin("d", broken);
    machine.begin("e");
    machine.ended("b");
    assert.deepEqual(machine.log, ["start b", "start c", "d failed: no memory", "start e"]);
  });

  test("end with the node", () => {
    const machine = new Machine();
    for (const id of ["a", "b", "c"]) machine.begin(id);
    machine.starts.stop();
    assert.deepEqual(machine.log.slice(2), ["c was not needed any more"]);
    assert.equal(machine.timers, 0);
  });
});

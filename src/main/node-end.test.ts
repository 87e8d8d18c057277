import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { type NodeEnd, nodeEnd } from "./node-end.ts";

/** Notes what is begun, in order; what takes its time ends when it is told to. */
class EndingNode {
  readonly log: string[] = [];
  readonly #ends = new Map<string, () => void>();
  #outOfTime = (): void => undefined;
  readonly end: NodeEnd = nodeEnd({
    clock: { nowMs: () => 0, after: (_delayMs, callback) => { this.#outOfTime = callback; return { cancel: () => undefined }; } },
    connections: { close: () => void this.log.push("closes"), leave: (reason) => void this.log.push(`leaves: ${reason}`) },
    node: { stop: () => this.#takesTime("workers") }, threads: { stop: () => this.#takesTime("hosts") }, caretaker: { stop: () => this.#takesTime("caretaker") },
    note: (text) => void this.log.push(text), exit: (exitCode) => void this.log.push(`exit ${exitCode}`),
  });

  #takesTime(what: string): Promise<void> {
    this.log.push(`stops its ${what}`);
    return new Promise((resolve) => this.#ends.set(what, resolve));
  }

  /** What it does then. */
  async ended(what: string): Promise<string[]> {
    const before = this.log.length;
    (this.#ends.get(what) as () => void)();
    await new Promise((resolve) => setImmediate(resolve));
    return this.log.slice(before);
  }

  timePasses(): void { this.#outOfTime(); }
}

describe("the end of a node", () => {
  test("says that it leaves when its workers and their hosts have ended, and not before: its actors start elsewhere then", async () => {
    const node = new EndingNode();
    node.end("SIGTERM", "has ended", 0);
    assert.deepEqual(node.log, ["ends: SIGTERM", "closes", "stops its workers"]);
    assert.deepEqual(await node.ended("workers"), ["stops its hosts"]);
    assert.deepEqual(await node.ended("hosts"), ["leaves: has ended", "stops its caretaker"]);
    assert.deepEqual(await node.ended("caretaker"), ["exit 0"]);
  });

  test("comes once, with the first reason", async () => {
    const node = new EndingNode();
    node.end("it was drained", "has been drained", 0);
    node.end("SIGTERM", "has ended", 1);
    assert.deepEqual(node.log, ["ends: it was drained", "closes", "stops its workers"]);
  });

  test("does not wait for ever for what does not end, and does not say then that all has", () => {
    const node = new EndingNode();
    node.end("SIGTERM", "has ended", 0);
    node.timePasses();
    assert.deepEqual(node.log, ["ends: SIGTERM", "closes", "stops its workers", "exit 1"]);
  });
});

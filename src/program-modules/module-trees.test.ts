import assert from "node:assert/strict";
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, test } from "node:test";
import { modulesFolderOf, ModuleTrees, TREE_IDLE_MS } from "./module-trees.ts";

describe("files of programs on a machine", () => {
  let session: string;
  let inUse: Set<string>;
  let timers: { readonly delayMs: number; readonly callback: () => void; isCancelled: boolean }[];
  let trees: ModuleTrees;
  beforeEach(() => {
    session = mkdtempSync(join(tmpdir(), "mantaray-test-"));
    inUse = new Set();
    timers = [];
    trees = new ModuleTrees({
      sessionDir: session, driversInUse: () => inUse,
      clock: {
        nowMs: () => 0,
        after: (delayMs, callback) => {
          const timer = { delayMs, callback, isCancelled: false };
          timers.push(timer);
          return { cancel: () => { timer.isCancelled = true; } };
        },
      },
    });
    for (const name of ["one", "two", "two.lock"]) mkdirSync(join(modulesFolderOf(session), name, "app"), { recursive: true });
    writeFileSync(join(modulesFolderOf(session), "one/app/lib.mjs"), "");
  });
  afterEach(() => rmSync(session, { recursive: true, force: true }));

  const names = (): string[] => readdirSync(modulesFolderOf(session)).sort();
  async function removed(name: string): Promise<void> {
    while (names().some((found) => found.startsWith(name))) await new Promise((resolve) => setImmediate(resolve));
  }

  test("go some time after the last worker of their program", async () => {
    inUse.add("two");
    trees.workerEnded();
    trees.workerEnded();
    assert.deepEqual(timers.map(({ delayMs }) => delayMs), [TREE_IDLE_MS]);
    assert.ok(existsSync(join(modulesFolderOf(session), "one/app/lib.mjs")));
    timers[0]?.callback();
    await removed("one");
    assert.deepEqual(names(), ["two", "two.lock"]);
    // And once more, when the next has ended.
    inUse.clear();
    trees.workerEnded();
    assert.equal(timers.length, 2);
    timers[1]?.callback();
    while (names().length > 1) await new Promise((resolve) => setImmediate(resolve));
    assert.deepEqual(names(), ["two.lock"]);
  });

  test("a runtime that ends looks no more, and one without such files does nothing", async () => {
    trees.workerEnded();
    trees.stop();
    assert.equal(timers[0]?.isCancelled, true);
    rmSync(modulesFolderOf(session), { recursive: true });
    trees.workerEnded();
    timers[1]?.callback();
    await new Promise((resolve) => setImmediate(resolve));
    assert.deepEqual(readdirSync(session), []);
  });
});

import assert from "node:assert/strict";
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, utimesSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, test } from "node:test";
import { InstallCache, INSTALLS_MAX } from "./install-cache.ts";

let folder: string;
const now = (): number => Date.now();
beforeEach(() => { folder = mkdtempSync(join(tmpdir(), "mantaray-test-")); });
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const write = (content: string) => async (target: string): Promise<void> => writeFileSync(join(target, "content"), content);
const installs = (): string[] => readdirSync(folder).filter((name) => !name.includes("."));

describe("the cache of installs", () => {
  test("makes what is not there once, and marks what is in use", async () => {
    const cache = new InstallCache(folder, now);
    const path = await cache.use("a", write("first"));
    assert.equal(await cache.use("a", () => assert.fail("it is there")), path);
    assert.equal(readFileSync(join(path, "content"), "utf8"), "first");
    assert.equal(readdirSync(folder).filter((name) => name.startsWith("a.used.")).length, 1);
    await cache.release("a");
    assert.deepEqual(readdirSync(folder), ["a"]);
    await new InstallCache(folder, now).use("a", () => assert.fail("it is there for later programs"));
  });

  test("what fails half-way leaves nothing, and is made again", async () => {
    const cache = new InstallCache(folder, now);
    const failing = async (target: string): Promise<void> => {
      await write("half")(target);
      throw new Error("no network");
    };
    await assert.rejects(cache.use("a", failing), /no network/);
    assert.deepEqual(readdirSync(folder), []);
    assert.equal(readFileSync(join(await cache.use("a", write("whole")), "content"), "utf8"), "whole");
  });

  test("of two that make the same at once, one stays, whole", async () => {
    const [one, two] = [new InstallCache(folder, now), new InstallCache(folder, now)];
    const other = join(folder, "a");
    await one.use("a", async (target) => {
      mkdirSync(other);
      writeFileSync(join(other, "content"), "of another process");
      await write("of this one")(target);
    });
    assert.equal(readFileSync(join(await two.use("a", () => assert.fail()), "content"), "utf8"), "of another process");
  });

  test("keeps a number of them: those not used for longest go, but none that somebody uses", async () => {
    const cache = new InstallCache(folder, now);
    for (let index = 0; index < INSTALLS_MAX + 2; index++) {
      const key = `k${index}`;
      await cache.use(key, write(key));
      // The clock of files may be coarser than this loop.
      utimesSync(join(folder, key), 1000 + index, 1000 + index);
      if (index !== 0) await cache.release(key);
    }
    await cache.use("last", write("last"));
    assert.equal(existsSync(join(folder, "k0")), true, "in use");
    assert.deepEqual([1, 2, 3].map((index) => existsSync(join(folder, `k${index}`))), [false, false, true]);
    assert.equal(installs().length, INSTALLS_MAX + 1);
  });

  test("what killed processes left is removed, and their lock does not hold anybody up", async () => {
    const cache = new InstallCache(folder, now);
    await cache.use("a", write("a"));
    const [mark] = readdirSync(folder).filter((name) => name.startsWith("a.used."));
    // No process has this id.
    const dead = (mark as string).replace(/\d+$/, "999999999");
    writeFileSync(join(folder, dead), "");
    mkdirSync(join(folder, dead.replace(".used.", ".unfinished.")));
    mkdirSync(join(folder, ".lock"));
    utimesSync(join(folder, ".lock"), 1000, 1000);
    await cache.use("b", write("b"));
    assert.deepEqual(readdirSync(folder).filter((name) => name.includes("999999999")), []);
    assert.equal(existsSync(join(folder, ".lock")), false);
  });
});

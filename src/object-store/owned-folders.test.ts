import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import { chownSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, readlinkSync, rmSync, statSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, test } from "node:test";
import { fileURLToPath } from "node:url";
import { Worker } from "node:worker_threads";
import { makeOwnedFolder, removeOwnFolder, removeStaleFolders } from "./owned-folders.ts";

const OWNER_PROGRAM = fileURLToPath(new URL("fixtures/folder-owner.ts", import.meta.url));
const skip = process.platform === "linux" ? false : "what is left behind is only known for certain on Linux";

let root: string;
beforeEach(() => (root = mkdtempSync(join(tmpdir(), "mantaray-"))));
afterEach(() => rmSync(root, { recursive: true, force: true }));

/** A process that owns `mantaray-<its id>-<each name>` in the root. */
async function startOwner(names: string[], environment: NodeJS.ProcessEnv = {}): Promise<{ child: ChildProcess; folders: string[] }> {
  const child = spawn(process.execPath, ["--import", "tsx", OWNER_PROGRAM, ...names.map((name) => join(root, `mantaray-PID-${name}`))], {
    env: { ...process.env, ...environment },
    stdio: ["pipe", "pipe", "inherit"],
  });
  const [line] = (await once(child.stdout!.setEncoding("utf8"), "data")) as [string];
  return { child, folders: JSON.parse(line) as string[] };
}

async function end(child: ChildProcess): Promise<void> {
  const ended = once(child, "exit");
  child.kill("SIGKILL");
  await ended;
}

function changeNote(folder: string, changes: Record<string, unknown>): void {
  const path = join(folder, "owner.json");
  const note = JSON.parse(readFileSync(path, "utf8")) as Record<string, unknown>;
  for (const name of Object.keys(changes)) assert.ok(name in note, `${name} is noted`);
  writeFileSync(path, JSON.stringify({ ...note, ...changes }));
}

describe("folders that a runtime left behind", { skip }, () => {
  for (const [how, environment] of Object.entries({ "with locks": {}, "without native memory": { MANTARAY_NO_SHARED_MEMORY: "1" } })) {
    test(`are removed once their process is gone, and not before, ${how}`, async () => {
      const { child, folders } = await startOwner(["a1", "b2"], environment);
      try {
        for (const folder of folders) {
          writeFileSync(join(folder, "segment-0"), "x");
          mkdirSync(join(folder, "arena/more"), { recursive: true });
          assert.equal(statSync(folder).mode & 0o777, 0o700);
        }
        removeStaleFolders([root]);
        assert.deepEqual(folders.map((folder) => readdirSync(folder).sort()), [["arena", "owner.json", "segment-0"], ["arena", "owner.json", "segment-0"]]);
      } finally {
        await end(child);
      }
      removeStaleFolders([join(root, "missing"), root, root]);
      assert.deepEqual(readdirSync(root), []);
    });
  }

  test("are those of a process whose id another one has now", async () => {
    for (const environment of [{}, { MANTARAY_NO_SHARED_MEMORY: "1" }]) {
      const { child, folders } = await startOwner(["a", "b"], environment);
      try {
        // Neither start can be that of the process; a lock shows that it lives all the same.
        changeNote(folders[0]!, { startTicks: "1" });
        changeNote(folders[1]!, { startTicks: null });
        removeStaleFolders([root]);
        const isLocked = !("MANTARAY_NO_SHARED_MEMORY" in environment);
        assert.deepEqual(folders.map((folder) => existsSync(folder)), [isLocked, true]);
      } finally {
        await end(child);
      }
      removeStaleFolders([root]);
      assert.deepEqual(readdirSync(root), []);
    }
  });

  test("of another container are removed if a lock shows that nobody needs them", async () => {
    const { child, folders } = await startOwner(["a"]);
    const unlocked = await startOwner(["a"], { MANTARAY_NO_SHARED_MEMORY: "1" });
    try {
      for (const folder of [...folders, ...unlocked.folders]) changeNote(folder, { processNamespace: "pid:[1]" });
      removeStaleFolders([root]);
      assert.equal(readdirSync(root).length, 2);
    } finally {
      await end(child);
      await end(unlocked.child);
    }
    removeStaleFolders([root]);
    assert.deepEqual(readdirSync(root).map((name) => join(root, name)), unlocked.folders);
  });

  test("of before the machine's start are removed, those of another machine stay", async () => {
    const { child, folders } = await startOwner(["a", "b", "c", "d", "e"]);
    await end(child);
    changeNote(folders[0]!, { bootId: "an earlier one" });
    changeNote(folders[1]!, { bootId: "an earlier one", isLocked: false });
    changeNote(folders[2]!, { bootId: null, isLocked: false });
    changeNote(folders[3]!, { bootId: "another one", hostName: "somewhere else" });
    changeNote(folders[4]!, { hostName: "somewhere else" });
    removeStaleFolders([root]);
    assert.deepEqual(folders.map((folder) => existsSync(folder)), [false, false, true, true, true]);
  });

  test("are told from anything else", async () => {
    const { child, folders } = await startOwner(["a"]);
    await end(child);
    const note = readFileSync(join(folders[0]!, "owner.json"));
    const processId = child.pid!;
    const put = (name: string, content: string | Buffer | null): void => {
      mkdirSync(join(root, name));
      if (content !== null) writeFileSync(join(root, name, "owner.json"), content);
    };
    const kept = [`mantaray-${processId}-ab`, `mantaray-${processId}-ac`, `mantaray-${processId}-ad`, `mantaray-${processId + 1}-a`, `mantaray-${processId}-xyz`, `mantaray-${processId}`, `other-mantaray-${processId}-a`];
    put(kept[0]!, null);
    put(kept[1]!, "{");
    put(kept[2]!, JSON.stringify({ ...(JSON.parse(note.toString()) as object), filler: "x".repeat(10_000) }));
    for (const name of kept.slice(3)) put(name, note);
    put("target", note);
    symlinkSync(join(root, "target"), join(root, `mantaray-${processId}-e`));
    writeFileSync(join(root, `mantaray-${processId}-f`), note);
    const isRoot = process.getuid?.() === 0;
    if (isRoot) {
      put(`mantaray-${processId}-abc`, note);
      chownSync(join(root, `mantaray-${processId}-abc`), 65534, 65534);
    }
    const before = readdirSync(root).filter((name) => join(root, name) !== folders[0]);
    removeStaleFolders([root]);
    assert.deepEqual(readdirSync(root), before);
  });

  test("may hold links to elsewhere, which are not followed", async () => {
    const { child, folders } = await startOwner(["a"]);
    await end(child);
    mkdirSync(join(root, "elsewhere"));
    writeFileSync(join(root, "elsewhere/file"), "x");
    symlinkSync(join(root, "elsewhere"), join(folders[0]!, "link"));
    removeStaleFolders([root]);
    assert.deepEqual(readdirSync(root), ["elsewhere"]);
    assert.ok(existsSync(join(root, "elsewhere/file")));
  });
});

describe("a folder of one's own", { skip }, () => {
  test("keeps its first note, stays while this process lives, and lets its descriptor go with it", () => {
    const descriptors = (): number => readdirSync("/proc/self/fd").filter((name) => isBelowRoot(`/proc/self/fd/${name}`)).length;
    const isBelowRoot = (path: string): boolean => {
      try {
        return readlinkSync(path).startsWith(root);
      } catch {
        return false;
      }
    };
    const folder = join(root, `mantaray-${process.pid}-a`);
    makeOwnedFolder(folder);
    const note = statSync(join(folder, "owner.json")).ino;
    makeOwnedFolder(folder);
    assert.equal(statSync(join(folder, "owner.json")).ino, note);
    assert.deepEqual(readdirSync(folder), ["owner.json"]);
    removeStaleFolders([root]);
    assert.ok(existsSync(folder));
    assert.equal(descriptors(), 1);
    rmSync(folder, { recursive: true });
    makeOwnedFolder(join(root, `mantaray-${process.pid}-b`));
    assert.equal(descriptors(), 1);
  });

  test("goes at the end while a thread still makes files in it", async () => {
    const folder = join(root, "mantaray-with-a-thread");
    makeOwnedFolder(folder);
    const makesFiles = `
      const { parentPort, workerData } = require("node:worker_threads");
      const { writeFileSync } = require("node:fs");
      try {
        for (let file = 0; file < 2_000; file++) {
          writeFileSync(workerData + "/" + file, "");
          if (file === 10) parentPort.postMessage("begun");
        }
      } catch {
        // The folder has gone.
      }`;
    const thread = new Worker(makesFiles, { eval: true, workerData: folder });
    const ended = once(thread, "exit");
    await once(thread, "message");
    removeOwnFolder(folder);
    await ended;
    assert.equal(existsSync(folder), false);
  });

  test("is not made where somebody else has the name", () => {
    mkdirSync(join(root, "target"));
    symlinkSync(join(root, "target"), join(root, "link"));
    assert.throws(() => makeOwnedFolder(join(root, "link")), /belongs to another user, or is no folder/);
    writeFileSync(join(root, "file"), "");
    assert.throws(() => makeOwnedFolder(join(root, "file")), { code: "EEXIST" });
    assert.deepEqual(readdirSync(join(root, "target")), []);
  });
});

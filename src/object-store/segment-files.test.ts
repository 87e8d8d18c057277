import assert from "node:assert/strict";
import { closeSync, existsSync, fstatSync, mkdirSync, mkdtempSync, readdirSync, readSync, rmSync, statfsSync, statSync, symlinkSync, writeFileSync, writeSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, test } from "node:test";
import { chooseArenaFolder, createSegmentFile, openSegmentFile } from "./segment-files.ts";

const NAME = "mantaray-1-abc";
const MORE_THAN_THERE_IS = Number.MAX_SAFE_INTEGER;
const skip = process.platform === "win32" ? "modes of files are those of Unix" : false;

let folder: string;
let sessionDir: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "mantaray-"));
  sessionDir = join(folder, "session");
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

function freeBytes(path: string): number {
  const { bavail, bsize } = statfsSync(path);
  return bavail * bsize;
}

function modeOf(path: string): number {
  return statSync(path).mode & 0o777;
}

describe("the folder of the arena", { skip }, () => {
  test("is in memory if there is room", () => {
    const root = join(folder, "memory");
    mkdirSync(root);
    const chosen = chooseArenaFolder(NAME, sessionDir, 1000, root);
    assert.equal(chosen.folder, join(root, NAME));
    assert.equal(chosen.note, null);
    assert.ok(chosen.bytesAvailable >= 1000 && chosen.bytesAvailable <= statfsSync(root).blocks * statfsSync(root).bsize);
    assert.equal(modeOf(chosen.folder), 0o700);
    assert.equal(existsSync(sessionDir), false);
  });

  const unusable: Record<string, (root: string) => void> = {
    missing: () => undefined,
    "a file": (root) => writeFileSync(root, ""),
    "one where somebody else has taken the name": (root) => {
      mkdirSync(root);
      symlinkSync(tmpdir(), join(root, NAME));
    },
  };
  for (const [what, prepare] of Object.entries(unusable)) {
    test(`is the session's where the one in memory is ${what}`, () => {
      const root = join(folder, "memory");
      prepare(root);
      const chosen = chooseArenaFolder(NAME, sessionDir, 1000, root);
      assert.equal(chosen.folder, join(sessionDir, "arena"));
      assert.match(chosen.note!, /^Shared objects are kept in files in .*arena, which can be slower than memory: .*memory.* cannot be used \(.+\)\.$/);
      assert.ok(chosen.bytesAvailable >= 1000);
      assert.equal(modeOf(sessionDir), 0o700);
      assert.equal(modeOf(chosen.folder), 0o700);
    });
  }

  test("is the larger one if neither has the room, and nothing stays in the other", (context) => {
    if (!existsSync("/dev/shm")) return context.skip("there is no /dev/shm");
    const root = mkdtempSync("/dev/shm/mantaray-test-");
    try {
      const [inMemory, onDisk] = [freeBytes(root), freeBytes(folder)];
      if (Math.abs(inMemory - onDisk) < 2 ** 28) return context.skip("both are of the same size");
      // Each once in the place of the other.
      for (const [memoryRoot, session, isMemoryLarger] of [[root, sessionDir, inMemory > onDisk], [folder, join(root, "session"), onDisk > inMemory]] as const) {
        const chosen = chooseArenaFolder(NAME, session, MORE_THAN_THERE_IS, memoryRoot);
        assert.equal(chosen.folder, isMemoryLarger ? join(memoryRoot, NAME) : join(session, "arena"));
        assert.match(chosen.note!, /has \d+ MiB free of the \d+ MiB wanted/);
        assert.ok(chosen.bytesAvailable < MORE_THAN_THERE_IS);
        assert.equal(existsSync(join(memoryRoot, NAME)), isMemoryLarger);
        assert.equal(existsSync(join(session, "arena")), !isMemoryLarger);
      }
    } finally {
      rmSync(root, { recursive: true });
    }
  });

  test("is the session's if only that has the room", (context) => {
    if (!existsSync("/dev/shm")) return context.skip("there is no /dev/shm");
    const root = mkdtempSync("/dev/shm/mantaray-test-");
    try {
      const [smaller, larger] = freeBytes(root) < freeBytes(folder) ? [root, folder] : [folder, root];
      const bytesWanted = (freeBytes(smaller) + freeBytes(larger)) / 2;
      const chosen = chooseArenaFolder(NAME, join(larger, "session"), bytesWanted, smaller);
      assert.equal(chosen.folder, join(larger, "session", "arena"));
      assert.match(chosen.note!, /slower than memory: .* has \d+ MiB free of the \d+ MiB wanted \(in a container, --shm-size sets it\)\.$/);
      assert.ok(chosen.bytesAvailable >= bytesWanted);
      assert.equal(existsSync(join(smaller, NAME)), false);
    } finally {
      rmSync(root, { recursive: true });
    }
  });
});

describe("the file of a segment", { skip }, () => {
  test("is made of zeros that take up nothing, for this user alone", () => {
    const path = join(folder, "segment");
    const byteLength = 2 ** 31;
    const fileDescriptor = createSegmentFile(path, byteLength);
    const { size, blocks } = fstatSync(fileDescriptor);
    assert.deepEqual([size, blocks], [byteLength, 0]);
    assert.equal(modeOf(path), 0o600);
    const other = openSegmentFile(path);
    writeSync(other, "x", byteLength - 1);
    const last = Buffer.alloc(2);
    assert.equal(readSync(fileDescriptor, last, 0, 2, byteLength - 2), 2);
    assert.deepEqual([...last], [0, 120]);
    closeSync(fileDescriptor);
    closeSync(other);
  });

  test("never replaces what is there, and is not left behind if it cannot be made", () => {
    const path = join(folder, "segment");
    writeFileSync(path, "here before");
    assert.throws(() => createSegmentFile(path, 10), { code: "EEXIST" });
    assert.equal(statSync(path).size, 11);
    assert.throws(() => createSegmentFile(join(folder, "impossible"), 2 ** 63));
    assert.deepEqual(readdirSync(folder), ["segment"]);
  });

  test("is not opened through a link, nor made by opening it", () => {
    const path = join(folder, "segment");
    closeSync(createSegmentFile(path, 10));
    symlinkSync(path, join(folder, "link"));
    assert.throws(() => openSegmentFile(join(folder, "link")), { code: "ELOOP" });
    assert.throws(() => openSegmentFile(join(folder, "missing")), { code: "ENOENT" });
  });
});

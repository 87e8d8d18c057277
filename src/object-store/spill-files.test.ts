import assert from "node:assert/strict";
import { mkdir, mkdtemp, readdir, readFile, rm, stat, truncate, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, test } from "node:test";
import { setImmediate as nextTurn } from "node:timers/promises";
import fc from "fast-check";
import { RuntimeStateError } from "../base/mod.ts";
import { SimulatedDisk } from "./fixtures/simulated-disk.ts";
import { type SpillDamage, SpillDamagedError, SpillFiles, type SpillItem } from "./spill-files.ts";
import { headerBytesOf, SLICE_BYTES } from "./spill-record.ts";

let root: string;
let folder: string;
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), "spill-test-"));
  folder = join(root, "session", "spill");
});
afterEach(() => rm(root, { recursive: true, force: true }));

function pattern(byteLength: number, seed: number): Uint8Array {
  let state = seed + 1;
  return Uint8Array.from({ length: byteLength }, () => (state = (state * 48_271) % 0x7fff_ffff) & 255);
}

async function bytesIn(files: SpillFiles, key: string): Promise<Uint8Array> {
  const into = new Uint8Array(files.byteLengthOf(key)!);
  await files.read(key, into);
  return into;
}

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await nextTurn();
}

const damaged = (damage: SpillDamage) => (error: unknown) => error instanceof SpillDamagedError && error.damage === damage && error.key === "b";

describe("objects come back as they were", () => {
  test("any number of any size, also of none, with any key", async () => {
    const items = fc.uniqueArray(fc.record({ key: fc.string({ unit: "binary" }), bytes: fc.uint8Array({ maxLength: 300 }) }), { selector: ({ key }) => key });
    await fc.assert(
      fc.asyncProperty(items, fc.integer({ min: 1, max: 1000 }), async (all, fileBytesMax) => {
        const files = new SpillFiles({ folder, fileBytesMax });
        await files.write(all);
        assert.equal(files.spilledBytes, all.reduce((sum, { bytes }) => sum + bytes.byteLength, 0));
        for (const { key, bytes } of all) {
          assert.equal(files.byteLengthOf(key), bytes.byteLength);
          assert.deepEqual(await bytesIn(files, key), bytes);
        }
        await files.close();
        await assert.rejects(stat(folder), { code: "ENOENT" });
      }),
      { numRuns: 15 },
    );
  });

  test("a large one beside small ones, from and into shared memory", async () => {
    const files = new SpillFiles({ folder });
    const large = new Uint8Array(new SharedArrayBuffer(SLICE_BYTES * 2 + 17));
    for (let index = 0; index < large.byteLength; index += 1021) large[index] = index;
    await files.write([{ key: "a", bytes: pattern(5, 1) }, { key: "large", bytes: large }, { key: "b", bytes: pattern(9, 2) }]);
    assert.equal(files.fileCount, 1);
    const into = new Uint8Array(new SharedArrayBuffer(large.byteLength + 16), 8, large.byteLength);
    await files.read("large", into);
    assert.equal(Buffer.compare(into, large), 0);
    assert.deepEqual(await bytesIn(files, "b"), pattern(9, 2));
    await files.close();
  });

  test("when calls read and write less than they were asked for", async () => {
    const disk = new SimulatedDisk();
    disk.bytesAtOnceMax = 7;
    const files = new SpillFiles({ folder, fileSystem: disk });
    await files.write([{ key: "a", bytes: pattern(100, 1) }, { key: "none", bytes: new Uint8Array(0) }, { key: "b", bytes: pattern(50, 2) }]);
    assert.deepEqual(await bytesIn(files, "a"), pattern(100, 1));
    assert.deepEqual(await bytesIn(files, "b"), pattern(50, 2));
    assert.deepEqual(await bytesIn(files, "none"), new Uint8Array(0));
  });
});

describe("files and folder", () => {
  test("nothing is touched before the first write, and others may not look inside", async () => {
    const files = new SpillFiles({ folder });
    await files.write([]);
    assert.deepEqual(await readdir(root), []);
    await files.write([{ key: "a", bytes: pattern(10, 1) }]);
    assert.equal((await stat(folder)).mode & 0o777, 0o700);
    const [name] = await readdir(folder);
    assert.equal((await stat(join(folder, name!))).mode & 0o777, 0o600);
    await files.close();
  });

  test("an unused one closes without touching a folder that was there", async () => {
    const files = new SpillFiles({ folder: root });
    await files.close();
    assert.deepEqual(await readdir(root), []);
  });

  test("objects are fused up to the limit; a larger one has a file of its own", async () => {
    const files = new SpillFiles({ folder, fileBytesMax: 100 });
    await files.write(["a", "b", "c", "large", "d"].map((key) => ({ key, bytes: pattern(key === "large" ? 101 : 50, 1) })));
    assert.deepEqual([files.fileCount, (await readdir(folder)).length], [4, 4]);
    await files.close();
  });

  test("a fused file goes with the last of its objects", async () => {
    const files = new SpillFiles({ folder });
    await files.write([{ key: "a", bytes: pattern(10, 1) }, { key: "b", bytes: pattern(20, 2) }]);
    await files.write([{ key: "c", bytes: pattern(30, 3) }]);
    files.forget("a");
    assert.deepEqual([files.has("a"), files.has("b"), files.spilledBytes, files.fileCount], [false, true, 50, 2]);
    assert.deepEqual(await bytesIn(files, "b"), pattern(20, 2));
    files.forget("b");
    await until(() => files.fileCount === 1);
    assert.equal((await readdir(folder)).length, 1);
    await assert.rejects(files.read("b", new Uint8Array(20)), /Object b is not in .*forgotten/);
    await files.close();
    assert.deepEqual([files.has("c"), files.spilledBytes, files.fileCount], [false, 0, 0]);
    await assert.rejects(stat(folder), { code: "ENOENT" });
  });

  test("a folder that was taken away is made again, and what lies in it besides is not removed", async () => {
    const files = new SpillFiles({ folder });
    await files.write([{ key: "a", bytes: pattern(10, 1) }]);
    await rm(folder, { recursive: true });
    await files.write([{ key: "c", bytes: pattern(10, 2) }]);
    await writeFile(join(folder, "foreign"), "");
    await files.close();
    assert.deepEqual(await readdir(folder), ["foreign"]);
  });

  test("a file that somebody else has put there is neither overwritten nor removed", async () => {
    const probe = new SpillFiles({ folder });
    await probe.write([{ key: "a", bytes: pattern(10, 1) }]);
    const [name] = await readdir(folder);
    await probe.close();
    await mkdir(folder);
    await writeFile(join(folder, name!), "foreign");
    const files = new SpillFiles({ folder });
    await assert.rejects(files.write([{ key: "a", bytes: pattern(10, 1) }]), /Could not spill 1 object \(10 bytes\) .*EEXIST/);
    await files.write([{ key: "a", bytes: pattern(10, 1) }]);
    assert.deepEqual(await bytesIn(files, "a"), pattern(10, 1));
    await files.close();
    assert.equal(await readFile(join(folder, name!), "utf8"), "foreign");
  });

  test("a target of another size, and an object that is there already, are refused", async () => {
    const files = new SpillFiles({ folder });
    await files.write([{ key: "a", bytes: pattern(10, 1) }]);
    await assert.rejects(files.read("a", new Uint8Array(9)), /object a has 10 bytes, not 9/);
    await assert.rejects(files.write([{ key: "a", bytes: pattern(10, 1) }]), /object a is spilled twice/);
    assert.deepEqual(await bytesIn(files, "a"), pattern(10, 1));
    await files.close();
  });
});

describe("a file that has suffered", () => {
  const items: SpillItem[] = [{ key: "a", bytes: pattern(40, 1) }, { key: "b", bytes: pattern(60, 2) }];
  const offsetOfB = headerBytesOf("a") + 40;
  const fileLength = offsetOfB + headerBytesOf("b") + 60;

  async function spilled(): Promise<{ files: SpillFiles; path: string }> {
    const files = new SpillFiles({ folder });
    await files.write(items);
    const [name] = await readdir(folder);
    return { files, path: join(folder, name!) };
  }

  test("is noticed wherever a byte of the object's record has changed, and only there", async () => {
    const { files, path } = await spilled();
    const content = await readFile(path);
    assert.equal(content.byteLength, fileLength);
    for (let position = 0; position < fileLength; position++) {
      content[position]! ^= 16;
      await writeFile(path, content);
      if (position < offsetOfB) assert.deepEqual(await bytesIn(files, "b"), pattern(60, 2));
      else await assert.rejects(bytesIn(files, "b"), damaged("altered"), `byte ${position}`);
      content[position]! ^= 16;
    }
    await files.close();
  });

  test("is noticed wherever it is truncated", async () => {
    const { files, path } = await spilled();
    for (const length of [fileLength - 1, fileLength - 60, fileLength - 61, offsetOfB + 1, offsetOfB]) {
      await truncate(path, length);
      await assert.rejects(bytesIn(files, "b"), damaged("truncated"));
      assert.deepEqual(await bytesIn(files, "a"), pattern(40, 1), "what is before that is whole");
    }
    await files.close();
  });

  test("or is gone", async () => {
    const { files, path } = await spilled();
    await rm(path);
    await assert.rejects(bytesIn(files, "b"), damaged("gone"));
    assert.equal(files.has("b"), true, "its owner says when it is forgotten");
    files.forget("a");
    files.forget("b");
    await until(() => files.fileCount === 0);
    await files.close();
  });

  test("or is another one's", async () => {
    const { files, path } = await spilled();
    await files.write([{ key: "x", bytes: pattern(40, 1) }, { key: "y", bytes: pattern(60, 2) }]);
    const other = (await readdir(folder)).map((name) => join(folder, name)).find((name) => name !== path)!;
    await writeFile(path, await readFile(other));
    await assert.rejects(bytesIn(files, "b"), damaged("altered"));
    await files.close();
  });
});

describe("at the same time", () => {
  function held(name: string): { disk: SimulatedDisk; reached: Promise<void>; release: () => void } {
    const disk = new SimulatedDisk();
    let reach: () => void;
    let release: () => void;
    const reached = new Promise<void>((resolve) => (reach = resolve));
    const released = new Promise<void>((resolve) => (release = resolve));
    disk.gate = (step) => {
      if (step !== name) return Promise.resolve();
      reach();
      return released;
    };
    return { disk, reached, release: release! };
  }

  test("a read that has begun gets its bytes, though the object is forgotten", async () => {
    const { disk, reached, release } = held("read");
    const files = new SpillFiles({ folder, fileSystem: disk });
    await files.write([{ key: "a", bytes: pattern(1000, 1) }]);
    const into = new Uint8Array(1000);
    const reading = files.read("a", into);
    await reached;
    files.forget("a");
    assert.deepEqual([files.has("a"), files.fileCount], [false, 1]);
    await assert.rejects(files.read("a", new Uint8Array(1000)), /is not in/);
    release();
    await reading;
    assert.deepEqual(into, pattern(1000, 1));
    await until(() => files.fileCount === 0);
    assert.equal(disk.files.size, 0);
    assert.deepEqual(disk.misuses, []);
  });

  test("what is forgotten while it is written leaves no file", async () => {
    const { disk, reached, release } = held("writev");
    const files = new SpillFiles({ folder, fileSystem: disk });
    const writing = files.write([{ key: "a", bytes: pattern(1000, 1) }]);
    await reached;
    assert.equal(files.has("a"), false, "not yet");
    files.forget("a");
    release();
    await writing;
    assert.equal(files.has("a"), false);
    await until(() => files.fileCount === 0);
    assert.equal(disk.files.size, 0);
  });

  test("closing ends a write that is under way, and waits until it has let go of its memory", async () => {
    const { disk, reached, release } = held("writev");
    const files = new SpillFiles({ folder, fileSystem: disk });
    const writing = files.write([{ key: "a", bytes: new Uint8Array(SLICE_BYTES * 3) }]);
    await reached;
    const closing = files.close();
    assert.equal(files.close(), closing);
    release();
    await assert.rejects(writing, RuntimeStateError);
    assert.equal(disk.stepsUnderWay, 0);
    await closing;
    assert.deepEqual([disk.files.size, disk.folders.size, disk.openHandles], [0, 0, 0]);
    await assert.rejects(files.write([]), RuntimeStateError);
    await assert.rejects(files.read("a", new Uint8Array(1)), RuntimeStateError);
    files.forget("a");
  });

  test("closing ends reads, those that wait for their turn included", async () => {
    const { disk, reached, release } = held("read");
    const files = new SpillFiles({ folder, fileSystem: disk });
    await files.write([{ key: "a", bytes: pattern(10, 1) }]);
    const reads = Array.from({ length: 100 }, () => files.read("a", new Uint8Array(10)));
    const settled = Promise.allSettled(reads);
    await reached;
    const closing = files.close();
    release();
    assert.deepEqual(new Set((await settled).map(({ status }) => status)), new Set(["rejected"]));
    await closing;
    assert.ok(disk.steps.filter((step) => step === "open r").length < 100, "a read whose turn comes later opens nothing");
    assert.deepEqual([disk.files.size, disk.openHandles, files.fileCount], [0, 0, 0]);
  });

  test("many reads open few files at once, and each gets its bytes", async () => {
    const disk = new SimulatedDisk();
    let openMax = 0;
    disk.gate = async () => {
      await nextTurn();
      openMax = Math.max(openMax, disk.openHandles);
    };
    const files = new SpillFiles({ folder, fileSystem: disk });
    await files.write(Array.from({ length: 100 }, (_, index) => ({ key: `${index}`, bytes: pattern(20, index) })));
    const all = await Promise.all(Array.from({ length: 100 }, (_, index) => bytesIn(files, `${index}`)));
    for (const [index, bytes] of all.entries()) assert.deepEqual(bytes, pattern(20, index));
    assert.ok(openMax > 1 && openMax <= 16, `${openMax} open`);
  });

  test("any order of writes, reads and forgets: each read gives its bytes or says that they are forgotten, and nothing stays", async () => {
    const command = fc.record({
      type: fc.constantFrom("write", "read", "read", "forget", "turn"),
      pick: fc.nat(1000),
      sizes: fc.array(fc.nat(200), { minLength: 1, maxLength: 4 }),
    });
    await fc.assert(
      fc.asyncProperty(fc.array(command, { maxLength: 60 }), fc.scheduler(), async (commands, scheduler) => {
        const disk = new SimulatedDisk();
        disk.bytesAtOnceMax = 64;
        disk.gate = (name) => scheduler.schedule(Promise.resolve(), name);
        const files = new SpillFiles({ folder, fileBytesMax: 300, fileSystem: disk });
        const contents = new Map<string, Uint8Array>();
        const forgotten = new Set<string>();
        const underWay: Promise<void>[] = [];
        const keyOf = (pick: number): string => `k${pick % Math.max(1, contents.size)}`;
        const readOf = async (key: string, mayRead: boolean): Promise<void> => {
          const into = new Uint8Array(contents.get(key)?.byteLength ?? 0);
          const reading = files.read(key, into);
          if (!mayRead) return assert.rejects(reading, /is not in/);
          await reading;
          assert.deepEqual(into, contents.get(key));
        };
        for (const { type, pick, sizes } of commands) {
          if (type === "write") {
            const items = sizes.map((size, index) => ({ key: `k${contents.size + index}`, bytes: pattern(size, pick + index) }));
            for (const { key, bytes } of items) contents.set(key, bytes);
            const check = async (): Promise<void> => {
              await files.write(items);
              for (const { key } of items) assert.equal(files.has(key), !forgotten.has(key));
            };
            underWay.push(check());
          } else if (type === "forget" && contents.size > 0) {
            forgotten.add(keyOf(pick));
            files.forget(keyOf(pick));
            assert.equal(files.has(keyOf(pick)), false);
          } else if (type === "read") {
            underWay.push(readOf(keyOf(pick), files.has(keyOf(pick))));
          } else {
            // As many steps of the disk as there are in this turn, in an order of the scheduler's.
            for (let count = Math.min(scheduler.count(), pick % 5); count > 0; count--) await scheduler.waitOne();
          }
        }
        await scheduler.waitFor(Promise.all(underWay));
        const expected = [...contents].filter(([key]) => !forgotten.has(key));
        assert.equal(files.spilledBytes, expected.reduce((sum, [, bytes]) => sum + bytes.byteLength, 0));
        for (const key of contents.keys()) files.forget(key);
        await scheduler.waitFor(files.close());
        assert.deepEqual([disk.files.size, disk.folders.size, disk.openHandles, disk.stepsUnderWay, files.fileCount], [0, 0, 0, 0, 0]);
        assert.deepEqual(disk.misuses, []);
      }),
      { numRuns: 200 },
    );
  });
});

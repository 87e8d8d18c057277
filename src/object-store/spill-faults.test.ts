import assert from "node:assert/strict";
import { join } from "node:path";
import { describe, test } from "node:test";
import { OutOfDiskError } from "../base/mod.ts";
import { type Fault, SimulatedDisk } from "./fixtures/simulated-disk.ts";
import { SpillDamagedError, SpillFiles } from "./spill-files.ts";
import { SLICE_BYTES } from "./spill-record.ts";

const folder = join("spill", "here");
const contents = new Map(["a", "b", "c", "d"].map((key, index) => [key, new Uint8Array(60 + index).fill(index + 1)]));
const itemsOf = (...keys: string[]) => keys.map((key) => ({ key, bytes: contents.get(key)! }));

interface Failure {
  readonly operation: "write" | "read" | "close";
  readonly error: unknown;
}

/** Two files from one call, a third from another; reads, forgets, the end. Whatever fails, the next step follows. */
async function story(disk: SimulatedDisk, files: SpillFiles, check: () => void): Promise<Failure[]> {
  const failures: Failure[] = [];
  const attempt = async (operation: Failure["operation"], act: () => Promise<void>): Promise<boolean> => {
    const error: unknown = await act().then(
      () => null,
      (reason: unknown) => reason,
    );
    if (error !== null) failures.push({ operation, error });
    check();
    return error === null;
  };
  for (const keys of [["a", "b", "c"], ["d"]]) {
    const isWritten = await attempt("write", () => files.write(itemsOf(...keys)));
    for (const key of keys) assert.equal(files.has(key), isWritten, "all of a call, or nothing");
  }
  const spilledKeys = [...contents.keys()].filter((key) => files.has(key));
  assert.equal(files.spilledBytes, spilledKeys.reduce((sum, key) => sum + contents.get(key)!.byteLength, 0));
  for (const key of spilledKeys) {
    const into = new Uint8Array(contents.get(key)!.byteLength);
    if (await attempt("read", () => files.read(key, into))) assert.deepEqual(into, contents.get(key));
    assert.equal(files.has(key), true, "a failed read changes nothing");
  }
  for (const key of spilledKeys) files.forget(key);
  while (disk.stepsUnderWay > 0) await new Promise(setImmediate);
  check();
  return failures;
}

/** Once space returns, or whatever it was is over. */
async function checkRecovered(disk: SimulatedDisk, files: SpillFiles): Promise<void> {
  disk.fault = null;
  await files.write(itemsOf("b", "d"));
  for (const key of ["b", "d"]) {
    const into = new Uint8Array(contents.get(key)!.byteLength);
    await files.read(key, into);
    assert.deepEqual(into, contents.get(key));
  }
  while (disk.stepsUnderWay > 0) await new Promise(setImmediate);
  assert.deepEqual([disk.files.size, files.fileCount], [1, 1], "what could not be removed before is removed now");
  await files.close();
  assert.deepEqual([disk.files.size, disk.folders.size, files.fileCount, files.spilledBytes], [0, 0, 0, 0]);
}

function start(): { disk: SimulatedDisk; files: SpillFiles; check: () => void } {
  const disk = new SimulatedDisk();
  // Two objects fit into a file, and every read and write takes several steps.
  const files = new SpillFiles({ folder, fileBytesMax: 130, fileSystem: disk });
  disk.bytesAtOnceMax = 50;
  const check = (): void => {
    assert.deepEqual([disk.openHandles, disk.misuses], [0, []]);
    assert.ok(files.fileCount >= disk.files.size, "every file on disk is known");
  };
  return { disk, files, check };
}

async function walk(fault: Omit<Fault, "step">, checkFailures: (failures: readonly Failure[], failedStep: string, didCleanUp: boolean) => void): Promise<void> {
  const { disk: undisturbed, files, check } = start();
  assert.deepEqual(await story(undisturbed, files, check), []);
  const stepCount = undisturbed.steps.length;
  assert.ok(stepCount > 30, `${stepCount} steps`);
  for (let step = 1; step <= stepCount; step++) {
    const current = start();
    current.disk.fault = { ...fault, step };
    const failures = await story(current.disk, current.files, current.check);
    const { steps } = current.disk;
    const isReading = steps.slice(0, step).findLast((name) => name.startsWith("open")) === "open r";
    const failedStep = steps[step - 1] === "close" && isReading ? "close after reading" : steps[step - 1]!;
    const didCleanUp = current.disk.files.size === 0 && current.files.fileCount === 0;
    checkFailures(failures, failedStep, didCleanUp);
    await checkRecovered(current.disk, current.files);
  }
}

/** Nobody waits for a removal, and bytes that have been checked stay right. */
const harmless = ["unlink", "close after reading"];

describe("a fault at every step", () => {
  for (const code of ["ENOSPC", "EDQUOT", "EIO", "EMFILE"]) {
    test(`${code} once: one operation fails, says so, and leaves nothing`, async () => {
      await walk({ code, isLasting: false }, (failures, failedStep, didCleanUp) => {
        assert.equal(failures.length, harmless.includes(failedStep) ? 0 : 1, `${failedStep} failed`);
        assert.equal(didCleanUp, failedStep !== "unlink");
        for (const { operation, error } of failures) {
          const isFull = operation === "write" && (code === "ENOSPC" || code === "EDQUOT");
          assert.equal(error instanceof OutOfDiskError, isFull);
          assert.ok(error instanceof Error && !(error instanceof SpillDamagedError));
          assert.match(error.message, operation === "write" ? /^Could not spill \d objects? \(\d+ bytes\) to spill.here: / : /^Could not read object/);
          assert.equal((error.cause as { code?: string }).code, code);
        }
      });
    });

    test(`${code} from a step on, removals included: all that follows fails, and all is well once it is over`, async () => {
      await walk({ code, isLasting: true }, (failures, failedStep) => {
        if (!harmless.includes(failedStep)) assert.ok(failures.length > 0, `${failedStep} failed`);
      });
    });
  }

  test("a fault at closing: what is left is named, and a second try removes it", async () => {
    for (const step of [1, 2, 3]) {
      const { disk, files } = start();
      await files.write(itemsOf("a", "c", "d"));
      disk.fault = { step: disk.steps.length + step, code: "EACCES", isLasting: step < 3 };
      // Two removals and then the folder's.
      await assert.rejects(files.close(), step < 3 ? /Could not remove [12] spill files from .*EACCES/ : /Could not remove the spill folder .*EACCES/);
      disk.fault = null;
      await files.close();
      assert.deepEqual([disk.files.size, disk.folders.size, files.fileCount], [0, 0, 0]);
    }
  });
});

describe("a disk that fills up", () => {
  test("in the middle of any write: the error names the folder and the bytes, and the space is given back", async () => {
    for (let capacityBytes = 0; capacityBytes < 250; capacityBytes += 10) {
      const { disk, files, check } = start();
      disk.capacityBytes = capacityBytes;
      await assert.rejects(files.write(itemsOf("a", "b", "c")), (error: unknown) => {
        assert.ok(error instanceof OutOfDiskError);
        assert.equal(error.code, "ERR_MANTARAY_OUT_OF_DISK");
        assert.match(error.message, /3 objects \(183 bytes\).*spill.here: the disk is full\. Free space there, or set objectSpillingDirectory/);
        return true;
      });
      check();
      assert.deepEqual([disk.usedBytes, disk.files.size, files.fileCount], [0, 0, 0]);
      disk.capacityBytes = Number.POSITIVE_INFINITY;
      await checkRecovered(disk, files);
    }
  });

  test("with other objects on it: they stay, and forgetting one makes room", async () => {
    const { disk, files } = start();
    await files.write(itemsOf("a"));
    await files.write(itemsOf("d"));
    disk.capacityBytes = disk.usedBytes;
    await assert.rejects(files.write(itemsOf("b")), OutOfDiskError);
    const into = new Uint8Array(60);
    await files.read("a", into);
    assert.deepEqual(into, contents.get("a"));
    files.forget("d");
    while (disk.stepsUnderWay > 0) await new Promise(setImmediate);
    await files.write(itemsOf("b"));
    assert.equal(files.has("b"), true);
  });
});

test("a failure deep in a large object waits for the call that is under way", async () => {
  const bytes = new Uint8Array(SLICE_BYTES * 3);
  for (const [step, operation] of [[4, "write"], [5, "write"], [9, "read"], [10, "read"]] as const) {
    const disk = new SimulatedDisk();
    const files = new SpillFiles({ folder, fileSystem: disk });
    disk.gate = () => new Promise(setImmediate);
    disk.fault = { step, code: "EIO", isLasting: false };
    const written = await files.write([{ key: "large", bytes }]).then(() => true, () => false);
    assert.equal(written, operation === "read");
    assert.deepEqual([disk.stepsUnderWay, disk.openHandles], [0, 0]);
    if (!written) continue;
    await assert.rejects(files.read("large", new Uint8Array(bytes.byteLength)), /Could not read object large from spill file .*EIO/);
    assert.deepEqual([disk.stepsUnderWay, disk.openHandles], [0, 0]);
  }
});

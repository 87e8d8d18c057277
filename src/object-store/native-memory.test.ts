import assert from "node:assert/strict";
import { execFileSync, fork, spawnSync } from "node:child_process";
import { once } from "node:events";
import { closeSync, fstatSync, mkdtempSync, openSync, readFileSync, rmSync, statfsSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { fileURLToPath } from "node:url";
import { transformSync } from "esbuild";
import { startTypeScriptWorker } from "../transport/fixtures/type-script-worker.ts";
import { ADDITIONS, ANSWERS_AT, FILE_BYTES, ROUND_AT, ROUNDS, SUM_AT, waitFor } from "./fixtures/native-memory-peer.ts";
import { loadNativeMemory, VIEW_BYTES_MAX } from "./native-memory.ts";
import type { NativeMemory } from "./native-memory.ts";
import { createSegmentFile, openSegmentFile } from "./segment-files.ts";

const PEER = new URL("fixtures/native-memory-peer.ts", import.meta.url);
const SOURCE = new URL("native-memory.ts", import.meta.url);
const skip = process.platform === "linux" ? false : "only Linux has it";

let folder: string;
before(() => (folder = mkdtempSync(join(tmpdir(), "mantaray-"))));
after(() => rmSync(folder, { recursive: true, force: true }));

function nativeMemory(): NativeMemory {
  const { memory, reason } = loadNativeMemory();
  assert.equal(reason, null);
  return memory!;
}

function mappedFile(name: string): { path: string; fileDescriptor: number; address: bigint } {
  const path = join(folder, name);
  const fileDescriptor = createSegmentFile(path, FILE_BYTES);
  return { path, fileDescriptor, address: nativeMemory().map(fileDescriptor, FILE_BYTES) };
}

describe("memory that threads and processes share", { skip }, () => {
  test("is loaded once for each thread", () => {
    assert.equal(loadNativeMemory(), loadNativeMemory());
  });

  test("loading it warns of nothing, in any thread", () => {
    const program = writeProgram(`
      console.log(loadNativeMemory().reason);
      const { isMainThread, Worker } = await import("node:worker_threads");
      if (isMainThread) new Worker(new URL(import.meta.url));
    `);
    const { stdout, stderr } = spawnSync(process.execPath, [program], { encoding: "utf8" });
    assert.deepEqual([stdout, stderr], ["null\nnull\n", ""]);
  });

  test("a view is exactly what was asked for, and shares its bytes with others", () => {
    const memory = nativeMemory();
    const { path, address } = mappedFile("views");
    const whole = new Uint8Array(memory.view(address, FILE_BYTES));
    const part = memory.view(address + 100n, 13);
    assert.ok(part instanceof ArrayBuffer);
    assert.equal(part.byteLength, 13);
    whole.set([1, 2, 3], 100);
    new Uint8Array(part)[12] = 9;
    assert.deepEqual([...new Uint8Array(part)], [1, 2, 3, 0, 0, 0, 0, 0, 0, 0, 0, 0, 9]);
    assert.equal(whole[112], 9);
    assert.deepEqual([...readFileSync(path).subarray(100, 113)], [...new Uint8Array(part)]);
    assert.equal(memory.view(address, 0).byteLength, 0);
    assert.throws(() => memory.view(address, VIEW_BYTES_MAX + 1), RangeError);
  });

  test("a file that cannot be mapped is an error with the system's code", () => {
    const fileDescriptor = openSync(tmpdir(), "r");
    assert.throws(() => nativeMemory().map(fileDescriptor, FILE_BYTES), { message: /mmap failed with E[A-Z]+ for 65536 bytes/ });
    closeSync(fileDescriptor);
    assert.throws(() => nativeMemory().map(fileDescriptor, FILE_BYTES), { code: "EBADF" });
    assert.throws(() => nativeMemory().unmap(1n, FILE_BYTES), { code: "EINVAL" });
  });

  test("what is unmapped is gone from the process, and the file keeps what was written", () => {
    const memory = nativeMemory();
    const { path, address } = mappedFile("unmapped");
    const isMapped = (): boolean => readFileSync("/proc/self/maps", "utf8").includes(path);
    new Uint8Array(memory.view(address, 1))[0] = 5;
    assert.ok(isMapped());
    memory.unmap(address, FILE_BYTES);
    assert.ok(!isMapped());
    assert.equal(readFileSync(path)[0], 5);
  });

  test("a thread and a process see what is written, count together, and wake and are woken", async () => {
    const memory = nativeMemory();
    const { path, address } = mappedFile("peers");
    const words = new Int32Array(memory.view(address, FILE_BYTES));
    const places = [100, 200];

    const worker = startTypeScriptWorker(PEER, { workerData: { path, ownWordAt: places[0] } });
    const child = fork(fileURLToPath(PEER), [path, String(places[1])], { execArgv: ["--import", "tsx"] });
    await Promise.all([once(worker, "message"), once(child, "message")]);
    const ended = Promise.all([once(worker, "exit"), once(child, "exit")]);
    worker.postMessage("go");
    await new Promise((resolve) => child.send("go", resolve));

    for (let count = 0; count < ADDITIONS; count++) Atomics.add(words, SUM_AT, 1);
    let notWoken = 0;
    for (let round = 1; round <= ROUNDS; round++) {
      Atomics.store(words, ROUND_AT, round);
      memory.wake(address + BigInt(4 * ROUND_AT));
      const waits = waitFor(memory, address, ANSWERS_AT, places.length * round);
      if (round > 1) notWoken += waits;
    }
    assert.deepEqual(await ended, [[0], [0, null]]);
    assert.equal(words[SUM_AT], (1 + places.length) * ADDITIONS);
    assert.deepEqual(places.map((place) => words[place]), places.map((place) => -place));
    for (const place of places) notWoken += words[place + 1]!;
    assert.ok(notWoken < ROUNDS / 2, `${notWoken} waits of ${ROUNDS * 3} were not woken`);
  });

  test("a wait is over with its time, and does not begin if the word has changed", () => {
    const memory = nativeMemory();
    const { address } = mappedFile("timeout");
    const startMs = performance.now();
    memory.waitWhile(address, 0, 30);
    memory.waitWhile(address, 0, 0);
    memory.waitWhile(address, 0, -1);
    assert.ok(performance.now() - startMs >= 29);
    for (const timeoutMs of [1e9, Infinity]) {
      for (let count = 0; count < 1000; count++) memory.waitWhile(address, 1, timeoutMs);
    }
    memory.waitWhile(address, 0, Infinity);
    new Int32Array(memory.view(address, 4))[0] = -2;
    for (let count = 0; count < 1000; count++) memory.waitWhile(address, 0, Infinity);
    assert.throws(() => memory.waitWhile(address + 1n, -2, 10), { code: "EINVAL" });
  });

  test("one lock for each file, until its descriptor is closed", () => {
    const memory = nativeMemory();
    const path = join(folder, "locked");
    const fileDescriptor = createSegmentFile(path, 1);
    const other = openSegmentFile(path);
    assert.equal(memory.lock(fileDescriptor), true);
    assert.equal(memory.lock(other), false);
    closeSync(fileDescriptor);
    assert.equal(memory.lock(other), true);
    closeSync(other);
    assert.throws(() => memory.lock(other), { code: "EBADF" });
  });

  test("reserved ranges take up room and keep what they hold", () => {
    const memory = nativeMemory();
    const { path, fileDescriptor, address } = mappedFile("reserved");
    new Uint8Array(memory.view(address, FILE_BYTES))[4096] = 4;
    assert.equal(memory.reserve(fileDescriptor, 4096, FILE_BYTES - 4096), true);
    assert.equal(memory.reserve(fileDescriptor, 4096, 0), true);
    assert.ok(fstatSync(fileDescriptor).blocks * 512 >= FILE_BYTES - 4096);
    assert.equal(readFileSync(path)[4096], 4);
    assert.equal(readFileSync(path).length, FILE_BYTES);
    assert.throws(() => memory.reserve(fileDescriptor, -4096, 4096), { code: "EINVAL" });
  });

  test("more than the file system can ever hold is refused and takes up nothing", (context) => {
    const { blocks, bsize } = statfsSync("/dev/shm");
    if (blocks === 0) return context.skip("/dev/shm has no limit");
    const own = mkdtempSync("/dev/shm/mantaray-test-");
    try {
      const byteLength = (blocks + 1) * bsize;
      const fileDescriptor = createSegmentFile(join(own, "large"), byteLength);
      assert.equal(nativeMemory().reserve(fileDescriptor, 0, byteLength), false);
      assert.equal(fstatSync(fileDescriptor).blocks, 0);
      closeSync(fileDescriptor);
    } finally {
      rmSync(own, { recursive: true });
    }
  });

  test("a file system that is full refuses, and a write to what was reserved is safe", (context) => {
    const mountPoint = mkdtempSync(join(folder, "mount-"));
    const program = writeProgram(`
      const { memory } = loadNativeMemory();
      const fileDescriptor = fs.openSync(${JSON.stringify(join(mountPoint, "file"))}, "wx+");
      fs.ftruncateSync(fileDescriptor, 2 ** 22);
      const answers = [0, 1, 2, 3].map((part) => memory.reserve(fileDescriptor, part * 400_000, 400_000));
      new Uint8Array(memory.view(memory.map(fileDescriptor, 2 ** 22), 800_000)).fill(1);
      console.log(JSON.stringify(answers));
    `);
    const runMounted = (...command: string[]): string =>
      execFileSync("/usr/bin/unshare", ["--map-root-user", "--mount", "sh", "-c", 'mount -t tmpfs -o size=1m none "$0" && exec "$@"', mountPoint, ...command], { encoding: "utf8", stdio: "pipe" });
    try {
      runMounted("true");
    } catch {
      return context.skip("no file system can be mounted here");
    }
    const output = runMounted(process.execPath, program);
    assert.deepEqual(JSON.parse(output), [true, true, false, false]);
  });
});

/** A program of plain JavaScript, because loaders of TypeScript need permissions of their own. */
function writeProgram(body: string, packagesSeenFrom: URL = SOURCE): string {
  const { code } = transformSync(readFileSync(SOURCE, "utf8"), { loader: "ts", define: { "import.meta.url": JSON.stringify(packagesSeenFrom.href) } });
  const path = join(mkdtempSync(join(folder, "program-")), "program.mjs");
  writeFileSync(path, `import * as fs from "node:fs";\n${code}\n${body}`);
  return path;
}

describe("where there is no native memory, the reason is told", { skip }, () => {
  const permission = process.allowedNodeEnvironmentFlags.has("--permission") ? "--permission" : "--experimental-permission";
  const cases: { name: string; flags?: string[]; environment?: NodeJS.ProcessEnv; packagesSeenFrom?: URL; reason: RegExp | null }[] = [
    { name: "nothing against it", reason: null },
    { name: "the variable is empty", environment: { MANTARAY_NO_SHARED_MEMORY: "" }, reason: null },
    { name: "the variable is 0", environment: { MANTARAY_NO_SHARED_MEMORY: "0" }, reason: null },
    { name: "turned off", environment: { MANTARAY_NO_SHARED_MEMORY: "1" }, reason: /^MANTARAY_NO_SHARED_MEMORY is set$/ },
    { name: "permission model", flags: [permission, "--allow-fs-read=*"], reason: /may not load native addons; --allow-addons/ },
    { name: "permission model without reading", flags: [permission, "--allow-fs-read=FOLDER"], reason: /koffi/ },
    { name: "permission model with addons", flags: [permission, "--allow-fs-read=*", "--allow-addons"], reason: null },
    { name: "no addons", flags: ["--no-addons"], reason: /may not load native addons/ },
    { name: "not installed", packagesSeenFrom: new URL("file:///nowhere/program.mjs"), reason: /koffi, which mantaray depends on, is not installed/ },
  ];
  for (const { name, flags = [], environment = {}, packagesSeenFrom, reason } of cases) {
    test(name, () => {
      const program = writeProgram("console.log(JSON.stringify([loadNativeMemory(), loadNativeMemory()].map(({ memory, reason }) => [memory !== null, reason])));", packagesSeenFrom);
      const ownFlags = flags.map((flag) => flag.replace("FOLDER", join(folder, "*")));
      const output = execFileSync(process.execPath, [...ownFlags, program], { encoding: "utf8", env: { ...process.env, NODE_OPTIONS: "", ...environment }, stdio: "pipe" });
      const [first, second] = JSON.parse(output) as [boolean, string | null][];
      assert.deepEqual(first, second);
      assert.equal(first![0], reason === null);
      if (reason === null) assert.equal(first![1], null);
      else assert.match(first![1]!, reason);
    });
  }
});

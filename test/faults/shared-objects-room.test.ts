import assert from "node:assert/strict";
import { spawn, spawnSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { describe, it } from "node:test";
import { fileURLToPath } from "node:url";
import * as ray from "mantaray";
import { eventually, ISOLATIONS, type WorkerIsolation } from "../conformance/both-isolations.ts";

const REPOSITORY = fileURLToPath(new URL("../../", import.meta.url));
const RUN_MS_MAX = 100_000;
const PERMISSION = process.allowedNodeEnvironmentFlags.has("--permission") ? "--permission" : "--experimental-permission";

/** Mounting needs the rights of root, and Linux. */
const cannotMount = process.platform !== "linux" || spawnSync("unshare", ["--mount", "true"]).status !== 0 ? "needs Linux, and the right to mount" : false;

const PRELUDE = `
  import * as ray from "mantaray";
  import { readdirSync, rmSync, writeFileSync } from "node:fs";
  const MIB = 1024 ** 2;
  const filled = (seed, byteLength = MIB - 4096) => new Uint8Array(byteLength).fill(seed + 1);
  const check = async (refs) => { for (const [seed, ref] of refs.entries()) if (!(await ray.get(ref)).every((byte) => byte === seed + 1)) throw new Error("object " + seed + " is wrong"); };
  const warnings = [];
  process.on("warning", (warning) => warnings.push(warning.message));
  const say = (value) => console.log(JSON.stringify(value));
  const tasks = (count) => { const make = ray.remote((seed, byteLength) => new Uint8Array(byteLength).fill(seed + 1)); return Array.from({ length: count }, (_, seed) => make.remote(seed, MIB)); };
`;

interface Ended {
  readonly said: unknown[];
  readonly stderr: string;
  readonly code: number | null;
}

/** Runs a program, below a shell command that ends in "$@" if one is given, until it exits. */
async function run(source: string, options: { readonly shell?: string; readonly nodeArguments?: readonly string[]; readonly environment?: Readonly<Record<string, string>> } = {}): Promise<Ended> {
  const inherited = { ...process.env };
  delete inherited["NODE_TEST_CONTEXT"];
  const node = [process.execPath, ...(options.nodeArguments ?? []), "--input-type=module", "--eval", PRELUDE + source];
  const command = options.shell === undefined ? node : ["unshare", "--mount", "sh", "-c", options.shell, "sh", ...node];
  const child = spawn(command[0] as string, command.slice(1), { cwd: REPOSITORY, env: { ...inherited, ...options.environment }, stdio: ["ignore", "pipe", "pipe"], timeout: RUN_MS_MAX, killSignal: "SIGKILL" });
  let [stdout, stderr] = ["", ""];
  child.stdout.setEncoding("utf8").on("data", (text: string) => (stdout += text));
  child.stderr.setEncoding("utf8").on("data", (text: string) => (stderr += text));
  const code = await new Promise<number | null>((resolve) => child.once("close", resolve));
  assert.equal(code, 0, `the program failed:\n${stdout}\n${stderr}`);
  return { said: stdout.trim().split("\n").filter((line) => line !== "").map((line) => JSON.parse(line) as unknown), stderr, code };
}

/** Puts, arguments, results and actors with large values, and what was warned of. */
const usual = (isolation: WorkerIsolation): string => `
  await ray.init({ numCpus: 2, isolation: "${isolation}", objectStoreMemory: 32 * MIB });
  await check(Array.from({ length: 6 }, (_, seed) => ray.put(filled(seed))));
  await check(tasks(6));
  const sum = ray.remote((value) => [value.length, value[5]]);
  const given = await ray.get([sum.remote(filled(7)), sum.remote(ray.put(filled(8)))]);
  class Keeper { keep(value) { this.value = value; } kept() { return this.value; } }
  const keeper = ray.remote(Keeper).remote();
  await ray.get(keeper.keep.remote(filled(9)));
  const kept = await ray.get(keeper.kept.remote());
  await ray.shutdown();
  say({ given, kept: kept.every((byte) => byte === 10), warnings });
`;
const GIVEN = [[1024 ** 2 - 4096, 8], [1024 ** 2 - 4096, 9]];

for (const isolation of ISOLATIONS) {
  describe(`where there is no shared memory (${isolation})`, () => {
    const isSaidOnce = (warnings: readonly string[], reason: RegExp): void => {
      const ours = warnings.filter((text) => text.includes("copied"));
      assert.equal(ours.length, 1, warnings.join("\n"));
      assert.match(ours[0] as string, reason);
    };

    it("because it was turned off, values are copied, right all the same, with one warning", async () => {
      const { said: [outcome] } = await run(usual(isolation), { environment: { MANTARAY_NO_SHARED_MEMORY: "1" } });
      const { given, kept, warnings } = outcome as { given: unknown; kept: boolean; warnings: string[] };
      assert.deepEqual([given, kept], [GIVEN, true]);
      isSaidOnce(warnings, /MANTARAY_NO_SHARED_MEMORY/);
    });

    it("because native addons are not permitted, the same", async () => {
      // Remote functions need the inspector, which Node does not permit either: values alone go.
      const { said: [warnings] } = await run(`
        await ray.init({ numCpus: 1, isolation: "${isolation}" });
        await check(Array.from({ length: 6 }, (_, seed) => ray.put(filled(seed))));
        await ray.shutdown();
        say(warnings);
      `, { nodeArguments: [PERMISSION, "--allow-fs-read=*", "--allow-fs-write=*", "--allow-worker", "--allow-child-process"] });
      isSaidOnce(warnings as string[], /allow-addons/);
    });
  });

  describe(`where room is short (${isolation})`, { skip: cannotMount }, () => {
    it("in shared memory, files are used instead, with one warning", async () => {
      const { said: [outcome] } = await run(usual(isolation), { shell: 'mount -t tmpfs -o size=4m none /dev/shm && exec "$@"' });
      const { given, kept, warnings } = outcome as { given: unknown; kept: boolean; warnings: string[] };
      assert.deepEqual([given, kept], [GIVEN, true]);
      const ours = warnings.filter((text) => text.includes("/dev/shm"));
      assert.equal(ours.length, 1, warnings.join("\n"));
      assert.match(ours[0] as string, /4 MiB free of the 32 MiB wanted/);
    });

    it("in shared memory that others fill meanwhile, objects go to disk, and nobody dies of it", async () => {
      const { said: [outcome] } = await run(`
        const { sessionDir } = await ray.init({ numCpus: 2, isolation: "${isolation}", objectStoreMemory: 48 * MIB });
        const early = [ray.put(filled(0)), ray.put(filled(1))];
        try { writeFileSync("/dev/shm/of-others", new Uint8Array(64 * MIB)); } catch { /* It is as large as it can be. */ }
        const refs = [...early, ...Array.from({ length: 38 }, (_, index) => ray.put(filled(index + 2)))];
        await check(refs);
        await check(tasks(10));
        say(readdirSync(sessionDir + "/spill").length > 0);
        await ray.shutdown();
      `, { shell: 'mount -t tmpfs -o size=64m none /dev/shm && exec "$@"' });
      assert.equal(outcome, true);
    });

    it("on the disk, producers get OutOfDiskError, and all goes on when there is space again", async () => {
      const folder = mkdtempSync(join(tmpdir(), "mantaray-test-"));
      mkdirSync(join(folder, "disk"));
      try {
        const { said: [outcome] } = await run(`
          const disk = ${JSON.stringify(join(folder, "disk"))};
          await ray.init({ numCpus: 2, isolation: "${isolation}", objectStoreMemory: 8 * MIB, objectSpillingDirectory: disk });
          writeFileSync(disk + "/of-others", new Uint8Array(7 * MIB));
          const refs = [];
          let error = null;
          while (error === null && refs.length < 40) { try { refs.push(ray.put(filled(refs.length))); } catch (reason) { error = reason; } }
          const count = refs.length;
          const task = await ray.get(tasks(1)[0]).then(() => "made", (reason) => (reason.cause ?? reason).code);
          if (!(await ray.get(refs.at(-1))).every((byte) => byte === count)) throw new Error("the last object is wrong");
          rmSync(disk + "/of-others");
          while (refs.length < 12) refs.push(ray.put(filled(refs.length)));
          await check(refs);
          await check(tasks(3));
          for (const ref of refs) ref.release();
          await ray.shutdown();
          say({ code: error?.code, message: error?.message, count, task, left: readdirSync(disk) });
        `, { shell: `mount -t tmpfs -o size=12m none ${join(folder, "disk")} && exec "$@"` });
        const { code, message, count, task, left } = outcome as { code: string; message: string; count: number; task: string; left: string[] };
        assert.equal(code, "ERR_MANTARAY_OUT_OF_DISK");
        assert.match(message, /objectSpillingDirectory/);
        assert.ok(count >= 8 && count < 14, `${count} objects were put before`);
        assert.equal(task, "ERR_MANTARAY_OUT_OF_DISK");
        assert.deepEqual(left, []);
      } finally {
        rmSync(folder, { recursive: true });
      }
    });
  });

  it(`what a killed program leaves in memory and on disk is removed by the next one (${isolation})`, { skip: process.platform !== "linux" }, async (context) => {
    const directory = mkdtempSync(join(tmpdir(), "mantaray-test-"));
    try {
      const child = spawn(process.execPath, ["--input-type=module", "--eval", `${PRELUDE}
        const { sessionDir } = await ray.init({ numCpus: 1, isolation: "${isolation}", objectStoreMemory: 4 * MIB, objectSpillingDirectory: ${JSON.stringify(directory)} });
        const refs = Array.from({ length: 10 }, (_, seed) => ray.put(filled(seed)));
        await ray.get(tasks(1)[0]);
        say({ sessionDir });
        setInterval(() => refs, 1000);
      `], { cwd: REPOSITORY, stdio: ["ignore", "pipe", "inherit"] });
      context.after(() => child.kill("SIGKILL"));
      const exited = new Promise((resolve) => child.once("exit", resolve));
      const { sessionDir } = await new Promise<{ sessionDir: string }>((resolve, reject) => {
        child.stdout.setEncoding("utf8").once("data", (line: string) => resolve(JSON.parse(line)));
        child.once("exit", () => reject(new Error("the program ended early")));
      });
      const left = [sessionDir, join("/dev/shm", basename(sessionDir)), join(directory, basename(sessionDir))];
      assert.ok(existsSync(left[2] as string) && readdirSync(left[2] as string).length > 0, "it had spilled");
      child.kill("SIGKILL");
      await exited;
      // Its worker processes end by themselves; until then they may still use it.
      await eventually("all of it to be gone", async () => {
        await ray.init({ numCpus: 1, objectStoreMemory: 4 * 1024 ** 2, objectSpillingDirectory: directory });
        ray.put(new Uint8Array(1024 ** 2)).release();
        await ray.shutdown();
        return left.every((path) => !existsSync(path));
      });
      assert.deepEqual(readdirSync(directory), []);
    } finally {
      rmSync(directory, { recursive: true, force: true });
    }
  });
}

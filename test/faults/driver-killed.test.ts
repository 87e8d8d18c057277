import assert from "node:assert/strict";
import { spawn, type ChildProcess } from "node:child_process";
import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, describe, it } from "node:test";
import { fileURLToPath } from "node:url";
import * as ray from "mantaray";
import { startCluster, type TestNode } from "mantaray/testing";
import { leftOf, nothingIsLeftOf } from "../chaos/leftovers.ts";
import { eventually, ISOLATIONS } from "../conformance/both-isolations.ts";

const REPOSITORY = fileURLToPath(new URL("../../", import.meta.url));
const skip = process.platform === "linux" ? false : "looks for what is left in /proc and /dev/shm";

const children = new Set<ChildProcess>();
afterEach(() => {
  for (const child of children) child.kill("SIGKILL");
  children.clear();
});

/** A program and the first line that it prints. */
function start(program: string, env: Record<string, string> = {}): { child: ChildProcess; printed: Promise<string>; exited: Promise<void> } {
  const child = spawn(process.execPath, ["--input-type=module", "--eval", `import * as ray from "mantaray"; ${program}`], { cwd: REPOSITORY, stdio: ["ignore", "pipe", "inherit"], env: { ...process.env, ...env } });
  children.add(child);
  const exited = new Promise<void>((resolve) => child.once("exit", () => resolve()));
  const printed = new Promise<string>((resolve, reject) => {
    let text = "";
    child.stdout?.setEncoding("utf8").on("data", (chunk: string) => {
      text += chunk;
      if (text.includes("\n")) resolve(text.slice(0, text.indexOf("\n")));
    });
    void exited.then(() => reject(new Error(`the program ended early: ${text}`)));
  });
  printed.catch(() => undefined);
  return { child, printed, exited };
}

const BUSY = `
  class Busy { constructor() { this.large = ray.put(new Float64Array(1e5)); } pid() { return process.pid; } forever() { for (;;); } idle() { return new Promise(() => undefined); } }
  const actors = [ray.remote(Busy).remote(), ray.remote(Busy).remote()];
  const pids = await ray.get(actors.map((actor) => actor.pid.remote()));
  void actors[0].forever.remote(); void actors[1].idle.remote();
  const large = ray.put(new Float64Array(1e6));
  await large.get();
`;

describe("whoever is killed leaves no process, socket, segment or file", { skip }, () => {
  for (const isolation of ISOLATIONS) {
    it(`a driver, with workers in endless loops (${isolation})`, async () => {
      const { child, printed, exited } = start(`
        await ray.init({ numCpus: 2, objectStoreMemory: 64 * 2 ** 20, isolation: "${isolation}" });
        ${BUSY}
        setTimeout(() => console.log("ready"), 500);
      `);
      await printed;
      assert.ok(leftOf(child.pid as number).length > 0, "a live session was not seen");
      child.kill("SIGKILL");
      await exited;
      await nothingIsLeftOf(child.pid as number);
    });

    it(`a driver, at moments of its start (${isolation})`, async () => {
      await Promise.all([30, 100, 200, 400, 800].map(async (delayMs) => {
        const { child, printed, exited } = start(`
          console.log("starts");
          await ray.init({ numCpus: 2, objectStoreMemory: 64 * 2 ** 20, isolation: "${isolation}" });
          setInterval(() => ray.put(new Float64Array(1e5)), 5);
          ${BUSY}
        `);
        await printed;
        await new Promise((resolve) => setTimeout(resolve, delayMs));
        child.kill("SIGKILL");
        await exited;
        await nothingIsLeftOf(child.pid as number);
      }));
    });

    it(`a driver, while it packs the files of its environment (${isolation})`, async (context) => {
      const files = mkdtempSync(join(tmpdir(), "packed-files-"));
      context.after(() => rmSync(files, { recursive: true }));
      writeFileSync(join(files, "large.bin"), new Uint8Array(2 ** 25));
      const { child, printed, exited } = start(`
        console.log("starts");
        await ray.init({ numCpus: 1, isolation: "${isolation}", runtimeEnv: { workingDir: ${JSON.stringify(files)} } });
      `);
      await printed;
      await eventually("the folder to be there", () => leftOf(child.pid as number).some((path) => path.startsWith(tmpdir())));
      child.kill("SIGKILL");
      await exited;
      await nothingIsLeftOf(child.pid as number);
    });
  }

  it("a program that others have joined: their calls end with a typed error", async () => {
    const host = start(`const { address } = await ray.init({ numCpus: 2 }); console.log(address); setInterval(() => undefined, 1000);`);
    const address = await host.printed;
    const guest = start(`
      await ray.init({ address: ${JSON.stringify(address)} });
      class Idle { forever() { return new Promise(() => undefined); } }
      const pending = [ray.remote(Idle).remote().forever.remote(), ray.remote(function forever() { return new Promise(() => undefined); }).remote()];
      const outcomes = pending.map((ref) => ref.get().catch((error) => error.code));
      setTimeout(() => process.kill(${host.child.pid}, "SIGKILL"), 300);
      console.log(JSON.stringify(await Promise.all(outcomes)));
      process.exit();
    `);
    assert.deepEqual(JSON.parse(await guest.printed), ["ERR_MANTARAY_RUNTIME_STATE", "ERR_MANTARAY_RUNTIME_STATE"]);
    await Promise.all([host.exited, guest.exited]);
    await nothingIsLeftOf(host.child.pid as number);
    await nothingIsLeftOf(guest.child.pid as number);
  });

  it("a node, its worker hosts and a worker process: calls there end with a typed error", async () => {
    await using cluster = await startCluster({ nodes: [{ numCpus: 1 }, { numCpus: 3, resources: { there: 10 } }] });
    await ray.init({ address: cluster.address });
    const options = { maxRetries: 0, numCpus: 1, resources: { there: 1 } };
    const place = ray.remote(function place() { return { pid: process.pid, workerId: ray.getRuntimeContext().workerId }; }, options);
    const [, node] = cluster.nodes as [TestNode, TestNode];
    const spin = ray.remote(function spin(begun: string): void { writeFileSync(begun, ""); for (;;); }, options);
    /** When it has begun, what it will end with. */
    const spinning = async (name: string, isolation: ray.Isolation = "thread"): Promise<{ readonly code: Promise<string> }> => {
      const begun = join(cluster.nodes[0]!.sessionDir, name);
      const code = spin.options({ isolation }).remote(begun).get().then(() => "a value", (error: ray.RayError) => error.code);
      await eventually(`${name} to begin`, () => existsSync(begun));
      return { code };
    };

    const inHost = await spinning("in-host");
    const inProcess = await spinning("in-process", "process");
    const socketOf = (workerId: string): string => join(node.sessionDir, `${workerId}.sock`);
    for (const isolation of ISOLATIONS) {
      const killed = await place.options({ isolation }).remote().get();
      assert.ok(existsSync(socketOf(killed.workerId)), `no socket of ${killed.workerId}`);
      process.kill(killed.pid, "SIGKILL");
      await eventually("its socket to be gone", () => !existsSync(socketOf(killed.workerId)));
    }
    assert.equal(await inHost.code, "ERR_MANTARAY_WORKER_CRASHED");

    const again = await spinning("again");
    process.kill(node.pid, "SIGKILL");
    assert.deepEqual(await Promise.all([inProcess.code, again.code]), ["ERR_MANTARAY_NODE_DIED", "ERR_MANTARAY_NODE_DIED"]);
    await nothingIsLeftOf(node.pid);
    await ray.shutdown();
  });
});

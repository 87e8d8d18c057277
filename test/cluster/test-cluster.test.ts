import assert from "node:assert/strict";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, describe, it } from "node:test";
import * as ray from "mantaray";
import { startCluster } from "mantaray/testing";
import { isRunning, sharedMemoryOf } from "../cli/command.ts";
import { eventually } from "../conformance/both-isolations.ts";
import { endPrograms, startProgram } from "../conformance/running-program.ts";

const where = ray.remote(() => ray.getRuntimeContext().nodeId);

afterEach(async () => {
  await ray.shutdown();
  await endPrograms();
});

describe("a cluster for tests", () => {
  it("has the nodes that were asked for, and programs use all of them", async () => {
    await using cluster = await startCluster({ nodes: [{ numCpus: 2 }, { resources: { left: 1 }, labels: { zone: "a" } }, { numCpus: 0, resources: { right: 2 } }] });
    assert.match(cluster.address, /^127\.0\.0\.1:\d+$/);
    assert.deepEqual(cluster.nodes.map(({ isHead }) => isHead), [true, false, false]);
    await ray.init({ address: cluster.address });
    const total = await ray.clusterResources();
    assert.deepEqual([total["CPU"], total["left"], total["right"]], [3, 1, 2]);
    const nodes = await ray.nodes();
    assert.deepEqual(nodes.map(({ nodeId }) => nodeId).sort(), cluster.nodes.map(({ nodeId }) => nodeId).sort());
    const left = nodes.find(({ resources }) => resources["left"] === 1);
    assert.equal(left?.labels["zone"], "a");
    const ran = await ray.get([where.options({ resources: { left: 1 } }).remote(), where.options({ numCpus: 0, resources: { right: 1 } }).remote()]);
    assert.deepEqual(ran, [left?.nodeId, nodes.find(({ resources }) => resources["right"] === 2)?.nodeId]);
  });

  it("grows, shrinks and loses nodes", async () => {
    await using cluster = await startCluster();
    await ray.init({ address: cluster.address });
    assert.equal((await ray.clusterResources())["CPU"], 1);
    const waits = where.options({ resources: { late: 1 }, maxRetries: 0 }).remote();
    const added = await cluster.addNode({ resources: { late: 1 } });
    assert.equal(await ray.get(waits), added.nodeId);
    class Counter { #count = 0; add(): number { return ++this.#count; } }
    const counter = ray.remote(Counter).options({ resources: { late: 1 } }).remote();
    assert.equal(await ray.get(counter.add.remote()), 1);
    await cluster.removeNode(added);
    assert.deepEqual([isRunning(added.pid), existsSync(added.sessionDir)], [false, false]);
    await assert.rejects(ray.get(counter.add.remote()), ray.ActorDiedError);
    assert.equal(cluster.nodes.length, 1);
    const second = await cluster.addNode({ resources: { late: 1 } });
    const started = join(cluster.nodes[0]?.sessionDir as string, "started");
    const spins = ray.remote((path: string) => {
      writeFileSync(path, String(process.pid));
      for (;;);
    }).options({ resources: { late: 1 }, maxRetries: 0 }).remote(started);
    await eventually("it to run", () => existsSync(started) && readFileSync(started, "utf8") !== "");
    const workerPid = Number(readFileSync(started, "utf8"));
    await cluster.killNode(second);
    assert.ok(!isRunning(workerPid), "its workers end with it");
    await assert.rejects(ray.get(spins), (error: Error) => error.message.includes(second.nodeId));
    await eventually("its end to be known", async () => (await ray.nodes()).filter(({ alive }) => alive).length === 1);
    for (const node of [added, second]) {
      await assert.rejects(cluster.killNode(node), (error: Error) => error instanceof ray.InvalidArgumentError && error.message.includes(node.nodeId));
    }
  });

  it("is joined through each of its nodes", async () => {
    await using cluster = await startCluster({ nodes: [{}, {}] });
    for (const { address, nodeId } of cluster.nodes) {
      await ray.init({ address });
      assert.equal(ray.getRuntimeContext().nodeId, nodeId);
      assert.equal((await ray.get([1, 2, 3].map((number) => ray.remote((value: number) => value * 2).remote(number)))).length, 3);
      await ray.shutdown();
    }
  });

  it("leaves nothing", async () => {
    const cluster = await startCluster({ nodes: [{}, {}], env: { OF_THE_NODES: "yes" } });
    await ray.init({ address: cluster.address });
    assert.equal(await ray.get(ray.remote(() => process.env["OF_THE_NODES"]).remote()), "yes");
    await ray.get(ray.put(new Uint8Array(1024 ** 2)));
    await ray.shutdown();
    const nodes = cluster.nodes;
    assert.match(readFileSync(join(nodes[0]?.sessionDir as string, "logs/node.log"), "utf8"), /has joined/);
    await Promise.all([cluster.stop(), cluster.stop()]);
    for (const { pid, sessionDir } of nodes) assert.deepEqual([isRunning(pid), existsSync(sessionDir), sharedMemoryOf(pid)], [false, false, []]);
    await assert.rejects(cluster.addNode(), ray.InvalidArgumentError);
  });

  it("ends with the process that has started it, however that ends", async () => {
    for (const end of ["process.exit()", `process.kill(process.pid, "SIGKILL")`, `setImmediate(() => { throw new Error("on purpose"); })`]) {
      const program = startProgram(`
        const { startCluster } = await import("mantaray/testing");
        const cluster = await startCluster({ nodes: [{}, {}] });
        say(cluster.nodes);
        ${end};
      `);
      const nodes = (await program.said()) as { pid: number; sessionDir: string }[];
      await program.ended;
      await eventually("its nodes to end", () => nodes.every(({ pid, sessionDir }) => !isRunning(pid) && !existsSync(sessionDir)));
    }
  });

  it("keeps no program alive, is found by its address alone, and says why a node cannot start", async (context) => {
    // Of its own, where it sees none of other tests.
    const folder = mkdtempSync(join(tmpdir(), "mantaray-test-"));
    context.after(() => rmSync(folder, { recursive: true, force: true }));
    const program = startProgram(`
      const { startCluster } = await import("mantaray/testing");
      const cluster = await startCluster();
      say(await ray.init({ address: "auto" }).then(() => "found", (error) => [error.name, error.message]));
      say(await cluster.addNode({ resources: { CPU: 1 }, numGpus: 1.5 }).catch((error) => [error.name, error.message]));
    `, { TMPDIR: folder, MANTARAY_ADDRESS: "" });
    const [notFound, why] = await program.said();
    assert.deepEqual([notFound, /no runtime of this user was found/.test(why)], ["RuntimeStateError", true], why);
    const [name, message] = await program.said();
    assert.equal(name, "RuntimeStateError");
    assert.match(message, /could not be started/);
    assert.deepEqual(await program.ended, { exitCode: 0, signal: null, stderr: "" });
    await eventually("its node to end", () => !readdirSync(folder).some((entry) => /^mantaray-\d+-/.test(entry)));
  });
});

import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { afterEach, describe, it } from "node:test";
import * as ray from "mantaray";
import { startCluster } from "mantaray/testing";
import { isRunning, sharedMemoryOf } from "../cli/command.ts";
import { eventually, ISOLATIONS } from "../conformance/both-isolations.ts";
import { endPrograms, startProgram } from "../conformance/running-program.ts";

afterEach(() => endPrograms());

for (const isolation of ISOLATIONS) {
  describe(`a head that is killed (${isolation})`, () => {
    it("takes the cluster along: what waits gets an error that says so, and nothing is left", async () => {
      await using cluster = await startCluster({ nodes: [{ numCpus: 1 }, { numCpus: 1, resources: { far: 2 } }] });
      const [head, node] = cluster.nodes;
      // Through the head, and through the other node.
      const programs = [cluster.address, node!.address].map((address) => startProgram(`
        const warnings = [];
        process.on("warning", ({ message }) => warnings.push(message));
        await ray.init({ address: ${JSON.stringify(address)}, isolation: ${JSON.stringify(isolation)} });
        class Place { pid() { return process.pid; } never() { return new Promise(() => {}); } }
        const place = ray.remote(Place).options({ resources: { far: 0.5 } }).remote();
        say(await ray.get(place.pid.remote()));
        const waiting = [place.never.remote(), ray.remote(() => new Promise(() => {})).options({ numCpus: 0 }).remote(), ray.remote(() => 1).options({ numCpus: 1 }).remote()].map((ref) => ray.get(ref).then(() => "a value", (error) => error.name));
        say(await Promise.all(waiting.slice(0, 2)));
        say(await ray.nodes().catch((error) => error.name));
        try { ray.remote(() => 1).remote(); } catch (error) { say(error.message); }
        await ray.shutdown();
        say(warnings.filter((text) => text.includes("the node that this program has joined")));
      `));
      const workerPids = await Promise.all(programs.map((program) => program.said()));
      process.kill(head!.pid, "SIGKILL");
      for (const [index, program] of programs.entries()) {
        for (const name of await program.said()) assert.ok(["RuntimeStateError", "ActorDiedError", "NodeDiedError", "WorkerCrashedError"].includes(name), name);
        assert.equal(await program.said(), "RuntimeStateError");
        const text = await program.said();
        assert.ok(text.includes("was called when its runtime had ended: ") && text.includes(`of the cluster at ${cluster.address}`), text);
        const told = await program.said() as string[];
        assert.equal(told.length, index, "through the other node");
        for (const warning of told) assert.match(warning, /ends: the head/);
        assert.equal((await program.ended).exitCode, 0);
      }
      await eventually("all processes to end", () => ![head!.pid, node!.pid, ...workerPids].some(isRunning));
      await assert.rejects(ray.init({ address: cluster.address }), (error: Error) => error instanceof ray.RuntimeStateError && error.message.includes(cluster.address));
      await eventually("all files to be gone", () => cluster.nodes.every(({ sessionDir, pid }) => !existsSync(sessionDir) && sharedMemoryOf(pid).length === 0));
    });
  });
}

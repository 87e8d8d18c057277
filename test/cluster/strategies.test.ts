import assert from "node:assert/strict";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { Place } from "../cli/command.ts";
import { ISOLATIONS } from "../conformance/both-isolations.ts";
import { endPrograms } from "../conformance/running-program.ts";

/** What programs here have: where a task or actor is, by the label of its node. */
const PRELUDE = `
  function zone() { return ray.getRuntimeContext().nodeLabels.zone; }
  class Place { zone() { return zone(); } }
  const zones = Object.fromEntries((await ray.nodes()).map((node) => [node.labels.zone, node.nodeId]));
  const task = ray.remote(zone);
  const actor = ray.remote(Place);
  const ofTask = (where, count = 1) => ray.get(Array.from({ length: count }, () => task.options(where).remote()));
  const ofActor = async (where) => { const one = actor.options(where).remote(); const seen = await ray.get(one.zone.remote()); await ray.kill(one); return seen; };
  const onNode = (of, soft) => ({ schedulingStrategy: { type: "nodeAffinity", nodeId: zones[of] ?? of, soft } });
`;

for (const isolation of ISOLATIONS) {
  describe(`strategies on three nodes (${isolation})`, () => {
    let place: Place;
    let address: string;
    before(async () => {
      place = new Place();
      ({ address } = await place.head("--num-cpus", "2", "--labels", "zone=a"));
      for (const [zone, disk] of [["b", "slow"], ["c", "fast"]]) {
        const { exitCode, stderr } = await place.run("start", "--address", address, "--num-cpus", "2", "--labels", `zone=${zone},disk=${disk}`);
        assert.equal(exitCode, 0, stderr);
      }
    });
    after(async () => {
      await endPrograms();
      await place.remove();
    });
    const program = (source: string) => place.join(address, PRELUDE + source, `isolation: "${isolation}"`);

    it("tasks and actors run on the node that their labels or their affinity ask for", async () => {
      const said = await program(`
        const wheres = [
          { labelSelector: { zone: "b" } }, { labelSelector: { disk: "!slow", zone: "!a" } }, { labelSelector: { disk: "!*" } }, { labelSelector: { zone: "in(b,c)", disk: "fast" } },
          onNode("b", false), onNode("c", true), { schedulingStrategy: { type: "nodeLabel", soft: { disk: "fast" } } }, { schedulingStrategy: { type: "nodeLabel", hard: { disk: "slow" } } },
        ];
        const tasks = [], actors = [];
        for (const where of wheres) { tasks.push(...await ofTask(where)); actors.push(await ofActor(where)); }
        say([tasks.join(""), actors.join("")]);
      `).said();
      assert.deepEqual(said, ["bcacbccb", "bcacbccb"]);
    });

    it("SPREAD gives the nodes tasks and actors in turn", async () => {
      const [actors, tasks] = await program(`
        const spread = { schedulingStrategy: "SPREAD" };
        const actors = Array.from({ length: 6 }, () => actor.options({ ...spread, numCpus: 0.5 }).remote());
        const seen = await ray.get(actors.map((one) => one.zone.remote()));
        for (const one of actors) await ray.kill(one);
        // A node that is not known to have room is left out.
        while ((await ray.availableResources()).CPU !== 6) await new Promise((resolve) => setTimeout(resolve, 10));
        const tasks = [];
        for (let round = 0; round < 6; round++) tasks.push(...await ofTask({ ...spread, numCpus: 1 - round / 100 }));
        say([seen.sort().join(""), tasks.sort().join("")]);
      `).said();
      assert.deepEqual([actors, tasks], ["aabbcc", "aabbcc"]);
    });

    it("what no node can ever hold fails, with what is missing", async () => {
      const said = await program(`
        const failed = async (result) => { try { return await result; } catch (error) { return [error.name, error.message]; } };
        say(await Promise.all([failed(ofTask({ labelSelector: { zone: "d" } })), failed(ofActor({ labelSelector: { zone: "d" } })), failed(ofTask(onNode("0123456789abcdef", false))), failed(ofTask({ ...onNode("b", false), numCpus: 3 }))]));
      `).said();
      assert.deepEqual(said.map(([name]: [string]) => name), ["TaskUnschedulableError", "ActorUnschedulableError", "TaskUnschedulableError", "TaskUnschedulableError"]);
      assert.match(said[0][1], /zone: "d".*'zone' is a or b or c/);
      assert.match(said[1][1], /zone: "d".*'zone' is a or b or c/);
      assert.match(said[2][1], /no such node/);
      assert.match(said[3][1], /3 CPU, but node [0-9a-f]{16} has 2/);
    });

    // The first program keeps its leases for as long as its thread is blocked: only the nodes can have them back.
    if (isolation === "thread") it("tasks and actors anywhere do not wait for leases that others keep idle", async () => {
      const together = (what: string) => `
        const { existsSync, mkdirSync, readdirSync, writeFileSync } = await import("node:fs");
        const folder = ${JSON.stringify(join(place.folder, "together-"))};
        const meet = ray.remote(async function meet(name) {
          const { mkdirSync, readdirSync, writeFileSync } = await import("node:fs");
          mkdirSync(folder + name, { recursive: true });
          writeFileSync(folder + name + "/" + Math.random(), "");
          while (readdirSync(folder + name).length < 6) await new Promise((resolve) => setTimeout(resolve, 5));
          return zone();
        });
        const all = (name) => ray.get(Array.from({ length: 6 }, () => meet.remote(name)));
        ${what}
      `;
      const idle = program(together(`
        await all("first");
        say("idle");
        for (const cell = new Int32Array(new SharedArrayBuffer(4)); !existsSync(folder + "over"); ) Atomics.wait(cell, 0, 0, 10);
        say("over");
      `));
      assert.equal(await idle.said(), "idle");
      const waiting = program(together(`
        const actors = Array.from({ length: 3 }, () => actor.options({ numCpus: 2 }).remote());
        say((await ray.get(actors.map((one) => one.zone.remote()))).sort().join(""));
        await Promise.all(actors.map((one) => ray.kill(one)));
        say((await all("second")).sort().join(""));
        writeFileSync(folder + "over", "");
      `));
      assert.equal(await waiting.said(), "abc");
      assert.equal(await waiting.said(), "aabbcc");
      assert.equal(await idle.said(), "over");
    });

    it("what was on a node that dies goes elsewhere if its strategy is soft, and fails if it is hard", async () => {
      const joined = await place.run("start", "--address", address, "--num-cpus", "2", "--labels", "zone=z");
      const [, pid] = /\(pid (\d+)\)/.exec(joined.stdout) as RegExpExecArray;
      const running = program(`
        const failed = (result) => result.catch((error) => error.name);
        const forEver = { maxRestarts: -1, maxTaskRetries: -1 };
        const [hard, labelled, soft, spread] = [onNode("z", false), { labelSelector: { zone: "z" } }, onNode("z", true), { schedulingStrategy: { type: "nodeLabel", soft: { zone: "z" } } }].map((where) => actor.options({ ...where, ...forEver }).remote());
        const all = [hard, labelled, soft, spread];
        say((await ray.get(all.map((one) => one.zone.remote()))).join(""));
        while ((await ray.nodes()).some((node) => node.alive && node.labels.zone === "z")) await new Promise((resolve) => setTimeout(resolve, 10));
        say(await Promise.all(all.map((one) => failed(ray.get(one.zone.remote())))));
        say(await Promise.all([failed(ofTask(onNode("z", false))), failed(ofTask(onNode("z", true))).then(String)]));
      `);
      assert.equal(await running.said(), "zzzz");
      process.kill(Number(pid), "SIGKILL");
      const [hard, labelled, ...moved] = await running.said();
      assert.deepEqual([hard, labelled], ["ActorUnschedulableError", "ActorUnschedulableError"]);
      for (const zone of moved) assert.match(zone, /^[abc]$/);
      const [hardTask, softTask] = await running.said();
      assert.equal(hardTask, "TaskUnschedulableError");
      assert.match(softTask, /^[abc]$/);
    });
  });
}

import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { startCluster, type TestCluster } from "mantaray/testing";
import { ISOLATIONS } from "../conformance/both-isolations.ts";
import { endPrograms, startProgram, type RunningProgram } from "../conformance/running-program.ts";

for (const isolation of ISOLATIONS) {
  describe(`what workers of other nodes say (${isolation})`, () => {
    let cluster: TestCluster;
    before(async () => {
      cluster = await startCluster({ nodes: [{ numCpus: 1, labels: { zone: "head" } }, { numCpus: 1, labels: { zone: "far" } }] });
    });
    after(async () => {
      await endPrograms();
      await cluster.stop();
    });
    const program = (source: string): RunningProgram => startProgram(`
      await ray.init({ address: ${JSON.stringify(cluster.address)}, isolation: "${isolation}" });
      const far = { labelSelector: { zone: "far" } };
      const addresses = Object.fromEntries((await ray.nodes()).map((node) => [node.labels.zone, node.address]));
      ${source}
    `);

    it("is printed by its program alone, with the address of their node", async () => {
      const [one, other] = ["one", "other"].map((name) => program(`
        const speak = ray.remote(function speak() { console.log("out ${name}"); console.error("err ${name}"); return process.pid; });
        class Talker { talk() { console.log("actor ${name}"); return process.pid; } }
        const pids = [await ray.get(speak.options(far).remote()), await ray.get(ray.remote(Talker, far).remote().talk.remote())];
        await ray.shutdown();
        say([addresses.far, ...pids]);
      `));
      for (const [talking, name, stranger] of [[one!, "one", "other"], [other!, "other", "one"]] as const) {
        const said: unknown[] = [];
        while (!Array.isArray(said.at(-1))) said.push(await talking.said());
        const [address, taskPid, actorPid] = said.at(-1) as [string, number, number];
        assert.match(address, /^127\.0\.0\.1:\d+$/);
        const { stderr } = await talking.ended;
        assert.ok(said.includes(`(speak pid=${taskPid}, node=${address}) out ${name}`), JSON.stringify(said));
        assert.ok(said.includes(`(Talker pid=${actorPid}, node=${address}) actor ${name}`), JSON.stringify(said));
        assert.ok(stderr.split("\n").includes(`(speak pid=${taskPid}, node=${address}) err ${name}`), stderr);
        assert.ok(!`${stderr}${JSON.stringify(said)}`.includes(` ${stranger}`), "a program has printed what another's tasks said");
      }
    });

    it("as an error has their lines, its cause and fields, and the call's lines", async () => {
      const said = await program(`
        class Refused extends RangeError { constructor(text, limit) { super(text, { cause: new Error("below") }); this.name = "Refused"; this.limit = limit; } }
        const fail = ray.remote(function fail() { throw new Refused("too many", 7); });
        const outer = ray.remote(async function outer(ref) { return await ray.get(fail.remote()); });
        try { await ray.get(outer.options(far).remote()); } catch (error) {
          const thrown = error.cause?.cause ?? error.cause;
          say([error.name, error instanceof ray.TaskError, thrown instanceof Refused, thrown.message, thrown.limit, thrown.cause.message, /fail/.test(thrown.stack), /outer/.test(error.message)]);
        }
      `).said();
      assert.deepEqual(said, ["TaskError", true, true, "too many", 7, "below", true, true]);
    });
  });
}

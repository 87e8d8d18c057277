import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";
import * as ray from "mantaray";
import { startCluster } from "mantaray/testing";
import { everythingFree } from "../conformance/both-isolations.ts";

const NODES = [{ numCpus: 1 }, { numCpus: 2, resources: { far: 2 } }];

async function squares(options: ray.TaskOptions): Promise<number[]> {
  const square = ray.remote(function square(number: number) { return number * number; }, options);
  return ray.get(Array.from({ length: 40 }, (_, number) => square.remote(number)));
}
const EXPECTED = Array.from({ length: 40 }, (_, number) => number * number);

describe("faults between the nodes of a cluster, by option", () => {
  it("delay messages: everything takes longer, and nothing is different", async () => {
    await using cluster = await startCluster({ nodes: NODES, faults: "kind=*:delayMs=1-20;seed=1" });
    await ray.init({ address: cluster.address });
    assert.deepEqual(await squares({ resources: { far: 1 } }), EXPECTED);
    const actor = ray.remote(class Counter { count = 0; next() { return ++this.count; } }, { resources: { far: 1 } }).remote();
    assert.deepEqual(await ray.get(Array.from({ length: 20 }, () => actor.next.remote())), Array.from({ length: 20 }, (_, index) => index + 1));
    await ray.kill(actor);
    await everythingFree();
    await ray.shutdown();
  });

  it("break connections between the nodes and with the head: others take their place, nothing is lost, and no node ends", async () => {
    await using cluster = await startCluster({ nodes: NODES, faults: "kind=load:drop=0.5:times=4;kind=actorPlaced:fail=1:times=1;kind=fromWorker:drop=0.2:fail=0.2:times=6;kind=toWorker:drop=0.2:fail=0.2:times=6;kind=startActor:fail=1:times=1;seed=1" });
    await ray.init({ address: cluster.address });
    const far = { resources: { far: 1 } };
    assert.deepEqual(await squares({ ...far, maxRetries: 0 }), EXPECTED);
    const actor = ray.remote(class Counter { count = 0; next() { return ++this.count; } }, { resources: { far: 0.5 }, numCpus: 0 }).remote();
    assert.deepEqual(await ray.get(Array.from({ length: 20 }, () => actor.next.remote())), Array.from({ length: 20 }, (_, index) => index + 1));
    assert.deepEqual(await squares({ maxRetries: 0 }), EXPECTED);
    assert.deepEqual((await ray.nodes()).map(({ nodeId, alive }) => [nodeId, alive]).sort(), cluster.nodes.map(({ nodeId }) => [nodeId, true]).sort());
    const log = readFileSync(join(cluster.nodes[0]!.sessionDir, "logs/node.log"), "utf8");
    assert.match(log, /connected again/);
    await ray.kill(actor);
    await everythingFree();
    await ray.shutdown();
  });

  it("are refused when they are not written well, with the reason", async () => {
    await assert.rejects(startCluster({ faults: "kind=load:fail=often" }), { name: "RuntimeStateError", message: /the environment variable MANTARAY_TESTING_FAULTS has 'fail=often', where a number from 0 to 1 is needed; it is written like/ });
  });
});

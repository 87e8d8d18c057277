import assert from "node:assert/strict";
import { describe, it } from "node:test";
import * as ray from "mantaray";
import { startCluster } from "mantaray/testing";
import { eventually, everythingFree } from "../conformance/both-isolations.ts";

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

  it("break connections: a node that loses the head ends, and what ran there runs elsewhere", async () => {
    await using cluster = await startCluster({ nodes: NODES, faults: "kind=load:drop=1:times=1;seed=1" });
    await ray.init({ address: cluster.address });
    assert.deepEqual(await squares({ maxRetries: -1 }), EXPECTED);
    await eventually("the node to be gone", async () => (await ray.nodes()).filter(({ alive }) => alive).length === 1);
    assert.deepEqual(await squares({ maxRetries: -1 }), EXPECTED);
    await ray.shutdown();
  });

  it("are refused when they are not written well, with the reason", async () => {
    await assert.rejects(startCluster({ faults: "kind=load:fail=often" }), { name: "RuntimeStateError", message: /the environment variable MANTARAY_TESTING_FAULTS has 'fail=often', where a number from 0 to 1 is needed; it is written like/ });
  });
});

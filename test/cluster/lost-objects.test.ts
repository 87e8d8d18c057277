import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import * as ray from "mantaray";
import { startCluster, type TestCluster } from "mantaray/testing";
import { eventually, ISOLATIONS } from "../conformance/both-isolations.ts";

const LENGTH = 200_000;
const ELSEWHERE = { numCpus: 0, resources: { elsewhere: 0.01 } };

/** 1.6 MB, in the object store of the node that is lost. */
const make = ray.remote((seed: number): Float64Array => new Float64Array(LENGTH).fill(seed)).options(ELSEWHERE);
const add = ray.remote((array: Float64Array, more: number): Float64Array => array.map((value) => value + more)).options(ELSEWHERE);

/** A head without work for these, and a node that can be killed; another one takes its place. */
let cluster: TestCluster;
before(async () => { cluster = await startCluster({ nodes: [{ numCpus: 1 }, { numCpus: 1, resources: { elsewhere: 1 } }] }); });
after(() => cluster.stop());

async function loseNode(): Promise<void> {
  const last = cluster.nodes.at(-1)!;
  await cluster.addNode({ numCpus: 1, resources: { elsewhere: 1 } });
  await cluster.killNode(last);
}

for (const isolation of ISOLATIONS) {
  describe(`objects whose only copy is lost with its node (${isolation})`, () => {
    before(() => ray.init({ address: cluster.address, isolation }));
    after(() => ray.shutdown());

    it("are made again for whoever needs them: the program, tasks, borrowers, and what they were made of first", async () => {
      let result = make.remote(1);
      for (let step = 0; step < 3; step++) {
        const argument = result;
        result = add.remote(argument, 1) as typeof result;
        argument.release();
      }
      const [other, third] = [make.remote(7), make.remote(8)];
      await ray.wait([result, other, third], { numReturns: 3, fetchLocal: false });
      const borrower = ray.remote(class {
        #ref: ray.ObjectRef<Float64Array> | null = null;
        keep([ref]: readonly ray.ObjectRef<Float64Array>[]): void { this.#ref = ref!; }
        async last(): Promise<number> { return (await ray.get(this.#ref!))[LENGTH - 1]!; }
      }, { numCpus: 0 }).remote();
      await ray.get(borrower.keep.remote([third]));
      await loseNode();
      const sum = ray.remote((array: Float64Array): number => array.reduce((a, b) => a + b, 0));
      assert.deepEqual(await ray.get([sum.remote(result), sum.options(ELSEWHERE).remote(other)]), [4 * LENGTH, 7 * LENGTH]);
      assert.equal((await ray.get(result))[LENGTH - 1], 4);
      assert.equal(await ray.get(borrower.last.remote()), 8);
    });

    it("of actors are made again by the actor where it starts again, if its calls may run again", async () => {
      class Maker {
        #calls = 0;
        make(): Float64Array { return new Float64Array(LENGTH).fill(++this.#calls); }
        first(array: Float64Array): number { return array[0]!; }
        node(): string { return ray.getRuntimeContext().nodeId; }
      }
      const maker = ray.remote(Maker, { ...ELSEWHERE, maxRestarts: 1, maxTaskRetries: 1 }).remote();
      const once = maker.make.options({ maxTaskRetries: 0 }).remote();
      const again = maker.make.remote();
      await ray.wait([once, again], { numReturns: 2, fetchLocal: false });
      const before = await ray.get(maker.node.remote());
      await loseNode();
      // Its worker outlives the node by a moment, and answers.
      await eventually("it to be elsewhere", async () => (await ray.get(maker.node.options({ maxTaskRetries: -1 }).remote())) !== before);
      assert.equal(await ray.get(maker.first.remote(again)), 1, "its first call in the new worker");
      await assert.rejects(ray.get(once), (error: unknown) => error instanceof ray.ObjectReconstructionFailedError && error.reason === "retriesDisabled");
    });

    it("are lost for good where nothing can make them again, which is said at once", async () => {
      const never = make.options({ maxRetries: 0 }).remote(3);
      const put = ray.remote(() => ({ ref: ray.put(new Float64Array(LENGTH)) })).options(ELSEWHERE);
      const { ref: ofOwner } = await ray.get(put.remote());
      await ray.wait([never, ofOwner], { numReturns: 2, fetchLocal: false });
      await loseNode();
      await assert.rejects(ray.get(never), (error: unknown) => error instanceof ray.ObjectReconstructionFailedError && error.reason === "retriesDisabled");
      const read = ray.remote((array: Float64Array): number => array.length);
      await assert.rejects(ray.get(read.remote(never)), ray.ObjectReconstructionFailedError);
      await assert.rejects(ray.get(ofOwner), ray.OwnerDiedError);
    });
  });
}

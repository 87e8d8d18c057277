import assert from "node:assert/strict";
import { afterEach, it } from "node:test";
import * as ray from "mantaray";
import { underBothIsolations } from "./both-isolations.ts";
import { endPrograms, startProgram } from "./running-program.ts";

const work = ray.remote(async function work() { await new Promise((resolve) => setTimeout(resolve, 20)); });

/** More tasks than all nodes can run at once, always, until `body` has ended. */
async function whileFull<T>(body: () => Promise<T>): Promise<T> {
  const over = new AbortController();
  const loops = Array.from({ length: 4 }, async () => {
    while (!over.signal.aborted) await ray.get(Array.from({ length: 4 }, () => work.remote()));
  });
  await ray.get(work.remote());
  try {
    return await body();
  } finally {
    over.abort();
    await Promise.all(loops);
  }
}

underBothIsolations("while one program keeps all processors busy", { numCpus: 2, resources: { seat: 2 } }, () => {
  afterEach(() => endPrograms());

  it("an actor of another one starts, also with resources of its own and in a placement group", async () => {
    const { address } = ray.getRuntimeContext();
    await whileFull(async () => {
      const program = startProgram(`
        await ray.init({ address: ${JSON.stringify(address)} });
        class Answer { constructor(value) { this.value = value; } get() { return this.value; } }
        const Remote = ray.remote(Answer);
        for (const [value, resources] of [[41, {}], [42, { seat: 1 }]]) {
          const one = Remote.options({ numCpus: 1, resources }).remote(value);
          say(await ray.get(one.get.remote()));
          await ray.kill(one);
        }
        const group = ray.placementGroup([{ CPU: 1 }]);
        await ray.get(group.ready());
        const inGroup = Remote.options({ numCpus: 1, schedulingStrategy: { type: "placementGroup", placementGroup: group } }).remote(43);
        say(await ray.get(inGroup.get.remote()));
        const waiting = Remote.options({ numCpus: 1, schedulingStrategy: { type: "placementGroup", placementGroup: group } }).remote(44);
        await ray.kill(inGroup);
        say(await ray.get(waiting.get.remote()));
      `);
      // One after the other: where the first one has half of all processors for good, what is left is the other program's share.
      for (const value of [41, 42, 43, 44]) assert.equal(await program.said(), value);
    });
  });

  it("so does another actor of the same one", async () => {
    class Answer { get(): number { return 1; } }
    await whileFull(async () => {
      const actor = ray.remote(Answer).options({ numCpus: 1 }).remote();
      assert.equal(await ray.get(actor.get.remote()), 1);
      await ray.kill(actor);
    });
  });
});

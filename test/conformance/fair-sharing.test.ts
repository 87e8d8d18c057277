import assert from "node:assert/strict";
import { afterEach, it } from "node:test";
import * as ray from "mantaray";
import { underBothIsolations } from "./both-isolations.ts";
import { endPrograms, startProgram } from "./running-program.ts";

const work = ray.remote(async function work() { await new Promise((resolve) => setTimeout(resolve, 5)); });

/** More tasks than the machine can run at once, always, until `body` has ended. */
async function whileFull<T>(task: { remote(): ray.ObjectRef<void> }, body: () => Promise<T>): Promise<T> {
  const over = new AbortController();
  const loops = Array.from({ length: 8 }, async () => {
    while (!over.signal.aborted) await ray.get(Array.from({ length: 4 }, () => task.remote()));
  });
  await ray.get(task.remote());
  try {
    return await body();
  } finally {
    over.abort();
    await Promise.all(loops);
  }
}

underBothIsolations("a machine that is full", { numCpus: 2, resources: { seat: 2 }, labels: { zone: "a" } }, () => {
  afterEach(() => endPrograms());

  it("is shared by programs, whatever the priority of their tasks", async () => {
    const { address } = ray.getRuntimeContext();
    await whileFull(work.options({ priority: 10 }), async () => {
      const program = startProgram(`
        await ray.init({ address: ${JSON.stringify(address)} });
        const square = ray.remote((value) => value * value);
        say(await ray.get([1, 2, 3, 4, 5].map((value) => square.remote(value))));
      `);
      assert.deepEqual(await program.said(), [1, 4, 9, 16, 25]);
    });
  });

  it("is shared by tasks that ask for different things", async () => {
    const others: ray.TaskOptions[] = [{ resources: { seat: 0.5 } }, { labelSelector: { zone: "a" } }, { numCpus: 0.5 }, { isolation: "process" }, { isolation: "thread" }];
    await whileFull(work, async () => {
      for (const options of others) await ray.get(Array.from({ length: 4 }, () => work.options(options).remote()));
    });
  });

  it("is shared by a task and those that it calls", async () => {
    const nested = ray.remote(async (count: number) => { for (let index = 0; index < count; index++) await ray.get(work.options({ resources: { seat: 1 } }).remote()); return count; });
    assert.equal(await whileFull(work, async () => ray.get(nested.remote(3))), 3);
  });
});

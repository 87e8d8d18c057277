import assert from "node:assert/strict";
import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, afterEach, it } from "node:test";
import * as ray from "mantaray";
import { eventually, underBothIsolations } from "./both-isolations.ts";
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

underBothIsolations("a program that has half of a node for good", { numCpus: 2, isOnOneOfThem: true }, (isolation) => {
  const folder = mkdtempSync(join(tmpdir(), "mantaray-shares-"));
  after(() => rmSync(folder, { recursive: true, force: true }));
  afterEach(() => endPrograms());

  class Holder { ok(): boolean { return true; } }

  it("is told that another one that has no more is served first, and is served when that wants nothing more", async () => {
    const Holding = ray.remote(Holder, { numCpus: 1 });
    const first = Holding.remote();
    await ray.get(first.ready());
    const program = startProgram(`
      import { existsSync, writeFileSync } from "node:fs";
      await ray.init(${JSON.stringify({ address: ray.getRuntimeContext().address, isolation })});
      // They wait for files: whoever waits for objects gives back its processor.
      const holds = ray.remote(async function holds(name) {
        writeFileSync(name + " runs", "");
        while (!existsSync(name + " may end")) await new Promise((resolve) => setTimeout(resolve, 10));
        return name;
      }, { numCpus: 1 });
      const names = ${JSON.stringify(["one", "two"].map((name) => join(folder, name)))};
      const refs = names.map((name) => holds.remote(name));
      say(await ray.get(refs[0]) === names[0]);
      say(await ray.get(refs[1]) === names[1]);
      await hear();
      await ray.shutdown();
      say("over");
    `);
    const runs = (name: string): Promise<void> => eventually(`task ${name} of the other program to run`, () => existsSync(join(folder, `${name} runs`)));
    const mayEnd = (name: string): void => writeFileSync(join(folder, `${name} may end`), "");
    await runs("one");
    const second = Holding.remote();
    const called = second.ok.remote();
    let messages: string[] = [];
    const messageMatches = (pattern: RegExp): (() => Promise<boolean>) => async (): Promise<boolean> => {
      messages = (await Promise.all([second, second.ready(), called].map((target) => ray.explain(target)))).map(([reason]) => reason?.because[0]?.message ?? reason?.message ?? "");
      return messages.every((message) => pattern.test(message));
    };
    await eventually("it to say whose turn it is", messageMatches(/waits for 1 CPU, .*; programs share a node evenly: this one has 50 % of node \w+, and 1 other program that has no more waits there, so what comes free is theirs first$/))
      .catch(({ message }: Error) => assert.fail(`${message}: ${messages.join("\n")}`));
    mayEnd("one");
    assert.equal(await program.said(), true);
    await runs("two");
    await eventually("it to wait for the resource alone", messageMatches(/waits for 1 CPU, of which 0 of 2 are free on node \w+$/))
      .catch(({ message }: Error) => assert.fail(`${message}: ${messages.join("\n")}`));
    mayEnd("two");
    assert.equal(await program.said(), true);
    // While the other program is still there.
    assert.equal(await ray.get(called), true);
    program.tell("end");
    assert.equal(await program.said(), "over");
    await Promise.all([ray.kill(first), ray.kill(second)]);
  });
});

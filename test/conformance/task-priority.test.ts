import assert from "node:assert/strict";
import { appendFileSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, it } from "node:test";
import * as ray from "mantaray";
import { underBothIsolations } from "./both-isolations.ts";

/** Takes the only processor for as long as it lives. */
const Holder = ray.remote(class Holder { readonly isHere = true; }, { numCpus: 1 });
/** Resolves when the node has heard of all that was submitted before; tasks are submitted at the end of a turn. */
async function heard(): Promise<void> {
  await new Promise((resolve) => setImmediate(resolve));
  await ray.availableResources();
}
const notes = ray.remote(function notes(file: string, letter: string) {
  appendFileSync(file, letter);
  return letter;
});

/** A second caller. */
class Caller {
  async submit(file: string, letters: string, priority: number): Promise<ray.ObjectRef<string>[]> {
    const refs = [...letters].map((letter) => notes.options({ priority }).remote(file, letter));
    await heard();
    return refs;
  }
}

underBothIsolations("priority of tasks", { numCpus: 1 }, () => {
  const folder = mkdtempSync(join(tmpdir(), "mantaray-test-"));
  after(() => rmSync(folder, { recursive: true }));
  let unique = 0;

  async function whileFull(submit: (file: string) => Promise<ray.ObjectRef<string>[]>): Promise<string> {
    const file = join(folder, `order-${++unique}`);
    const holder = Holder.remote();
    await ray.get(holder.ready());
    const refs = await submit(file);
    await heard();
    await ray.kill(holder);
    await ray.get(refs);
    return readFileSync(file, "utf8");
  }

  it("larger ones first among those of one caller, equal ones in the order of the calls", async () => {
    const priorities = { a: 0, b: 1, c: -1, d: 10, e: 1, f: 0, g: 0.5, h: -1, i: 10 };
    const order = await whileFull(async (file) => Object.entries(priorities).map(([letter, priority]) => notes.options({ priority }).remote(file, letter)));
    assert.equal(order, "dibegafch");
  });

  it("tasks that wait for arguments take their place when these are there", async () => {
    const order = await whileFull(async (file) => {
      const argument = ray.remote((letter: string) => letter, { numCpus: 0 });
      const late = notes.options({ priority: 1 }).remote(file, argument.remote("z"));
      return [notes.remote(file, "a"), late, notes.remote(file, "b")];
    });
    assert.ok(order.indexOf("z") >= 0 && order.indexOf("a") < order.indexOf("b"), order);
  });

  it("of several callers, the one whose next task has the largest priority gets what is given back first", async () => {
    // On the node with the processor, whose word the caller waits for: what it asks of another one gets there in its own time.
    const nodeId = (await ray.nodes()).find(({ resources }) => (resources["CPU"] ?? 0) > 0)?.nodeId as string;
    const caller = ray.remote(Caller).options({ schedulingStrategy: { type: "nodeAffinity", nodeId, soft: false } }).remote();
    await ray.get(caller.ready());
    const order = await whileFull(async (file) => {
      const own = [..."abc"].map((letter) => notes.remote(file, letter));
      const theirs = (await ray.get(caller.submit.remote(file, "xyz", 5))) as ray.ObjectRef<string>[];
      return [...own, ...theirs];
    });
    // A lease that the other one waits for ends after its time slice, so that only the first is certain.
    assert.match(order, /^[xyz]/);
    assert.deepEqual([...order].sort(), [..."abcxyz"]);
  });

  it("is a number", () => {
    for (const wrong of ["high", Number.NaN, Number.POSITIVE_INFINITY]) assert.throws(() => notes.options({ priority: wrong as number }), (error: unknown) => error instanceof ray.InvalidArgumentError && /priority/.test(error.message));
  });
});

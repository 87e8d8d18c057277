import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync, appendFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, it } from "node:test";
import * as ray from "mantaray";
import { areThreadsHere, everythingFree, underBothIsolations } from "./both-isolations.ts";

function isCrash(...mentioned: RegExp[]): (error: unknown) => boolean {
  return (error) => {
    assert.ok(error instanceof ray.WorkerCrashedError, `${String(error)} is not a WorkerCrashedError`);
    assert.equal(error.code, "ERR_MANTARAY_WORKER_CRASHED");
    for (const text of mentioned) assert.match(error.message, text);
    return true;
  };
}

underBothIsolations("workers that end", {}, (isolation) => {
  const folder = mkdtempSync(join(tmpdir(), "mantaray-test-"));
  after(() => rmSync(folder, { recursive: true }));
  const attempts = (name: string): number => readFileSync(join(folder, name), "utf8").length;

  /** Each attempt leaves a letter. */
  const exits = ray.remote(function exits(path: string, code: number) { appendFileSync(path, "x"); process.exit(code); });

  const ends: [string, ray.RemoteFunction<[string], unknown>, RegExp][] = [
    ["process.exit()", ray.remote(function ends(path: string) { appendFileSync(path, "x"); process.exit(3); }), /process\.exit\(3\).*ends/],
    ["an uncaught exception in a callback", ray.remote(function ends(path: string) { appendFileSync(path, "x"); setImmediate(() => { throw new RangeError("nobody catches me"); }); return new Promise(() => {}); }), /nobody catches me/],
    ["an unhandled rejection", ray.remote(function ends(path: string) { appendFileSync(path, "x"); void Promise.reject(new RangeError("nobody awaits me")); return new Promise(() => {}); }), /nobody awaits me/],
  ];
  if (isolation === "process") ends.push(["SIGKILL", ray.remote(function ends(path: string) { appendFileSync(path, "x"); process.kill(process.pid, "SIGKILL"); return new Promise(() => {}); }), /SIGKILL/]);

  for (const [name, task, reason] of ends) {
    it(`by ${name} fails the task with the cause, and the pool recovers`, async () => {
      const file = join(folder, name.replaceAll(/\W/g, "-"));
      await assert.rejects(ray.get(task.options({ maxRetries: 0 }).remote(file) as ray.ObjectRef), isCrash(/ends\(\)/, reason));
      assert.equal(attempts(file.slice(folder.length + 1)), 1);
      const twice = ray.remote((value: number) => value * 2);
      assert.deepEqual(await ray.get([1, 2, 3, 4].map((value) => twice.remote(value))), [2, 4, 6, 8]);
      await everythingFree();
    });
  }

  describe("maxRetries", () => {
    for (const [options, expected] of [[{}, 4], [{ maxRetries: 0 }, 1], [{ maxRetries: 2 }, 3]] as const) {
      it(`${JSON.stringify(options)} makes ${expected} attempts`, async () => {
        const name = `attempts-${expected}`;
        await assert.rejects(ray.get(exits.options(options).remote(join(folder, name), 0)), isCrash(/exits/));
        assert.equal(attempts(name), expected);
      });
    }

    it("succeeds with an attempt that does not crash, -1 without limit", async () => {
      const file = join(folder, "succeeds");
      const sixth = ray.remote((path: string) => { appendFileSync(path, "x"); if (readFileSync(path, "utf8").length < 6) process.exit(1); return "done"; });
      assert.equal(await ray.get(sixth.options({ maxRetries: -1 }).remote(file)), "done");
      assert.equal(attempts("succeeds"), 6);
    });

    it("does not retry what throws", async () => {
      const file = join(folder, "throws");
      const throws = ray.remote((path: string) => { appendFileSync(path, "x"); throw new Error("once"); });
      await assert.rejects(ray.get(throws.remote(file)), ray.TaskError);
      assert.equal(attempts("throws"), 1);
    });
  });

  it("leave other tasks alone: each runs to its result, even in the queue of the one that ends", async () => {
    const twice = ray.remote((value: number) => value * 2);
    const crash = ray.remote(() => process.exit(1));
    const refs: ray.ObjectRef<number>[] = [];
    const crashes: ray.ObjectRef<unknown>[] = [];
    for (let index = 0; index < 300; index++) {
      refs.push(twice.remote(index));
      if (index % 100 === 50) crashes.push(crash.options({ maxRetries: 0 }).remote());
    }
    for (const ref of crashes) await assert.rejects(ray.get(ref), isCrash());
    assert.deepEqual(await ray.get(refs), Array.from({ length: 300 }, (_, index) => index * 2));
  });

  it("fail what had begun there, and nothing that was sent to them besides: all else runs once", async () => {
    const file = join(folder, `runs-${isolation}`);
    const runs = ray.remote((path: string, index: number, isLast: boolean, bySignal: boolean): number => {
      appendFileSync(path, `${index}\n`);
      if (isLast && bySignal) process.kill(process.pid, "SIGKILL");
      if (isLast) process.exit(1);
      return index;
    }, { maxRetries: 0 });
    // Those of a function that is known to be short are sent many at a time.
    await ray.get(Array.from({ length: 20 }, (_, index) => runs.remote(`${file}-before`, index, false, false)));
    const refs = Array.from({ length: 200 }, (_, index) => runs.remote(file, index, index === 100, !areThreadsHere(isolation)));
    const outcomes = await Promise.allSettled(refs.map((ref) => ray.get(ref)));
    assert.deepEqual(outcomes.flatMap(({ status }, index) => (status === "rejected" ? [index] : [])), [100]);
    assert.ok(outcomes.every((outcome, index) => (outcome.status === "fulfilled" ? outcome.value === index : isCrash()(outcome.reason))));
    assert.deepEqual(readFileSync(file, "utf8").trim().split("\n").map(Number).sort((a, b) => a - b), refs.map((_, index) => index));
  });

  it("fail tasks that want what they stored, with OwnerDiedError", async () => {
    const keeper = ray.remote(class Keeper { keep() { return { ref: ray.put({ text: "mine" }) }; } crash() { process.exit(1); } }).remote();
    const { ref } = await ray.get(keeper.keep.remote());
    await assert.rejects(ray.get(keeper.crash.remote()), ray.ActorDiedError);
    const error = await ray.get(ref).then(() => undefined, (reason: unknown) => reason);
    assert.ok(error instanceof ray.OwnerDiedError, String(error));
    assert.equal(error.objectId, ref.hex());
    const read = ray.remote((value: { text: string }) => value.text);
    await assert.rejects(ray.get(read.remote(ref)), ray.OwnerDiedError);
  });

  it("fail streams in the middle", async () => {
    const breaks = ray.remote(async function* () { yield 1; await new Promise((resolve) => setImmediate(resolve)); process.exit(1); });
    const seen: number[] = [];
    await assert.rejects(async () => { for await (const ref of breaks.options({ maxRetries: 0 }).remote()) seen.push(await ray.get(ref as ray.ObjectRef<number>)); }, isCrash());
    assert.deepEqual(seen, [1]);
  });

  it("free a parent that waits for a child that crashed, and it may handle it", async () => {
    const crash = ray.remote(() => process.exit(1), { maxRetries: 0 });
    const parent = ray.remote(async () => {
      try {
        await ray.get(crash.options({ isolation: "process" }).remote());
        return "no error";
      } catch (error) {
        return (error as Error).name;
      }
    });
    assert.equal(await ray.get(parent.options({ isolation: "thread" }).remote()), "WorkerCrashedError");
  });
});

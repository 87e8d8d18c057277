import assert from "node:assert/strict";
import { appendFileSync, existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, it } from "node:test";
import * as ray from "mantaray";
import { eventually, underBothIsolations } from "./both-isolations.ts";

const where = ray.remote(() => ray.getRuntimeContext().workerId);
const twice = ray.remote((value: number) => value * 2);

/** How many times each value is there. */
function countsOf(values: readonly string[]): number[] {
  const counts = new Map<string, number>();
  for (const value of values) counts.set(value, (counts.get(value) ?? 0) + 1);
  return [...counts.values()];
}

underBothIsolations("maxCalls", { numCpus: 2 }, () => {
  const folder = mkdtempSync(join(tmpdir(), "mantaray-test-"));
  after(() => rmSync(folder, { recursive: true }));

  it("1 gives every call a worker of its own", async () => {
    const workers = await ray.get(Array.from({ length: 6 }, () => where.options({ maxCalls: 1 }).remote()));
    assert.deepEqual(countsOf(workers), [1, 1, 1, 1, 1, 1]);
  });

  it("lets no worker run more calls of the function, and loses none", async () => {
    const limited = ray.remote((index: number) => [index, ray.getRuntimeContext().workerId] as const, { maxCalls: 5, maxRetries: 0 });
    const results = await ray.get(Array.from({ length: 40 }, (_, index) => limited.remote(index)));
    assert.deepEqual(results.map(([index]) => index), Array.from({ length: 40 }, (_, index) => index));
    for (const calls of countsOf(results.map(([, worker]) => worker))) assert.ok(calls <= 5, `${calls} calls`);
  });

  it("leaves tasks alone that run beside it, wait there, or have not started, also those without a retry", async () => {
    const slow = ray.remote(async (value: number) => {
      await new Promise((resolve) => setTimeout(resolve, 20));
      return value;
    }, { maxRetries: 0, numCpus: 0.5 });
    const limited = ray.remote(() => "limited", { maxCalls: 1, maxRetries: 0, numCpus: 0.5 });
    const refs: ray.ObjectRef<number>[] = [];
    const others: ray.ObjectRef<string>[] = [];
    for (let index = 0; index < 30; index++) {
      refs.push(index % 2 === 0 ? slow.remote(index) : (twice.options({ maxRetries: 0 }).remote(index / 2) as ray.ObjectRef<number>));
      if (index % 6 === 0) others.push(limited.remote());
    }
    assert.deepEqual(await ray.get(refs), Array.from({ length: 30 }, (_, index) => index));
    assert.deepEqual(await ray.get(others), Array.from({ length: 5 }, () => "limited"));
  });

  it("ends the worker, and with it what the function has left there", async () => {
    const leaks = ray.remote(() => {
      const kept = ((globalThis as { kept?: number[] }).kept ??= []);
      return kept.push(0);
    });
    assert.deepEqual(await ray.get([1, 2, 3].map(() => leaks.options({ maxCalls: 1 }).remote())), [1, 1, 1]);
  });

  it("counts every run, and errors too", async () => {
    const file = join(folder, "runs");
    const fails = ray.remote(function fails() {
      appendFileSync(file, `${ray.getRuntimeContext().workerId}\n`);
      throw new RangeError("as asked");
    }, { maxCalls: 2, retryExceptions: true, maxRetries: 5 });
    await assert.rejects(ray.get(fails.remote() as ray.ObjectRef), ray.TaskError);
    const workers = readFileSync(file, "utf8").trim().split("\n");
    assert.equal(workers.length, 6);
    for (const calls of countsOf(workers)) assert.ok(calls <= 2);
  });

  it("waits for calls of the same worker that have started, and for nested ones", async () => {
    const outer = ray.remote(async (depth: number): Promise<number> => (depth === 0 ? 0 : 1 + (await ray.get(outer.remote(depth - 1)))), { maxCalls: 1 }) as ray.RemoteFunction<[number], Promise<number>>;
    assert.equal(await ray.get(outer.remote(4)), 4);
  });

  it("keeps what others still hold of the worker's objects", async () => {
    const makes = ray.remote(() => ({ small: ray.put("small"), large: ray.put(new Float64Array(50_000).fill(7)) }), { maxCalls: 1 });
    const { small, large } = await ray.get(makes.remote());
    const own = await ray.get(ray.remote(() => new Float64Array(50_000).fill(3), { maxCalls: 1 }).remote());
    await ray.get([1, 2, 3].map((value) => twice.remote(value)));
    assert.equal(await ray.get(small), "small");
    assert.equal((await ray.get(large))[49_999], 7);
    assert.equal(own[0], 3);
  });

  it("holds for generators and for remote functions that were passed on", async () => {
    const counts = ray.remote(function* counts(to: number) { for (let value = 0; value < to; value++) yield `${value} ${ray.getRuntimeContext().workerId}`; }, { maxCalls: 1 });
    const all = async (): Promise<string[]> => {
      const values: string[] = [];
      for await (const ref of counts.remote(3)) values.push((await ray.get(ref as ray.ObjectRef<string>)) as string);
      return values;
    };
    const [first, second] = [await all(), await all()];
    assert.deepEqual([...first, ...second].map((value) => value.split(" ")[0]), ["0", "1", "2", "0", "1", "2"]);
    assert.notEqual(first[0]?.split(" ")[1], second[0]?.split(" ")[1]);
    const passes = ray.remote(async (inner: { where: typeof where }) => ray.get([inner.where.remote(), inner.where.remote()]));
    const [one, other] = (await ray.get(passes.remote({ where: where.options({ maxCalls: 1 }) as typeof where }))) as [string, string];
    assert.notEqual(one, other);
  });

  it("0 is without limit, and workers of other functions go on", async () => {
    const workers = await ray.get(Array.from({ length: 50 }, () => where.options({ maxCalls: 0 }).remote()));
    assert.ok(new Set(workers).size <= 4);
    for (const wrong of [-1, 1.5, "2"]) assert.throws(() => where.options({ maxCalls: wrong as number }), (error: unknown) => error instanceof ray.InvalidArgumentError && /maxCalls/.test(error.message));
  });

  it("ends the process of a worker process", async () => {
    const pid = ray.remote(() => process.pid, { maxCalls: 1, isolation: "process" });
    const ended = await ray.get(pid.remote());
    await eventually(`process ${ended} to be gone`, () => !existsSync(`/proc/${ended}`) || process.platform !== "linux");
  });
});

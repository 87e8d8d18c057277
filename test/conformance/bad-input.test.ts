import assert from "node:assert/strict";
import { createServer } from "node:net";
import { afterEach, it } from "node:test";
import * as ray from "mantaray";
import { underBothIsolations } from "./both-isolations.ts";

function isInvalid(...mentioned: RegExp[]): (error: unknown) => boolean {
  return (error) => {
    assert.ok(error instanceof ray.InvalidArgumentError, `${String(error)} is not an InvalidArgumentError`);
    assert.ok(error instanceof TypeError && error instanceof ray.RayError);
    assert.equal(error.code, "ERR_MANTARAY_INVALID_ARGUMENT");
    for (const text of mentioned) assert.match(error.message, text);
    return true;
  };
}

function isSerialization(...mentioned: RegExp[]): (error: unknown) => boolean {
  return (error) => {
    assert.ok(error instanceof ray.SerializationError, `${String(error)} is not a SerializationError`);
    assert.equal(error.code, "ERR_MANTARAY_SERIALIZATION");
    for (const text of mentioned) assert.match(error.message, text);
    return true;
  };
}

underBothIsolations("bad input", {}, () => {
  const add = ray.remote((a: number, b: number) => a + b);

  // The runtime goes on after every one of them.
  afterEach(async () => assert.equal(await ray.get(add.remote(1, 2)), 3));

  const wrongTaskOptions: [string, unknown, RegExp][] = [
    ["numCpus", -1, /numCpus.*-1/], ["numCpus", "1", /numCpus.*"1"/], ["numCpus", Number.NaN, /numCpus/], ["numCpus", 0.00001, /0\.0001/], ["numGpus", Infinity, /numGpus/],
    ["memory", -5, /memory/], ["resources", { printer: -1 }, /printer/], ["resources", [1], /resources/], ["resources", { CPU: 1 }, /numCpus/],
    ["name", 5, /name/], ["name", "", /name/], ["numReturns", -1, /numReturns/], ["numReturns", 1.5, /numReturns/], ["numReturns", "many", /streaming/],
    ["maxRetries", -2, /maxRetries/], ["maxRetries", 0.5, /maxRetries/], ["isolation", "fork", /thread.*process/], ["num_cpus", 1, /did you mean 'numCpus'/], ["numCPUs", 1, /numCpus/], ["unheardOf", 1, /unheardOf/],
    ["lifetime", "detached", /lifetime/],
  ];
  for (const [name, value, mentioned] of wrongTaskOptions) {
    it(`names the wrong task option ${name}: ${typeof value === "object" ? JSON.stringify(value) : String(value)}`, () => {
      const options = { [name]: value } as ray.TaskOptions;
      assert.throws(() => add.options(options), isInvalid(mentioned));
      assert.throws(() => ray.remote((a: number) => a, options), isInvalid(mentioned));
    });
  }

  it("refuses options that are no object", () => {
    for (const options of [null, 5, "fast", []]) assert.throws(() => add.options(options as never), isInvalid(/object/));
  });

  it("takes options that are undefined as not given", async () => {
    assert.equal(await ray.get(add.options({ name: undefined as never, numCpus: undefined as never }).remote(1, 2)), 3);
  });

  it("names wrong actor and method options", () => {
    const Counter = ray.remote(class Counter { count = 0; increment() { return ++this.count; } });
    for (const [options, mentioned] of [[{ maxConcurrency: 0 }, /maxConcurrency/], [{ lifetime: "forever" }, /lifetime.*detached/], [{ getIfExists: true }, /name/], [{ maxRestarts: "always" }, /maxRestarts/], [{ maxRetries: 1 }, /maxRe/], [{ name: 5 }, /name/]] as const) {
      assert.throws(() => Counter.options(options as never), isInvalid(mentioned));
    }
    const counter = Counter.remote();
    assert.throws(() => counter.increment.options({ numReturns: -1 }), isInvalid(/numReturns/));
    assert.throws(() => counter.increment.options({ numCpus: 1 } as never), isInvalid(/numCpus/));
    counter.release();
  });

  it("refuses to make something else than a function or a class remote", () => {
    for (const wrong of [5, "fn", null, undefined, {}, [], add, ray.put(1), Promise.resolve()]) assert.throws(() => ray.remote(wrong as never), isInvalid(/function|class/));
  });

  it("says how a remote function is called, when it is called directly", () => {
    assert.throws(() => (add as unknown as (a: number, b: number) => number)(1, 2), TypeError);
  });

  it("refuses an argument that cannot travel, at the call, with the way to it", () => {
    const server = createServer();
    const take = ray.remote(function take(...args: unknown[]) { return args.length; });
    assert.throws(() => take.remote(1, { deep: [{ server }] }), isSerialization(/argument 2 of take\(\)/, /deep/, /server/));
    assert.throws(() => take.remote(Promise.resolve(1)), isSerialization(/[Pp]romise/));
    assert.throws(() => take.remote(new WeakMap()), isSerialization(/WeakMap/));
    assert.throws(() => ray.put({ stream: process.stdout }), isSerialization(/put\(\)/, /stream/));
  });

  it("leaves nothing behind of a call whose later argument cannot travel", async () => {
    const take = ray.remote((...args: unknown[]) => args.length);
    const ref = ray.put({ kept: true });
    assert.throws(() => take.remote({ ref }, add.remote(1, 1), new WeakMap()), isSerialization());
    assert.deepEqual(await ray.get(ref), { kept: true });
  });

  it("refuses a closure that cannot travel, at the first call, with the variable's name", () => {
    const server = createServer();
    const uses = ray.remote(function uses() { return server.listening; });
    assert.throws(() => uses.remote(), isSerialization(/uses/, /server/));
    // And again: it has not become something else by trying.
    assert.throws(() => uses.remote(), isSerialization(/server/));
  });

  it("fails a task whose result cannot be returned", async () => {
    const gives = ray.remote(function gives(): unknown { return { inside: new WeakMap() }; });
    await assert.rejects(ray.get(gives.remote()), isSerialization(/result of gives\(\)/, /WeakMap|inside/));
    const many = ray.remote(function many() { return [1, new WeakSet()]; }).options({ numReturns: 2 });
    for (const ref of many.remote()) await assert.rejects(ray.get(ref as ray.ObjectRef), isSerialization(/many\(\)/));
    const later = ray.remote(async () => new WeakMap());
    await assert.rejects(ray.get(later.remote()), isSerialization(/WeakMap/));
  });

  it("still tells what was thrown when the error itself cannot travel", async () => {
    const throws = ray.remote(function throws() { throw Object.assign(new RangeError("with a map"), { map: new WeakMap() }); });
    await assert.rejects(ray.get(throws.remote()), (error: unknown) => {
      assert.ok(error instanceof ray.TaskError);
      assert.match(error.message, /with a map/);
      assert.match(String(error.stack), /throws/);
      assert.match(String((error.cause as Error).message), /with a map/);
      return true;
    });
  });

  it("passes on whatever was thrown, errors or not", async () => {
    for (const thrown of [5, "text", null, undefined, { code: 7 }]) {
      const throws = ray.remote(() => { throw thrown; });
      await assert.rejects(ray.get(throws.remote()), (error: unknown) => {
        assert.ok(error instanceof ray.TaskError);
        assert.deepEqual(error.cause, thrown);
        return true;
      });
    }
  });

  it("fails a task whose module throws as it is imported, with that error", async () => {
    const module = "data:text/javascript,throw new RangeError('at import')";
    const imports = ray.remote(async () => (await import(module)) as unknown);
    await assert.rejects(ray.get(imports.remote()), (error: unknown) => error instanceof ray.TaskError && error.cause instanceof RangeError && /at import/.test(error.message));
  });

  it("refuses a second init, and says what to do", async () => {
    await assert.rejects(ray.init(), (error: unknown) => error instanceof ray.RayError && /init\(\)/.test(error.message) && /shutdown|ignoreReinitError/.test(error.message));
    const info = await ray.init({ ignoreReinitError: true });
    assert.match(info.jobId, /^[0-9a-f]+$/);
  });

  it("refuses wrong options of init, get and wait", async () => {
    for (const [options, mentioned] of [[{ numCpus: -1 }, /numCpus/], [{ isolation: "shared" }, /isolation/], [{ numCpu: 1 }, /numCpus/], [null, /object/], [{ resources: { a: "b" } }, /resources/]] as const) {
      await assert.rejects(async () => ray.init(options as never), isInvalid(mentioned));
    }
    await assert.rejects(ray.get(ray.put(1), { timeoutMs: -1 }), isInvalid(/timeoutMs/));
    await assert.rejects(ray.get(ray.put(1), { timeout: 1 } as never), isInvalid(/timeoutMs/));
    await assert.rejects(ray.get(ray.put(1), { signal: 1 } as never), isInvalid(/signal/));
    await assert.rejects(ray.wait([ray.put(1)], { numReady: 1 } as never), isInvalid(/numReady/));
  });
});

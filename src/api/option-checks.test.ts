import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { InvalidArgumentError } from "../base/mod.ts";
import * as checks from "./option-checks.ts";
import { type Check, checkOptions } from "./option-checks.ts";
import { plainWorkerKind } from "../protocol/mod.ts";
import { amountsOf, checkActorOptions, checkInitOptions, checkMethodOptions, checkTaskOptions, maxCallsOf } from "./options.ts";

function rejects(check: Check, values: readonly unknown[]): void {
  for (const value of values) assert.equal(typeof check(value), "string", `${String(value)} is refused`);
}
function accepts(check: Check, values: readonly unknown[]): void {
  for (const value of values) assert.equal(check(value), undefined, `${String(value)} is accepted`);
}
const message = (action: () => void): string => {
  try {
    action();
  } catch (error) {
    assert.ok(error instanceof InvalidArgumentError, String(error));
    assert.equal(error.code, "ERR_MANTARAY_INVALID_ARGUMENT");
    return error.message;
  }
  return assert.fail("nothing was thrown");
};

describe("checks of single options", () => {
  test("each accepts what it says and nothing else", () => {
    accepts(checks.aString, ["a"]);
    rejects(checks.aString, ["", 1, null, ["a"]]);
    accepts(checks.aBoolean, [true, false]);
    rejects(checks.aBoolean, [0, 1, "true", null]);
    accepts(checks.aDurationMs, [0, 0.5, 1e9, Number.POSITIVE_INFINITY]);
    rejects(checks.aDurationMs, [-1, Number.NaN, "5", null, new Date()]);
    accepts(checks.bytes, [0, 2 ** 40]);
    rejects(checks.bytes, [-1, Number.NaN, Number.POSITIVE_INFINITY, "1GB"]);
    accepts(checks.aSignal, [new AbortController().signal]);
    rejects(checks.aSignal, [new AbortController(), {}, null]);
    accepts(checks.aLimit, [-1, 0, 3]);
    rejects(checks.aLimit, [-2, 0.5, Number.POSITIVE_INFINITY, "3"]);
    accepts(checks.wholeNumber(1), [1, 2]);
    rejects(checks.wholeNumber(1), [0, -1, 1.5, "1", Number.NaN]);
    accepts(checks.aLimitFromOne, [1, 5, -1]);
    rejects(checks.aLimitFromOne, [0, -2, 1.5, "1", null, Number.POSITIVE_INFINITY]);
    accepts(checks.anyObject, [{}, []]);
    rejects(checks.anyObject, [null, undefined, 1, () => undefined]);
  });

  test("amounts are multiples of 0.0001", () => {
    accepts(checks.anAmount, [0, 1, 0.5, 0.1, 0.0001, 0.3333, 128, 1e6]);
    accepts(checks.aGpuAmount, [0, 0.25, 1, 2, 8]);
    rejects(checks.aGpuAmount, [1.5, 2.0001, -1, 0.00005, "1"]);
    rejects(checks.anAmount, [-0.1, 0.00005, 1 / 3, Number.NaN, Number.POSITIVE_INFINITY, "1", null]);
  });

  test("alternatives and records name what they want", () => {
    const returns = checks.either(checks.wholeNumber(0), checks.oneOf("streaming"));
    accepts(returns, [0, 3, "streaming"]);
    assert.equal(returns("stream"), 'a whole number, 0 or more, or one of "streaming"');
    const record = checks.recordOf(checks.anAmount);
    accepts(record, [{}, { a: 1 }]);
    assert.equal(record({ a: 1, b: -1 }), "an object whose 'b' is a number, 0 or more");
    rejects(record, [null, [], 1]);
  });
});

describe("checkOptions", () => {
  const allowed = { numCpus: checks.anAmount, maxRestarts: checks.aLimit, name: checks.aString };

  test("accepts what is right, and takes undefined for not given", () => {
    checkOptions({}, allowed, "f()");
    checkOptions({ numCpus: 1, name: undefined }, allowed, "f()");
  });

  test("a wrong value is told with the option, where, what it must be and what it is", () => {
    assert.equal(message(() => checkOptions({ name: "" }, allowed, "task f()")), `option 'name' of task f() must be a string that is not empty, but is ""`);
    assert.match(message(() => checkOptions({ numCpus: { a: [1] } }, allowed, "f()")), /but is \{"a":\[1\]\}$/);
    assert.match(message(() => checkOptions({ numCpus: "x".repeat(500) }, allowed, "f()")), /must be a number/);
  });

  test("values that cannot be shown do not hide the message", () => {
    const cycle: { self?: unknown } = {};
    cycle.self = cycle;
    const odd = [cycle, { big: 1n }, Symbol("s"), () => 1, 5n, { toJSON: () => undefined }, Object.create(null), null];
    for (const value of odd) assert.match(message(() => checkOptions({ name: value }, allowed, "f()")), /^option 'name' of f\(\) must be a string/);
  });

  test("an unknown option is told with what it may have meant, and what there is", () => {
    assert.equal(message(() => checkOptions({ num_cpus: 1 }, allowed, "f()")), "f() has no option 'num_cpus'; did you mean 'numCpus'? (options: numCpus, maxRestarts, name)");
    assert.match(message(() => checkOptions({ maxRestart: 1 }, allowed, "f()")), /did you mean 'maxRestarts'\?/);
    assert.match(message(() => checkOptions({ colour: 1 }, allowed, "f()")), /^f\(\) has no option 'colour' \(options:/);
    assert.match(message(() => checkOptions({ colour: undefined }, allowed, "f()")), /no option 'colour'/);
    assert.match(message(() => checkOptions({ toString: 1 }, allowed, "f()")), /no option 'toString'/, "members of every object are no options");
  });

  test("options that are no object are refused", () => {
    for (const [value, name] of [[null, "null"], [[], "an array"], [1, "number"], ["a", "string"], [() => 1, "function"]] as const) {
      assert.equal(message(() => checkOptions(value, allowed, "f()")), `the options of f() must be an object, but are ${name}`);
    }
  });
});

describe("the options of the API", () => {
  test("tasks", () => {
    checkTaskOptions({ numCpus: 0.5, resources: { slot: 1 }, numReturns: "streaming", maxRetries: -1, isolation: "process", name: "n" }, "task f()");
    assert.match(message(() => checkTaskOptions({ maxRetry: 1 }, "task f()")), /no option 'maxRetry'; did you mean 'maxRetries'\?/);
    assert.match(message(() => checkTaskOptions({ isolation: "shared" }, "task f()")), /must be one of "thread", "process"/);
    assert.match(message(() => checkTaskOptions({ resources: { CPU: 1 } }, "task f()")), /'CPU' cannot be given in 'resources' of task f\(\); use the option 'numCpus'/);
  });

  test("what this version cannot honour is refused rather than ignored, its default excepted", () => {
    assert.match(message(() => checkActorOptions({ persistence: {} }, "actor class A")), /not supported by this version/);
    checkTaskOptions({ schedulingStrategy: "DEFAULT", priority: 0, retryExceptions: false }, "task f()");
    checkActorOptions({ maxTaskRetries: 0, maxPendingCalls: -1, persistence: undefined }, "actor class A");
  });

  test("actors", () => {
    checkActorOptions({ name: "n", namespace: "s", lifetime: "detached", getIfExists: true, maxRestarts: -1, maxConcurrency: 5 }, "actor class A");
    assert.match(message(() => checkActorOptions({ getIfExists: true }, "actor class A")), /needs a 'name'/);
    assert.match(message(() => checkActorOptions({ maxConcurrency: 0 }, "actor class A")), /a whole number, 1 or more/);
    assert.match(message(() => checkActorOptions({ methods: { get: { numReturn: 2 } } }, "actor class A")), /^actor class A, method 'get' has no option 'numReturn'; did you mean 'numReturns'\?/);
    assert.match(message(() => checkMethodOptions({ numCpus: 1 }, "A.get")), /A\.get has no option 'numCpus'/);
  });

  test("init", () => {
    checkInitOptions({ numCpus: 2, numGpus: 3, isolation: "process", resources: { slot: 2 }, logToDriver: false });
    assert.match(message(() => checkInitOptions({ isolation: "shared" })), /one of "thread", "process"/);
    assert.match(message(() => checkInitOptions({ numGpus: 0.5 })), /'numGpus' of init\(\) must be a whole number/);
    assert.match(message(() => checkInitOptions({ labels: { "a zone": "a" } })), /^option 'labels' of init\(\): "a zone" cannot be the key of a label/);
    assert.match(message(() => checkInitOptions({ resources: { GPU: 1 } })), /'GPU' cannot be given in 'resources' of init\(\); use the option 'numGpus'/);
  });

  test("a task takes one processor unless it says otherwise, an actor nothing", () => {
    assert.deepEqual(amountsOf({}, 1), { CPU: 10_000 });
    assert.deepEqual(amountsOf({}, 0), {});
    assert.deepEqual(amountsOf({ numCpus: 0, resources: { slot: 0.5 } }, 1), { slot: 5_000 });
    assert.deepEqual(amountsOf({ numCpus: 2, numGpus: 1, memory: 10 }, 0), { CPU: 20_000, GPU: 10_000, memory: 100_000 });
  });
});

test("a process serves one task with accelerators, unless the task says otherwise", () => {
  const [thread, process] = [plainWorkerKind("thread"), plainWorkerKind("process")];
  assert.deepEqual([maxCallsOf({}, process), maxCallsOf({ numGpus: 0.5 }, process), maxCallsOf({ numGpus: 1 }, thread), maxCallsOf({ numGpus: 1, maxCalls: 0 }, process), maxCallsOf({ maxCalls: 7 }, thread)], [0, 1, 0, 0, 7]);
});

import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { SerializationError, TaskError } from "../base/mod.ts";
import { noRuntimeObjects } from "./fixtures/no-runtime-objects.ts";
import type { EncodedValue, RuntimeObjects } from "./mod.ts";
import { rehearsalUnit, Serializer } from "./mod.ts";

function pair(runtimeObjects: RuntimeObjects = noRuntimeObjects): { here: Serializer; there: Serializer } {
  return {
    here: new Serializer({ workerId: "here", runtimeObjects }),
    there: new Serializer({ workerId: "there", runtimeObjects }),
  };
}

async function loadCode(encoded: EncodedValue, from: Serializer, into: Serializer): Promise<void> {
  for (const id of encoded.code) {
    const unit = from.codeUnit(id);
    assert.ok(unit, `the unit ${id} is known`);
    await into.loadCode(structuredClone({ ...unit }));
  }
}

async function roundTrip<T>(value: T, { here, there } = pair()): Promise<T> {
  const encoded = structuredClone(here.encode(value, "the value"));
  await loadCode(encoded, here, there);
  return there.decode(encoded) as T;
}

/** A value with shared references and a cycle, from a tree: some objects are put into others a second time. */
function entangle(value: unknown, seed: number): unknown {
  const objects: object[] = [];
  const collect = (item: unknown): void => {
    if (typeof item !== "object" || item === null || objects.includes(item)) return;
    objects.push(item);
    if (item instanceof Map) for (const inner of item.values()) collect(inner);
    else if (item instanceof Set) for (const inner of item) collect(inner);
    else if (!ArrayBuffer.isView(item)) for (const inner of Object.values(item)) collect(inner);
  };
  collect(value);
  objects.forEach((object, index) => {
    const other = objects[(index * 7 + seed) % objects.length] as object;
    if (Array.isArray(object)) object.push(other);
    else if (object instanceof Map) object.set("other", other);
    else if (object instanceof Set) object.add(other);
    else if (Object.getPrototypeOf(object) === Object.prototype) (object as Record<string, unknown>)["other"] = other;
  });
  return value;
}

const leaf = fc.oneof(
  fc.constantFrom<unknown>(undefined, null, NaN, -0, Infinity, "", "ünïcode 🐠"),
  fc.integer(),
  fc.double(),
  fc.string(),
  fc.bigInt(),
  fc.boolean(),
  fc.date(),
  fc.uint8Array(),
  fc.float64Array(),
  fc.constant(/a+b/giu),
);
const tree = fc.letrec((tie) => ({
  node: fc.oneof(
    { maxDepth: 4, withCrossShrink: true },
    leaf,
    fc.array(tie("node"), { maxLength: 5 }),
    fc.dictionary(fc.string(), tie("node"), { maxKeys: 5 }).map((object) => ({ ...object })),
    fc.array(fc.tuple(tie("node"), tie("node")), { maxLength: 3 }).map((entries) => new Map(entries)),
    fc.array(tie("node"), { maxLength: 3 }).map((items) => new Set(items)),
  ),
})).node;

describe("plain values", () => {
  test("any value comes out as structuredClone would give it", async () => {
    await fc.assert(
      fc.asyncProperty(tree, fc.nat(100), async (value, seed) => {
        const entangled = entangle(value, seed);
        assert.deepEqual(await roundTrip(entangled), structuredClone(entangled));
      }),
      { numRuns: 200 },
    );
  });

  test("the graph format gives the same, beside something that needs it", async () => {
    const marker = Symbol.for("something special");
    await fc.assert(
      fc.asyncProperty(tree, fc.nat(100), async (value, seed) => {
        const entangled = entangle(value, seed);
        const [result, symbol] = await roundTrip([entangled, marker] as const);
        assert.equal(symbol, marker);
        assert.deepEqual(result, structuredClone(entangled));
      }),
      { numRuns: 200 },
    );
  });

  test("plain data takes v8's format and names no code", () => {
    const encoded = pair().here.encode({ a: [1, "two", new Map([[3n, new Date(0)]])] }, "x");
    assert.deepEqual([encoded.format, encoded.code, encoded.descriptors], [0, [], []]);
  });

  test("large buffers stay out of the header, uncopied; views keep sharing them", async () => {
    const numbers = new Float64Array(10_000).fill(1.5);
    const encoded = pair().here.encode([numbers, numbers.subarray(5)], "x");
    assert.equal(encoded.buffers.length, 1);
    assert.equal(encoded.buffers[0]?.buffer, numbers.buffer);
    assert.ok(encoded.header.byteLength < 200);
    const [whole, part] = (await roundTrip([numbers, numbers.subarray(5)])) as [Float64Array, Float64Array];
    part[0] = 7;
    assert.equal(whole[5], 7);
    assert.equal(whole.length, 10_000);
  });

  test("a large array by itself keeps its type, and brings what it shows of its buffer", async () => {
    const memory = new ArrayBuffer(100_000);
    new Uint8Array(memory).forEach((_, index, bytes) => { bytes[index] = index; });
    const views = [
      new Float64Array(memory), new Float32Array(memory, 12, 3000), new Int8Array(memory, 3, 9000), new BigUint64Array(memory, 24), new Uint8ClampedArray(memory, 1), new Uint16Array(memory, 2, 2500),
      new DataView(memory, 5, 8001), Buffer.from(memory, 7, 50_001), Buffer.alloc(4096, 1), new Uint8Array(4095).fill(2), new Uint8Array(0),
    ];
    for (const view of views) {
      const encoded = pair().here.encode(view, "x");
      assert.ok(encoded.format === 0 && encoded.buffers.every((buffer) => buffer.byteLength < view.byteLength + 8));
      const result = await roundTrip(view);
      assert.deepEqual(result, view);
      assert.ok(result.constructor === view.constructor && result.byteLength === view.byteLength && result.buffer.byteLength < view.byteLength + 8);
    }
  });

  test("an array of a class of one's own, or of a resizable buffer, is none by itself", () => {
    class Samples extends Float64Array {}
    assert.notEqual(pair().here.encode(new Samples(1000), "x").format, 0);
    const Resizable = ArrayBuffer as unknown as new (length: number, options: { maxByteLength: number }) => ArrayBuffer;
    assert.notEqual(pair().here.encode(new Uint8Array(new Resizable(5000, { maxByteLength: 6000 })), "x").format, 0);
  });

  test("a small Buffer does not take the pool along, and a slice not the rest", async () => {
    const { here, there } = pair();
    assert.ok(here.encode(Buffer.from("abc"), "x").header.byteLength < 100);
    const large = new Uint8Array(1_000_000);
    const encoded = here.encode(large.subarray(500_001, 500_011), "x");
    assert.ok(encoded.header.byteLength < 100);
    assert.deepEqual(there.decode(encoded), new Uint8Array(10));
    const buffer = (await roundTrip(Buffer.from("abc"))) as Buffer;
    assert.ok(Buffer.isBuffer(buffer));
    assert.equal(buffer.toString(), "abc");
  });

  test("every decoding is a copy of its own, unless it may keep the buffers", () => {
    const { here, there } = pair();
    const encoded = structuredClone(here.encode(new Uint8Array(10_000), "x"));
    const first = there.decode(encoded) as Uint8Array;
    first[0] = 1;
    assert.equal((there.decode(encoded) as Uint8Array)[0], 0);
    const adopted = there.decode({ ...encoded, buffers: encoded.buffers.map((buffer) => buffer.slice()) }, { adoptBuffers: true });
    assert.equal((adopted as Uint8Array).length, 10_000);
  });

  test("a linked list of 100,000 nodes travels", async () => {
    let list: { value: number; next: unknown } | null = null;
    for (let value = 0; value < 100_000; value++) list = { value, next: list };
    let count = 0;
    for (let node = await roundTrip(list); node !== null; node = node.next as typeof list) count++;
    assert.equal(count, 100_000);
  });
});

class Point {
  x: number;
  y: number;
  constructor(x: number, y: number) {
    this.x = x;
    this.y = y;
  }
  length(): number {
    return Math.hypot(this.x, this.y);
  }
}
class Secret {
  #value: unknown;
  label = "s";
  constructor(value: unknown) {
    this.#value = value;
  }
  get value(): unknown {
    return this.#value;
  }
}
class StatusError extends Error {
  override name = "StatusError";
  status: number;
  constructor(message: string, status: number, options?: ErrorOptions) {
    super(message, options);
    this.status = status;
  }
}

describe("values with classes", () => {
  test("instances keep their class, and come back to the original one", async () => {
    const both = pair();
    const encoded = both.here.encode([new Point(3, 4), new Point(1, 2)], "x");
    await loadCode(encoded, both.here, both.there);
    const [point] = both.there.decode(encoded) as [Point];
    assert.equal(point.length(), 5);
    assert.notEqual(point.constructor, Point);
    const [returned] = both.here.decode(both.there.encode([point], "x")) as [Point];
    assert.ok(returned instanceof Point);
    assert.equal(Object.getPrototypeOf(returned), Point.prototype);
  });

  test("messages one after the other mean the same class, also one that a function captured", async () => {
    const { here, there } = pair();
    const isPoint = (value: unknown): boolean => value instanceof Point;
    const unit = here.exportCode(isPoint);
    await there.loadCode(unit);
    for (let round = 0; round < 2; round++) {
      const encoded = here.encode(new Point(round, 0), "x");
      await loadCode(encoded, here, there);
      assert.equal(there.resolveCode(unit.id)(there.decode(encoded)), true);
    }
  });

  test("#private fields, identity, cycles and integrity hold", async () => {
    const inner = Object.freeze(new Point(1, 2));
    const value: Record<string, unknown> = { a: new Secret(inner), b: inner, error: new RangeError("r") };
    value["self"] = value;
    const copy = await roundTrip(value);
    assert.equal((copy["a"] as Secret).value, copy["b"]);
    assert.ok(Object.isFrozen(copy["b"]));
    assert.equal(copy["self"], copy);
    assert.ok(copy["error"] instanceof RangeError);
  });

  test("errors keep class, fields, cause, stack and what they aggregate", async () => {
    const cause = new StatusError("inner", 404, { cause: { detail: 1 } });
    const error = new AggregateError([cause, new TypeError("t")], "outer", { cause });
    const copy = await roundTrip(error);
    assert.ok(copy instanceof AggregateError);
    assert.equal(copy.cause, copy.errors[0]);
    assert.equal(copy.stack, error.stack);
    const copiedCause = copy.cause as StatusError;
    assert.deepEqual([copiedCause.status, copiedCause.name, copiedCause.message], [404, "StatusError", "inner"]);
    assert.deepEqual(copiedCause.cause, { detail: 1 });
    const own = await roundTrip(new TaskError("m", { cause, functionName: "f", taskId: "t", pid: 1 }));
    assert.ok(own instanceof TaskError && Object.getPrototypeOf(own) === TaskError.prototype && own.functionName === "f");
    const aborted = await roundTrip(AbortSignal.abort().reason as DOMException);
    assert.ok(aborted instanceof DOMException);
    assert.equal(aborted.name, "AbortError");
  });

  test("subclasses of built-in classes, null prototypes, symbols, holes, URLs", async () => {
    class Bag<T> extends Set<T> {
      owner = "me";
    }
    const unique = Symbol.for("u");
    const bare = Object.assign(Object.create(null), { a: 1 }) as object;
    const value = { bag: new Bag([1, 2]), bare, [Symbol.iterator]: 1, unique: [unique, unique, Symbol.iterator], holes: Object.assign([], { 0: 1, 2: 3 }), url: new URL("http://a/b?c") };
    const copy = await roundTrip(value);
    assert.deepEqual([[...copy.bag], copy.bag.owner, copy.bag.constructor.name], [[1, 2], "me", "Bag"]);
    assert.equal(Object.getPrototypeOf(copy.bare), null);
    assert.equal(copy.unique[0], copy.unique[1]);
    assert.equal(copy.unique[2], Symbol.iterator);
    assert.ok(!(1 in copy.holes));
    assert.equal(copy.url.href, "http://a/b?c");
  });

  test("functions travel by their unit; those of Node and JavaScript by name", async () => {
    const copy = await roundTrip({ parse: JSON.parse, own: (x: number) => x + 1, type: Point });
    assert.equal(copy.parse, JSON.parse);
    assert.equal(copy.own(1), 2);
    assert.equal(new copy.type(3, 4).length(), 5);
  });

  test("objects of the runtime are described and revived, wherever they are", async () => {
    class Handle {
      readonly id: number;
      constructor(id: number) {
        this.id = id;
      }
    }
    const runtimeObjects: RuntimeObjects = {
      describe: (object) => (object instanceof Handle ? { handle: object.id } : undefined),
      revive: (descriptor) => new Handle((descriptor as { handle: number }).handle * 10),
    };
    const both = pair(runtimeObjects);
    const handle = new Handle(4);
    const encoded = both.here.encode({ deep: [new Map([["h", handle]]), handle] }, "x");
    assert.deepEqual([encoded.descriptors, encoded.code], [[{ handle: 4 }], []]);
    const copy = both.there.decode(encoded) as { deep: [Map<string, Handle>, Handle] };
    assert.equal(copy.deep[1].id, 40);
    assert.equal(copy.deep[0].get("h"), copy.deep[1]);
    const unit = both.here.exportCode(() => handle.id);
    assert.deepEqual(unit.descriptors, [{ handle: 4 }]);
    await both.there.loadCode(unit);
    assert.equal(both.there.resolveCode(unit.id)(), 40);
  });

  test("what cannot travel is refused with the path to it", () => {
    const { here } = pair();
    const refused = (value: unknown, pattern: RegExp): void => {
      assert.throws(
        () => here.encode(value, "argument 1 of train()"),
        (error) => error instanceof SerializationError && error.code === "ERR_MANTARAY_SERIALIZATION" && pattern.test(error.message),
      );
    };
    refused({ a: [Promise.resolve()] }, /Promise cannot[^]*path: argument 1 of train\(\) -> property 'a' -> \[0\]$/);
    refused(new Map([["k", new WeakMap()]]), /WeakMap cannot[^]*value of the Map at 'k'/);
    refused([new SharedArrayBuffer(8)], /SharedArrayBuffer/);
    refused([Symbol("mine")], /unique Symbol[^]*\[0\]/);
    refused({ stream: process.stdout }, /property 'stream'/);
    refused({ p: new Proxy({}, {}) }, /Proxy cannot[^]*property 'p'/);
    refused({ f: () => process.nextTick(() => eval("1")) }, /eval\(\)[^]*argument 1 of train\(\) -> property 'f' -> function 'f'/);
    refused(new Point(new AbortController() as unknown as number, 1), /AbortController[^]*property 'x'/);
  });
});

describe("the size of code", () => {
  test("more than 10 MB is warned about, more than 100 MB refused", () => {
    const warnings: string[] = [];
    const here = new Serializer({ workerId: "here", runtimeObjects: noRuntimeObjects, warn: (message) => warnings.push(message) });
    const large = new Uint8Array(11 * 1024 * 1024);
    here.exportCode(function heavy() {
      return large.length;
    });
    assert.match(warnings.join(), /function 'heavy' \(.*values\.test\.ts:\d+\) captures 11 MB.*ray\.put/);
    const huge = [new Uint8Array(60 * 1024 * 1024), new Uint8Array(60 * 1024 * 1024)];
    assert.throws(() => here.exportCode(() => huge.length), /120 MB, more than the 100 MB/);
  });
});

test("an arrow function that uses the super of the method around it is refused, one with super of its own is not", () => {
  const here = new Serializer({ workerId: "here", runtimeObjects: noRuntimeObjects });
  class Base { name(): string { return "base"; } }
  class Derived extends Base {
    outer(): () => string { return () => super.name(); }
    own(): () => string { return () => ({ __proto__: { toString: () => "own" }, text() { return super.toString(); } }).text(); }
  }
  assert.throws(() => here.exportCode(new Derived().outer()), /uses the `super` of the method around it/);
  const there = new Serializer({ workerId: "there", runtimeObjects: noRuntimeObjects });
  const unit = here.exportCode(new Derived().own());
  assert.equal(there.loadCode(unit), undefined);
  assert.equal(there.resolveCode(unit.id)(), "own");
});

test("the class of a rehearsal is rebuilt as a captured one is", () => {
  const there = new Serializer({ workerId: "there", runtimeObjects: noRuntimeObjects });
  const unit = rehearsalUnit();
  assert.equal(there.loadCode(unit), undefined);
  const Rehearsal = there.resolveCode(unit.id) as unknown as new (start: number) => { increment(): number };
  const instance = new Rehearsal(1);
  assert.equal(instance.increment(), 3);
  // Its #private field is registered, and what rebuilds instances keeps its constructor from running: as with captured classes.
  assert.deepEqual(Object.keys(instance), []);
  const copy = there.decode(there.encode(instance, "the instance")) as typeof instance;
  assert.notEqual(copy, instance);
  assert.equal(copy.increment(), 4);
});

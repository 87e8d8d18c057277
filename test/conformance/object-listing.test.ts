import assert from "node:assert/strict";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { it } from "node:test";
import { fileURLToPath } from "node:url";
import * as ray from "mantaray";
import { areThreadsHere, eventually, NODES, underBothIsolations } from "./both-isolations.ts";
import { runProgram } from "./child-program.ts";

type Bytes = Uint8Array<ArrayBuffer>;
const LARGE_BYTES = 1024 ** 2;
const STORE_BYTES = 48 * 1024 ** 2;
const CLUSTER_BYTES = STORE_BYTES * Math.max(1, NODES);
const large = (fill = 1, byteLength = LARGE_BYTES): Bytes => new Uint8Array(byteLength).fill(fill);

class Cache {
  refs: ray.ObjectRef<Bytes>[] = [];
  views: Bytes[] = [];
  keep(box: { ref: ray.ObjectRef<Bytes> }): void { this.refs.push(box.ref); }
  async look(): Promise<number> {
    for (const ref of this.refs) this.views.push(await ray.get(ref));
    return this.views.length;
  }
  drop(): void { for (const ref of this.refs.splice(0)) ref.release(); }
  own(): { ref: ray.ObjectRef<Bytes> } { return { ref: ray.put(large(9)) }; }
  make(): Bytes { return large(2); }
  *makeAndFail(): Generator<Bytes> { yield large(); throw new Error("no more"); }
  *makeSeveral(count: number): Generator<Bytes> { for (let index = 0; index < count; index++) yield large(index); }
}
const Caches = ray.remote(Cache);

/** Answers when it is told to. */
class Gate {
  open: (() => void) | null = null;
  readonly opened = new Promise<void>((resolve) => { this.open = resolve; });
  readonly passing: unknown[] = [];
  async pass(value: unknown): Promise<void> {
    this.passing.push(value);
    await this.opened;
  }
  async unlock(): Promise<void> { this.open?.(); }
}
const Gates = ray.remote(Gate);

async function stateOf(ref: ray.ObjectRef<unknown>): Promise<ray.ObjectState | undefined> {
  return (await ray.listObjects()).objects.find(({ objectId, isCopy }) => objectId === ref.hex() && !isCopy);
}

/** "LOCAL_REFERENCE driver", "PINNED_IN_MEMORY Cache"… */
function reasons(object: ray.ObjectState | undefined): string[] {
  return (object?.references ?? []).map(({ referenceType, type, actorClassName }) => `${referenceType} ${actorClassName ?? type?.toLowerCase() ?? "unknown"}`).sort();
}

async function eventuallyKeptBy(ref: ray.ObjectRef<unknown>, wanted: string[]): Promise<void> {
  let found: string[] = [];
  const isAsWanted = async (): Promise<boolean> => {
    // Refs that a call has dropped count until they are collected.
    const { objects } = await ray.listObjects({ collectGarbage: true });
    // On other nodes, views keep a copy.
    found = objects.filter(({ objectId }) => objectId === ref.hex()).flatMap(reasons).sort();
    return JSON.stringify(found) === JSON.stringify(wanted);
  };
  await eventually("the reasons", isAsWanted).catch(() => assert.deepEqual(found, wanted));
}

function lineOf(text: string): number {
  return readFileSync(fileURLToPath(import.meta.url), "utf8").split("\n").findIndex((line) => line.includes(text)) + 1;
}

async function total(): Promise<number> {
  return (await ray.listObjects({ collectGarbage: true })).total;
}

underBothIsolations("the listing of objects", { objectStoreMemory: STORE_BYTES }, (isolation) => {
  it("shows what was put: size, owner, place in the program, reason", async () => {
    using ref = ray.put(large());
    using small = ray.put({ small: true });
    const { objects, store, unansweredWorkers } = await ray.listObjects();
    assert.equal(objects.some(({ objectId }) => objectId === small.hex()), false, "small objects are not registered");
    const object = objects.find(({ objectId }) => objectId === ref.hex());
    assert.ok(object !== undefined && object.objectSize >= LARGE_BYTES && object.objectSize < LARGE_BYTES + 4096);
    assert.deepEqual([object.ownerId, object.ownerPid, object.createdBy], [ray.getRuntimeContext().workerId, process.pid, "put()"]);
    assert.match(object.callSite as string, /^.*object-listing\.test\.ts:\d+:\d+/);
    assert.deepEqual([object.isInMemory, object.isSpilled, object.isFreed], [true, false, false]);
    assert.deepEqual(reasons(object), ["LOCAL_REFERENCE driver"]);
    assert.deepEqual([store.isAvailable, unansweredWorkers], [true, []]);
    assert.ok(store.usedBytes >= LARGE_BYTES && store.usedBytes <= store.capacityBytes && store.capacityBytes <= CLUSTER_BYTES);
  });

  it("shows results of tasks, methods and generators under the name and place of the call", async () => {
    const make = ray.remote(function makeLarge() { return new Uint8Array(1024 ** 2); });
    const cache = Caches.remote();
    using ofTask = make.remote();
    using ofMethod = cache.make.remote();
    await ray.wait([ofTask, ofMethod], { numReturns: 2, fetchLocal: false });
    for await (const ofGenerator of cache.makeSeveral.remote(2)) {
      const object = await stateOf(ofGenerator);
      assert.equal(object?.createdBy, "Cache.makeSeveral()");
      assert.match(String(object.callSite), /object-listing\.test\.ts/);
      ofGenerator.release();
    }
    for (const [ref, createdBy] of [[ofTask, "makeLarge()"], [ofMethod, "Cache.make()"]] as const) {
      const object = await stateOf(ref);
      assert.deepEqual([object?.createdBy, object?.ownerPid], [createdBy, process.pid]);
      assert.match(String(object?.callSite), /object-listing\.test\.ts/);
      assert.deepEqual(reasons(object), ["LOCAL_REFERENCE driver"]);
    }
    cache.release();
  });

  it("leaves a stream that fails after large values its place in the program", async () => {
    const cache = Caches.remote();
    const values = cache.makeAndFail.remote();
    await values.next();
    await assert.rejects(ray.get(values.completed()), ({ stack }: Error) => /called from:\n.*object-listing\.test\.ts/.test(String(stack)));
    cache.release();
  });

  it("follows an object through refs and views of an actor", async () => {
    const cache = Caches.remote();
    using ref = ray.put(large());
    await ray.get(cache.keep.remote({ ref } as never));
    await eventuallyKeptBy(ref, ["LOCAL_REFERENCE Cache", "LOCAL_REFERENCE driver"]);
    assert.equal(await ray.get(cache.look.remote()), 1);
    await eventuallyKeptBy(ref, ["LOCAL_REFERENCE Cache", "LOCAL_REFERENCE driver", "PINNED_IN_MEMORY Cache"]);
    const inActor = (await stateOf(ref))?.references.find(({ actorClassName }) => actorClassName === "Cache");
    assert.equal(inActor?.pid === process.pid, areThreadsHere(isolation));
    await ray.get(cache.drop.remote());
    await eventuallyKeptBy(ref, ["LOCAL_REFERENCE driver", "PINNED_IN_MEMORY Cache"]);
    cache.release();
    await eventuallyKeptBy(ref, ["LOCAL_REFERENCE driver"]);
  });

  it("shows what an actor owns, with the line of its source, and who borrows it", async () => {
    const cache = Caches.remote();
    const { ref } = await ray.get(cache.own.remote());
    await eventuallyKeptBy(ref, ["LOCAL_REFERENCE driver"]);
    const object = await stateOf(ref);
    assert.notEqual(object?.ownerId, ray.getRuntimeContext().workerId);
    assert.match(String(object?.callSite), new RegExp(`^Cache\\.own \\(.*object-listing\\.test\\.ts:${lineOf("own(): {")}:\\d+\\)`));
    cache.release();
    ref.release();
  });

  it("tells refs in stored values and arguments of pending calls apart", async () => {
    const gate = Gates.remote();
    const ref = ray.put(large());
    using container = ray.put({ inside: [ref] });
    await eventuallyKeptBy(ref, ["CAPTURED_IN_OBJECT driver", "LOCAL_REFERENCE driver"]);
    const byRef = gate.pass.remote(ref);
    await eventuallyKeptBy(ref, ["CAPTURED_IN_OBJECT driver", "LOCAL_REFERENCE driver", "PINNED_IN_MEMORY Gate", "USED_BY_PENDING_TASK driver"]);
    ref.release();
    const byValue = gate.pass.remote(large(3));
    const { objects } = await ray.listObjects();
    const argument = objects.find(({ createdBy }) => createdBy === "argument 1 of Gate.pass()");
    assert.deepEqual([argument?.objectId, argument?.references[0]?.referenceType, argument?.references[0]?.type], [undefined, "USED_BY_PENDING_TASK", "DRIVER"]);
    assert.match(String(argument?.callSite), /object-listing\.test\.ts/);
    await gate.unlock.remote();
    await ray.get([byRef, byValue]);
    gate.release();
    await eventuallyKeptBy(ref, ["CAPTURED_IN_OBJECT driver"]);
    assert.equal(typeof container.hex(), "string");
  });

  it("shows memory that only views keep", async () => {
    const ref = ray.put(large(5));
    const view = await ray.get(ref);
    ref.release();
    await eventually("the object to be freed", async () => (await stateOf(ref))?.isFreed === true);
    const object = await stateOf(ref);
    assert.deepEqual([reasons(object), object?.createdBy, object?.isInMemory], [["PINNED_IN_MEMORY driver"], "put()", true]);
    assert.equal(view[0], 5);
  });

  it("shows what is on disk", async () => {
    const refs = Array.from({ length: 20 }, (_, index) => ray.put(large(index, 4 * LARGE_BYTES)));
    await eventually("objects on disk", async () => (await ray.listObjects()).store.spilledBytes > 0);
    const { objects, store } = await ray.listObjects();
    const ours = objects.filter(({ objectId }) => refs.some((ref) => ref.hex() === objectId));
    assert.equal(ours.length, refs.length);
    assert.ok(ours.every(({ isInMemory, isSpilled }) => isInMemory || isSpilled));
    assert.ok(ours.some(({ isInMemory, isSpilled }) => isSpilled && !isInMemory));
    assert.ok(store.usedBytes <= store.capacityBytes);
    for (const ref of refs) ref.release();
  });

  it("keeps to its limit, the largest first, and says how many there are", async () => {
    // Views of earlier tests are collected in some turn.
    await eventually("nothing else to be there", async () => (await total()) === 0);
    using _small = ray.put(large(1, 2 * LARGE_BYTES));
    using largest = ray.put(large(1, 4 * LARGE_BYTES));
    const { objects, total: all } = await ray.listObjects({ limit: 1 });
    assert.deepEqual([objects.map(({ objectId }) => objectId), all], [[largest.hex()], 2]);
    assert.match(await ray.memorySummary({ limit: 1 }), /These are sums of the 1 largest objects/);
  });

  it("does not wait for a worker that is busy, and says so", async () => {
    const folder = mkdtempSync(join(tmpdir(), "mantaray-busy-"));
    try {
      const [begun, end] = [join(folder, "begun"), join(folder, "end")];
      class Busy {
        ref: unknown;
        keep(box: unknown): void { this.ref = box; }
        block(begunPath: string, endPath: string): void {
          writeFileSync(begunPath, "");
          const idle = new Int32Array(new SharedArrayBuffer(4));
          while (!existsSync(endPath)) Atomics.wait(idle, 0, 0, 5);
        }
      }
      const busy = ray.remote(Busy).remote();
      using ref = ray.put(large());
      await ray.get(busy.keep.remote({ ref } as never));
      await eventuallyKeptBy(ref, ["LOCAL_REFERENCE Busy", "LOCAL_REFERENCE driver"]);
      const blocked = busy.block.remote(begun, end);
      await eventually("the actor to be busy", () => existsSync(begun));
      // The others answer in time at last, also where they share few processors.
      let listing: ray.ObjectListing | undefined;
      await eventually("all others to answer", async () => (listing = await ray.listObjects({ timeoutMs: 500 })).unansweredWorkers.length === 1);
      const { objects, unansweredWorkers } = listing as ray.ObjectListing;
      const object = objects.find(({ objectId }) => objectId === ref.hex());
      assert.deepEqual(reasons(object), ["LOCAL_REFERENCE driver", "UNKNOWN_STATUS unknown"]);
      assert.deepEqual(unansweredWorkers, object?.references.filter(({ type }) => type === undefined).map(({ workerId }) => workerId));
      assert.match(await ray.memorySummary({ timeoutMs: 200 }), new RegExp(`workers? did not answer in time, .*${unansweredWorkers[0]}`));
      writeFileSync(end, "");
      await ray.get(blocked);
      busy.release();
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  });

  it("shows a leak: the place that made most of what is there", async () => {
    const leaked: ray.ObjectRef<Bytes>[] = [];
    function leak(): void { leaked.push(ray.put(large())); }
    for (let index = 0; index < 12; index++) leak();
    const text = await ray.memorySummary({ collectGarbage: true });
    assert.match(text, /^Object store: [\d.]+ MB of (48|144)\.0 MB in use, /);
    assert.match(text, /\n12\.0 MB in 12 objects: put\(\) at leak \(.*object-listing\.test\.ts:\d+:\d+\)/);
    assert.match(text, new RegExp(`in memory  ${leaked[0]?.hex()}\\n    LOCAL_REFERENCE in the driver \\(pid ${process.pid}\\)`));
    assert.match(text, /and 2 more objects, 2\.0 MB/);
    for (const ref of leaked) ref.release();
  });

  it("leaves out what the program has dropped, if garbage is collected first", async () => {
    const before = await total();
    const drop = ray.remote(function drop() { for (let index = 0; index < 3; index++) ray.put(new Uint8Array(1024 ** 2)); });
    await ray.get(drop.remote());
    for (let index = 0; index < 3; index++) ray.put(large());
    await eventually("the dropped objects to be gone", async () => (await total()) <= before);
  });

  it("is empty in the end", async () => {
    await eventually("the store to be empty", async () => (await total()) === 0);
    assert.match(await ray.memorySummary(), /\n0 objects: 0 B/);
  });
});

it("says that there is nothing to list where there is no shared memory", async () => {
  const program = `
    import * as ray from "mantaray";
    const ref = ray.put(new Uint8Array(1_000_000));
    const { objects, store } = await ray.listObjects();
    console.log(objects.length, store.isAvailable, (await ray.memorySummary()).trim(), ref.hex().length);
    await ray.shutdown();`;
  const { stdout, exitCode } = await runProgram({ files: { "program.mjs": program }, environment: { MANTARAY_NO_SHARED_MEMORY: "1" } });
  assert.deepEqual([stdout, exitCode], ["0 false There is no shared memory here: values are copied between workers, and live in the memory of their owners. 32\n", 0]);
});

import assert from "node:assert/strict";
import { afterEach, describe, test } from "node:test";
import { ObjectFreedError, ObjectLostError, ObjectStoreFullError } from "../base/mod.ts";
import { Waiting } from "../clients/mod.ts";
import type { EncodedValueRecord, StoredRecord } from "../protocol/mod.ts";
import { StoreCluster, type StoreNode } from "./fixtures/store-cluster.ts";
import { type Client, collectUntil, MEGABYTE } from "./fixtures/store-machine.ts";
import { loadNativeMemory } from "./native-memory.ts";

const skip = loadNativeMemory().reason ?? false;
const CAPACITY_BYTES = 24 * MEGABYTE;

const clusters: StoreCluster[] = [];
function nodes(count: number, capacityBytes: number = CAPACITY_BYTES): Promise<readonly StoreNode[]> {
  const cluster = new StoreCluster();
  clusters.push(cluster);
  return cluster.start(count, capacityBytes);
}
const cluster = (): StoreCluster => clusters.at(-1) as StoreCluster;
afterEach(async () => {
  for (const each of clusters.splice(0)) await each.close();
});

/** No two chunks of it are alike. */
function patterned(byteLength: number, seed: number): EncodedValueRecord {
  const bytes = new Uint8Array(byteLength);
  const words = new Uint32Array(bytes.buffer, 0, Math.floor(byteLength / 4));
  for (let index = 0; index < words.length; index++) words[index] = Math.imul(index + seed, 0x9e3779b1);
  return { format: 0, header: new Uint8Array([1, seed]), buffers: [bytes], descriptors: [], code: [] };
}

function make(client: Client, byteLength: number, seed: number): EncodedValueRecord {
  return client.store.create(patterned(byteLength, seed), client.id);
}

async function read(client: Client, value: EncodedValueRecord): Promise<Uint8Array> {
  const { buffers } = await client.store.open(value);
  return buffers[0]!;
}

async function reads(client: Client, value: EncodedValueRecord, byteLength: number, seed: number): Promise<boolean> {
  return Buffer.compare(await read(client, value), patterned(byteLength, seed).buffers[0]!) === 0;
}

async function until(holds: () => boolean, what: string): Promise<void> {
  const deadlineMs = performance.now() + 60_000;
  while (!holds()) {
    assert.ok(performance.now() < deadlineMs, what);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

const objectsOn = ({ machine }: StoreNode): number => machine.service.list(0).objectCount;

describe("objects of other nodes", { skip }, () => {
  test("are read as if they were here, from one copy that all workers of the node share", async () => {
    const [origin, here] = await nodes(2);
    const maker = origin!.machine.client("maker");
    const values: EncodedValueRecord[] = [];
    for (const [seed, byteLength] of [150_000, MEGABYTE, 5 * MEGABYTE + 12_345].entries()) {
      const value = make(maker, byteLength, seed);
      values.push(value);
      const [one, other] = [here!.machine.client(`one${seed}`), here!.machine.client(`other${seed}`, true)];
      const views = await Promise.all([read(one, value), read(other, value)]);
      for (const view of views) assert.equal(Buffer.compare(view, patterned(byteLength, seed).buffers[0]!), 0);
      views[0]![3]! ^= 255;
      assert.equal(views[0]![3], views[1]![3], "it is the same memory");
      assert.equal(objectsOn(here!), values.length);
    }
  });

  test("can be taken over: from then on they are here, go to disk when memory is short, and end when their owner says so", async () => {
    const [origin, here, third] = await nodes(3);
    const maker = origin!.machine.client("maker");
    const byteLength = 5 * MEGABYTE + 12_345;
    const value = make(maker, byteLength, 1);
    const other = make(maker, byteLength, 2);
    const reader = here!.machine.client("reader");
    await read(reader, other);
    const kept = await Promise.all([value, other].map(({ stored }) => here!.manager.keep(stored!, "owner")));
    const moved = [value, other].map((one, index) => ({ ...one, stored: kept[index] as StoredRecord }));
    assert.deepEqual(moved.map(({ stored }) => stored.node), [here!.machine.node, here!.machine.node]);
    await cluster().lose(origin!);
    // A copy would have gone with the node of its primary, and go when there is no room.
    const looked: Uint8Array[] = [];
    for (const seed of [10, 11, 12]) looked.push(await read(reader, make(third!.machine.client("maker"), 5 * MEGABYTE, seed)));
    assert.ok(here!.machine.service.list(10).objects.some(({ isSpilled }) => isSpilled));
    looked.length = 0;
    await collectUntil(() => here!.machine.service.list(10).objects.every(({ pinnedBy }) => pinnedBy.length === 0), "views are left");
    for (const [index, one] of moved.entries()) assert.ok(await reads(here!.machine.client(`reader${index}`), one, byteLength, 1 + index));
    const keptHere = (): [ownerId: string | null, isAdopted: boolean][] => here!.machine.service.objectsOfOthers().map(({ ownerId, isAdopted }) => [ownerId, isAdopted]);
    assert.deepEqual(keptHere(), [["owner", false], ["owner", false]], "it has not heard of them yet");
    for (const { stored } of moved) here!.machine.service.onMessage("owner", { type: "storeAdopted", node: stored.node, id: stored.id });
    assert.deepEqual(keptHere(), [["owner", true], ["owner", true]]);
    for (const { stored } of moved) here!.machine.service.onMessage("owner", { type: "storeFreed", node: stored.node, id: stored.id, isReused: false });
    assert.deepEqual(here!.machine.service.objectsOfOthers(), []);
  });

  test("that are freed, or larger than the store, are not taken over", async () => {
    const [origin] = await nodes(1);
    const [small] = await cluster().start(1, 2 * MEGABYTE).then((all) => all.slice(-1));
    const maker = origin!.machine.client("maker");
    const [freed, large] = [make(maker, MEGABYTE, 1), make(maker, 5 * MEGABYTE, 2)];
    maker.store.release(freed.stored!);
    assert.deepEqual(await Promise.all([freed, large].map(({ stored }) => small!.manager.keep(stored!, "owner"))), ["failed", "full"]);
  });

  test("read again, the copy is found without asking anybody", async () => {
    const [origin, here] = await nodes(2);
    const value = make(origin!.machine.client("maker"), 2 * MEGABYTE, 1);
    const reader = here!.machine.client("reader");
    await read(reader, value);
    const sent = reader.sent.length;
    assert.ok(await reads(reader, value, 2 * MEGABYTE, 1));
    assert.equal(reader.sent.length, sent);
  });

  test("that lie on disk there come back for it", async () => {
    const [origin, here] = await nodes(2);
    const value = make(origin!.machine.client("maker"), 3 * MEGABYTE, 2);
    assert.ok(await origin!.machine.press(CAPACITY_BYTES));
    assert.equal(origin!.machine.used, 0);
    assert.ok(await reads(here!.machine.client("reader"), value, 3 * MEGABYTE, 2));
  });

  test("that nobody waits for any more are fetched no further; whoever else waits gets them", async () => {
    const [origin, here] = await nodes(2);
    const value = make(origin!.machine.client("maker"), 8 * MEGABYTE, 6);
    const [one, other] = [here!.machine.client("one"), here!.machine.client("other", true)];
    const waits = [new Waiting(), new Waiting()] as const;
    const first = one.store.open(value, waits[0]);
    const second = other.store.open(value, waits[1]);
    waits[0].end();
    await assert.rejects(first as Promise<unknown>, ObjectLostError);
    const { buffers } = await second;
    assert.equal(Buffer.compare(buffers[0]!, patterned(8 * MEGABYTE, 6).buffers[0]!), 0);
    waits[1].end();
    assert.deepEqual(other.sent.map(({ type }) => type).filter((type) => type.startsWith("storePull")), ["storePull"], "what is here is not cancelled");

    const next = make(origin!.machine.client("maker"), 8 * MEGABYTE, 7);
    const wait = new Waiting();
    const opened = one.store.open(next, wait);
    wait.end();
    await assert.rejects(opened as Promise<unknown>, ObjectLostError);
    await until(() => objectsOn(here!) <= 1, "the memory of the copy that was begun goes back");
    assert.ok(await reads(one, next, 8 * MEGABYTE, 7), "asked for again it comes");
  });

  test("end with the primary: copies go, late readers are told, and views stay", async () => {
    const [origin, here] = await nodes(2);
    const maker = origin!.machine.client("maker");
    const [value, unread] = [make(maker, MEGABYTE, 3), make(maker, MEGABYTE, 4)];
    const reader = here!.machine.client("reader");
    const view = await read(reader, value);
    for (const each of [value, unread]) maker.store.release(each.stored!);
    await until(() => here!.machine.service.list(9).objects.every(({ isFreed }) => isFreed), "a copy outlives its primary");
    await assert.rejects(read(here!.machine.client("late"), value), ObjectFreedError);
    await assert.rejects(read(reader, unread), ObjectFreedError);
    assert.equal(Buffer.compare(view, patterned(MEGABYTE, 3).buffers[0]!), 0);
  });

  test("copies make room before anything is written to disk, and are fetched again", async () => {
    const [origin, here] = await nodes(2);
    const value = make(origin!.machine.client("maker"), 4 * MEGABYTE, 5);
    const reader = here!.machine.client("reader");
    const readOnce = async (): Promise<boolean> => reads(reader, value, 4 * MEGABYTE, 5);
    assert.ok(await readOnce());
    await collectUntil(() => here!.machine.service.list(9).objects.every(({ pinnedBy }) => pinnedBy.length === 0), "the view stays");
    assert.ok(await here!.machine.press(CAPACITY_BYTES));
    assert.deepEqual([objectsOn(here!), here!.machine.disk.files.size], [0, 0]);
    assert.ok(await readOnce());
    await until(() => objectsOn(here!) === 1, "no copy");
  });

  test("wait for room, and say so when there is none", async () => {
    const [origin, here] = await nodes(2, 8 * MEGABYTE);
    const value = make(origin!.machine.client("maker"), 5 * MEGABYTE, 6);
    const reader = here!.machine.client("reader");
    const own = here!.machine.client("own");
    let view: Uint8Array | null = await read(own, make(own, 5 * MEGABYTE, 7));
    const refused = assert.rejects(read(reader, value), (error: Error) => error instanceof ObjectStoreFullError && /no room for a copy of an object of 5\.0 MB from another node/.test(error.message));
    await here!.machine.turns(50);
    here!.machine.clock.advance(10_000);
    await refused;
    assert.equal(view[0], patterned(8, 7).buffers[0]![0]);
    view = null;
    await collectUntil(() => here!.machine.service.list(9).objects.every(({ pinnedBy }) => pinnedBy.length === 0), "the view stays");
    const reading = reads(reader, value, 5 * MEGABYTE, 6);
    await here!.machine.turns(50);
    here!.machine.clock.advance(100);
    assert.ok(await reading);
  });

  test("of a round size fill a store to the last, all in view at once", async () => {
    const [origin, here] = await nodes(2, 8.5 * MEGABYTE);
    const maker = origin!.machine.client("maker");
    const values = [1, 2].map((seed) => make(maker, 4 * MEGABYTE, seed));
    const reader = here!.machine.client("reader");
    const views: Uint8Array[] = [];
    for (const value of values) views.push(await read(reader, value));
    assert.deepEqual(views.map((view) => view[0]), [1, 2].map((seed) => patterned(8, seed).buffers[0]![0]));
  });

  test("larger than the node's whole store are refused at once", async () => {
    const cluster = new StoreCluster();
    clusters.push(cluster);
    await cluster.start(1, 32 * MEGABYTE);
    const [large, small] = await cluster.start(1, 8 * MEGABYTE);
    const value = make(large!.machine.client("maker"), 20 * MEGABYTE, 1);
    await assert.rejects(read(small!.machine.client("reader"), value), (error: Error) => error instanceof ObjectStoreFullError && /20\.0 MB/.test(error.message));
  });

  test("are lost with their node: who waits gets ObjectLostError, and so does who asks later", async () => {
    const cluster = new StoreCluster();
    clusters.push(cluster);
    const [origin, here] = await cluster.start(2, 64 * MEGABYTE);
    const maker = origin!.machine.client("maker");
    const [value, other] = [make(maker, 40 * MEGABYTE, 8), make(maker, MEGABYTE, 9)];
    const reader = here!.machine.client("reader");
    assert.ok(await reads(reader, other, MEGABYTE, 9));
    const reading = assert.rejects(read(reader, value), ObjectLostError);
    await until(() => here!.machine.used > 40 * MEGABYTE, "it does not begin");
    await cluster.lose(origin!);
    await reading;
    await assert.rejects(read(here!.machine.client("late"), value), (error: Error) => error instanceof ObjectLostError && /it was killed/.test(error.message));
    await collectUntil(() => here!.machine.service.list(9).objects.every(({ pinnedBy }) => pinnedBy.length === 0), "the view stays");
    assert.ok(await here!.machine.press(60 * MEGABYTE), "memory is not given back");
  });

  test("whose reader has died are not fetched to the end, and nothing of them is left", async () => {
    const [origin, here] = await nodes(2, 64 * MEGABYTE);
    const value = make(origin!.machine.client("maker"), 50 * MEGABYTE, 1);
    const reader = here!.machine.client("reader");
    void read(reader, value).catch(() => undefined);
    await until(() => here!.machine.used > 50 * MEGABYTE, "it does not begin");
    here!.machine.kill(reader);
    await until(() => here!.machine.used === 0, `${here!.machine.used} bytes are left`);
    assert.ok(await reads(here!.machine.client("next"), value, 50 * MEGABYTE, 1), "and it can be had again");
  });

  test("pull() without a worker brings a copy ahead, and can be called off", async () => {
    const [origin, here] = await nodes(2, 64 * MEGABYTE);
    const { stored } = make(origin!.machine.client("maker"), 30 * MEGABYTE, 1);
    const abort = new AbortController();
    const pulling = here!.manager.pull(stored!, "prefetch", abort.signal);
    abort.abort(new Error("not needed"));
    await assert.rejects(pulling, /not needed/);
    await until(() => here!.machine.used === 0, "memory is left");
    await here!.manager.pull(stored!, "prefetch");
    assert.equal(objectsOn(here!), 1);
  });

  test("that somebody may read soon come ahead, once, and a read finds them here", async () => {
    const [origin, here] = await nodes(2, 64 * MEGABYTE);
    const [soon, own] = [make(origin!.machine.client("maker"), 3 * MEGABYTE, 4), make(here!.machine.client("neighbour"), 3 * MEGABYTE, 5)];
    const reader = here!.machine.client("reader");
    for (const { stored } of [soon, soon, own]) reader.store.prefetch(stored!);
    assert.deepEqual(reader.sent.map(({ type }) => type).filter((type) => type.startsWith("storeP")), ["storePrefetch"]);
    await until(() => objectsOn(here!) === 2, "it does not come");
    here!.machine.kill(reader);
    assert.ok(await reads(here!.machine.client("next"), soon, 3 * MEGABYTE, 4));
  });

  test("that are only wanted ahead by who ends are fetched no further", async () => {
    const [origin, here] = await nodes(2, 64 * MEGABYTE);
    const reader = here!.machine.client("reader");
    // Larger than what may come ahead at once: the second waits.
    for (const seed of [1, 2]) reader.store.prefetch(make(origin!.machine.client(`maker${seed}`), 12 * MEGABYTE, seed).stored!);
    here!.machine.kill(reader);
    await until(() => here!.machine.used === 0, `${here!.machine.used} bytes are left`);
  });

  test("owned by a worker of another node: adopted and freed where they lie", async () => {
    const [origin, home] = await nodes(2);
    const [worker, owner] = [origin!.machine.client("worker"), home!.machine.client("owner")];
    const value = worker.store.create(patterned(2 * MEGABYTE, 1), "owner");
    owner.store.adopt(value.stored!);
    assert.deepEqual(owner.store.owned().map(({ node, byteLength }) => [node, byteLength > 2 * MEGABYTE]), [["node0", true]]);
    assert.ok(await reads(owner, value, 2 * MEGABYTE, 1));
    owner.store.release(value.stored!);
    assert.equal(objectsOn(origin!), 0);
    assert.deepEqual(owner.store.owned(), []);
  });

  test("for a worker without a slot the bytes are copied", async () => {
    const [origin, here] = await nodes(2);
    const value = make(origin!.machine.client("maker"), 2 * MEGABYTE, 1);
    const { node, id, byteLength } = value.stored!;
    const bytes = await new Promise<unknown>((resolve) => {
      const receive = here!.machine.receive.bind(here!.machine);
      here!.machine.receive = (workerId, message) => (workerId === "poor" && message.type === "reply" ? resolve(message.result) : receive(workerId, message));
      here!.manager.onPull("poor", { type: "storePull", requestId: 1, node, id, byteLength });
    });
    assert.ok(bytes instanceof Uint8Array && bytes.byteLength === value.stored?.byteLength);
    assert.equal(Buffer.compare(bytes.subarray(-2 * MEGABYTE), patterned(2 * MEGABYTE, 1).buffers[0]!), 0);
  });
});

describe("a broadcast over sockets", { skip }, () => {
  test("reaches four nodes at once, whole", async () => {
    const all = await nodes(5, 64 * MEGABYTE);
    const value = make(all[0]!.machine.client("maker"), 48 * MEGABYTE, 11);
    const readers = all.slice(1).map(({ machine }) => machine.client("reader"));
    const outcomes = await Promise.all(readers.map((reader) => reads(reader, value, 48 * MEGABYTE, 11)));
    assert.deepEqual(outcomes, [true, true, true, true]);
  });

  test("goes on when one of the receivers dies in the middle", async () => {
    const cluster = new StoreCluster();
    clusters.push(cluster);
    const all = [...(await cluster.start(5, 64 * MEGABYTE))];
    const value = make(all[0]!.machine.client("maker"), 48 * MEGABYTE, 12);
    const reading = all.slice(1).map(({ machine }) => reads(machine.client("reader"), value, 48 * MEGABYTE, 12));
    reading[3]!.catch(() => undefined);
    await until(() => all[4]!.machine.used > 48 * MEGABYTE, "it does not begin");
    await cluster.lose(all[4]!);
    assert.deepEqual(await Promise.all(reading.slice(0, 3)), [true, true, true]);
  });
});

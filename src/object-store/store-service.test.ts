import assert from "node:assert/strict";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { afterEach, describe, test } from "node:test";
import { ObjectFreedError, ObjectLostError, ObjectStoreFullError, OutOfDiskError, OwnerDiedError } from "../base/mod.ts";
import type { EncodedValueRecord } from "../protocol/mod.ts";
import { bytesOf, type Client, collectUntil, MEGABYTE, StoreMachine } from "./fixtures/store-machine.ts";
import { loadNativeMemory } from "./native-memory.ts";

const skip = loadNativeMemory().reason ?? false;
const CAPACITY_BYTES = 8 * MEGABYTE;

const machines: StoreMachine[] = [];
function machine(): StoreMachine {
  const made = new StoreMachine(CAPACITY_BYTES);
  machines.push(made);
  return made;
}
afterEach(async () => {
  for (const each of machines.splice(0)) {
    each.disk.gate = () => Promise.resolve();
    each.disk.fault = null;
    await each.close();
    assert.deepEqual(each.disk.misuses, []);
  }
});

async function read(client: Client, value: EncodedValueRecord): Promise<Uint8Array> {
  const { buffers } = await client.store.open(value);
  return buffers[0]!;
}

async function holds(client: Client, value: EncodedValueRecord, fill: number): Promise<boolean> {
  return (await read(client, value)).every((byte) => byte === fill);
}

function makeThree(maker: Client): EncodedValueRecord[] {
  return [1, 2, 3].map((fill) => maker.store.create(bytesOf(2 * MEGABYTE, fill), maker.id));
}

/** Everything that its program held is garbage. */
async function untilEmpty(store: StoreMachine): Promise<void> {
  await collectUntil(() => store.service.list(100).objects.every(({ pinnedBy }) => pinnedBy.length === 0), JSON.stringify(store.service.list(9).objects));
  assert.ok(await store.press(CAPACITY_BYTES));
  const { usedBytes, objects, spilledBytes } = store.service.list(100);
  assert.deepEqual([objects, usedBytes, spilledBytes], [[], 0, 0]);
  assert.deepEqual([...store.disk.files.keys()], []);
}

describe("the object store of a machine on disk", { skip }, () => {
  test("what does not fit goes to disk and comes back as it was; its file goes with it", async () => {
    const store = machine();
    const [maker, reader] = [store.client("maker"), store.client("reader")];
    const values = makeThree(maker);
    assert.ok(await store.press(CAPACITY_BYTES));
    assert.deepEqual([store.used, store.disk.files.size], [0, 1]);
    for (const [index, value] of values.entries()) assert.ok(await holds(reader, value, index + 1));
    for (const value of values) maker.store.release(value.stored!);
    await store.turns(20);
    assert.equal(store.disk.files.size, 0);
    await untilEmpty(store);
  });

  test("a damaged file costs the objects in it, and no other", async () => {
    const store = machine();
    const [maker, reader] = [store.client("maker"), store.client("reader")];
    const values = makeThree(maker);
    assert.ok(await store.press(CAPACITY_BYTES));
    const [path, contents] = [...store.disk.files][0]!;
    contents[contents.byteLength - 5]! ^= 1;
    store.disk.files.set(path, contents);
    const outcomes = await Promise.all(values.map((value) => read(reader, value).then(() => "read", (error: Error) => error)));
    const lost = outcomes.filter((outcome) => outcome !== "read");
    assert.equal(lost.length, 1);
    assert.ok(lost[0] instanceof ObjectLostError && /damaged/.test(lost[0].message));
    assert.equal(store.warnings.length, 1);
    await assert.rejects(read(reader, values[outcomes.indexOf(lost[0]!)]!), ObjectLostError, "and again");
  });

  test("what may pass does not lose an object: another attempt reads it", async () => {
    const store = machine();
    const [maker, reader] = [store.client("maker"), store.client("reader")];
    const value = maker.store.create(bytesOf(MEGABYTE, 4), "maker");
    assert.ok(await store.press(CAPACITY_BYTES));
    store.disk.fault = { step: store.disk.steps.length + 1, code: "EMFILE", isLasting: false };
    await assert.rejects(read(reader, value), (error: Error) => error instanceof ObjectLostError && /another attempt/.test(error.message));
    assert.ok(await holds(reader, value, 4));
  });

  test("on a full disk readers and writers are told; with space again all goes on", async () => {
    const store = machine();
    const [maker, reader] = [store.client("maker"), store.client("reader")];
    const old = maker.store.create(bytesOf(3 * MEGABYTE, 1), "maker");
    assert.ok(await store.press(CAPACITY_BYTES));
    const young = [2, 3].map((fill) => maker.store.create(bytesOf(3 * MEGABYTE, fill), "maker"));
    store.disk.capacityBytes = store.disk.usedBytes;
    await assert.rejects(async () => {
      const reading = read(reader, old);
      store.clock.advance(100);
      await reading;
    }, (error: Error) => error instanceof OutOfDiskError && /objectSpillingDirectory/.test(error.message));
    for (const [index, value] of young.entries()) assert.ok(await holds(maker, value, index + 2), "what is in memory stays");
    await collectUntil(() => store.service.list(9).objects.every(({ pinnedBy }) => pinnedBy.length === 0), JSON.stringify(store.service.list(9).objects));
    store.disk.capacityBytes = Number.POSITIVE_INFINITY;
    const reading = holds(reader, old, 1);
    store.clock.advance(100);
    assert.ok(await reading);
  });

  test("if all memory is being looked at, a reader of what is on disk is told in time, and may try again", async () => {
    const store = machine();
    const [maker, reader] = [store.client("maker"), store.client("reader")];
    const old = maker.store.create(bytesOf(3 * MEGABYTE, 1), "maker");
    assert.ok(await store.press(CAPACITY_BYTES));
    let views: Uint8Array[] = [];
    for (const fill of [2, 3]) views.push(await read(maker, maker.store.create(bytesOf(3 * MEGABYTE, fill), "maker")));
    const refused = assert.rejects(read(reader, old), (error: Error) => error instanceof ObjectStoreFullError && /objectStoreMemory/.test(error.message));
    await store.turns(50);
    store.clock.advance(10_000);
    await refused;
    assert.deepEqual(views.map((view) => view[7]), [2, 3]);
    views = [];
    await collectUntil(() => store.service.list(9).objects.every(({ pinnedBy }) => pinnedBy.length === 0), JSON.stringify(store.service.list(9).objects));
    assert.ok(await holds(reader, old, 1));
  });

  test("a copy for a worker without shared memory is whole, wherever the object is at the time", async () => {
    const store = machine();
    const [maker, reader] = [store.client("maker"), store.client("reader")];
    const value = maker.store.create(bytesOf(MEGABYTE, 6), "maker");
    const copy = async (): Promise<Uint8Array> => (await store.ask<Uint8Array>("poor", (requestId) => ({ type: "storeRead", requestId, id: value.stored!.id }))).subarray(-MEGABYTE);
    assert.ok((await copy()).every((byte) => byte === 6));
    assert.ok(await store.press(CAPACITY_BYTES));
    assert.ok((await copy()).every((byte) => byte === 6));
    const { promise, open } = gate();
    store.disk.gate = (name) => (name === "read" ? promise : Promise.resolve());
    const reading = read(reader, value);
    await new Promise((resolve) => setImmediate(resolve));
    const copying = copy();
    open();
    assert.ok((await copying).every((byte) => byte === 6), "while it is being brought back");
    await reading;
    maker.store.release(value.stored!);
    await assert.rejects(copy(), ObjectFreedError);
    assert.ok((await reading).every((byte) => byte === 6));
  });
});

describe("the end of a worker", { skip }, () => {
  test("readers of what it owned get OwnerDiedError, and views stay", async () => {
    const store = machine();
    const [maker, reader, late] = [store.client("maker"), store.client("reader"), store.client("late")];
    const value = maker.store.create(bytesOf(MEGABYTE, 8), "maker");
    const view = await read(reader, value);
    store.kill(maker);
    await assert.rejects(read(late, value), OwnerDiedError);
    for (let fill = 0; fill < 6; fill++) late.store.create(bytesOf(MEGABYTE, fill), "late");
    assert.ok(view.every((byte) => byte === 8));
  });

  test("after any of its messages, all that it had returns, and what others own stays", async () => {
    /** What it does; it is killed when it has sent so many messages. */
    const live = async (victim: Client, others: readonly EncodedValueRecord[], forOther: (value: EncodedValueRecord) => void): Promise<void> => {
      const own = [1, 2].map((fill) => victim.store.create(bytesOf(900 * 1024, fill), victim.id));
      forOther(victim.store.create(bytesOf(900 * 1024, 77), "other"));
      await read(victim, own[0]!);
      victim.store.release(own[1]!.stored!);
      victim.store.create(bytesOf(900 * 1024, 3), victim.id);
      for (const value of others) await read(victim, value);
    };
    for (let messagesMax = 0; ; messagesMax++) {
      assert.ok(messagesMax < 50);
      const store = new StoreMachine(CAPACITY_BYTES);
      const other = store.client("other");
      const spilled = other.store.create(bytesOf(MEGABYTE, 55), "other");
      assert.ok(await store.press(CAPACITY_BYTES));
      const inMemory = other.store.create(bytesOf(MEGABYTE, 66), "other");
      let made: EncodedValueRecord | null = null;
      const victim = store.client("victim", false, messagesMax);
      // Cut off it waits for ever, like one that is dead.
      await Promise.race([live(victim, [spilled, inMemory], (value) => { made = value; }).catch(() => undefined), store.turns(50)]);
      const result = made as EncodedValueRecord | null;
      if (result?.stored !== undefined) other.store.adopt(result.stored);
      store.kill(victim);
      assert.ok(await holds(other, spilled, 55));
      assert.ok(await holds(other, inMemory, 66));
      if (result !== null) assert.ok(await holds(other, result, 77), `its result is gone after ${messagesMax} messages`);
      for (const value of [spilled, inMemory, result]) if (value?.stored !== undefined) other.store.release(value.stored);
      store.clock.advance(60_000);
      await untilEmpty(store);
      await store.close();
      if (victim.sent.length < messagesMax) break;
    }
  });
});

describe("the end of the object store", { skip }, () => {
  const filesOf = ({ config }: StoreMachine): string[] => [`/dev/shm/${config.sessionName}`, config.sessionDir].filter((folder) => existsSync(folder)).flatMap((folder) => readdirSync(folder)).filter((name) => name !== "owner.json");
  const mappingsOf = ({ config }: StoreMachine): string[] => readFileSync("/proc/self/maps", "utf8").split("\n").filter((line) => line.includes(config.sessionName));

  test("no file and no mapping is left", async () => {
    const store = machine();
    const maker = store.client("maker", true);
    maker.store.create(bytesOf(MEGABYTE, 1), "maker");
    maker.store.detach();
    assert.notDeepEqual(mappingsOf(store), []);
    await store.service.close();
    assert.deepEqual([filesOf(store), mappingsOf(store)], [[], []]);
  });

  for (const first of ["the driver", "the service"]) {
    test(`what the driver looks at stays readable, and is unmapped with its last view; ${first} leaves first`, async () => {
      const store = machine();
      const driver = store.client("driver");
      let view: Uint8Array | null = await read(driver, driver.store.create(bytesOf(MEGABYTE, 5), "driver"));
      driver.store.detach();
      if (first === "the service") {
        await store.service.close();
        assert.deepEqual(filesOf(store), []);
        assert.ok(view.every((byte) => byte === 5));
        view = null;
        await collectUntil(() => mappingsOf(store).length === 0, "it stays mapped");
      } else {
        const collected = new WeakRef(view.buffer);
        view = null;
        await collectUntil(() => collected.deref() === undefined, "the view stays");
        await store.turns(50);
        assert.notDeepEqual(mappingsOf(store), [], "the service still needs it");
        await store.service.close();
        assert.deepEqual(mappingsOf(store), []);
      }
    });
  }

  for (const step of ["writev", "read"]) {
    test(`while a ${step} of the disk is under way, its memory stays mapped`, async () => {
      const store = machine();
      const [maker, reader] = [store.client("maker", true), store.client("reader", true)];
      const values = makeThree(maker);
      if (step === "read") assert.ok(await store.press(CAPACITY_BYTES));
      const { promise, open } = gate();
      store.disk.gate = (name) => (name === step ? promise : Promise.resolve());
      if (step === "read") for (const value of values) void read(reader, value).catch(() => undefined);
      else {
        store.post("hog", { type: "storeAttach", nonce: 2 ** 30 });
        store.post("hog", { type: "storeRequest", sequence: 1, pages: CAPACITY_BYTES / 4096, count: 1, mayWait: true, origin: null });
        await store.turns(5);
      }
      while (store.disk.stepsUnderWay === 0) await new Promise((resolve) => setImmediate(resolve));
      for (const { store: ended } of [maker, reader]) ended.detach();
      const closed = store.service.close();
      for (let turn = 0; turn < 20; turn++) await new Promise((resolve) => setImmediate(resolve));
      assert.notDeepEqual(mappingsOf(store), []);
      open();
      await closed;
      store.clock.advance(60_000);
      assert.deepEqual([mappingsOf(store), filesOf(store), store.disk.files.size], [[], [], 0]);
    });
  }
});

function gate(): { readonly promise: Promise<void>; readonly open: () => void } {
  let open = (): void => undefined;
  const promise = new Promise<void>((resolve) => { open = resolve; });
  return { promise, open };
}

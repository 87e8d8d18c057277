import assert from "node:assert/strict";
import { afterEach, describe, test } from "node:test";
import { ObjectStoreFullError } from "../base/mod.ts";
import type { EncodedValueRecord } from "../protocol/mod.ts";
import { bytesOf, type Client, collectUntil, MEGABYTE, StoreMachine } from "./fixtures/store-machine.ts";
import { runGarbageCollector } from "./garbage-collector.ts";
import { loadNativeMemory } from "./native-memory.ts";
import { SLOTS_MAX } from "./extent-table.ts";

const skip = loadNativeMemory().reason ?? false;
const KILOBYTE = 1024;

const machines: StoreMachine[] = [];
function machine(capacityBytes: number = 8 * MEGABYTE): StoreMachine {
  const made = new StoreMachine(capacityBytes);
  machines.push(made);
  return made;
}
afterEach(async () => {
  for (const each of machines.splice(0)) await each.close();
});

async function read(client: Client, value: EncodedValueRecord): Promise<Uint8Array> {
  const { buffers } = await client.store.open(value);
  return buffers[0]!;
}

function isFilledWith(bytes: Uint8Array, fill: number): boolean {
  return bytes.every((byte) => byte === fill);
}

describe("a worker's shared store", { skip }, () => {
  test("one write, and every reader has the same memory, exactly as long as the object", async () => {
    const store = machine();
    const [maker, threadReader, processReader] = [store.client("maker"), store.client("reader"), store.client("process", true)];
    const value = maker.store.create(bytesOf(MEGABYTE + 13, 7), "maker");
    assert.deepEqual([value.buffers.length, typeof value.stored?.id], [0, "number"]);
    const views = [await read(maker, value), await read(threadReader, value), await read(processReader, value)];
    for (const view of views) {
      assert.deepEqual([view.byteLength, view.byteOffset, view.buffer.byteLength], [MEGABYTE + 13, 0, MEGABYTE + 13]);
      assert.ok(isFilledWith(view, 7));
    }
    views[0]![MEGABYTE] = 99;
    assert.deepEqual(views.map((view) => view[MEGABYTE]), [99, 99, 99]);
    const opened = await threadReader.store.open(value);
    assert.deepEqual([...opened.header], [1, 2, 3, 7]);
  });

  test("a short header travels beside the place of an object of one buffer, in memory of its own; it is not needed to read it", async () => {
    const store = machine();
    const [maker, reader] = [store.client("maker"), store.client("reader", true)];
    for (const [headerBytes, carriedBytes] of [[1, 1], [63, 63], [64, 64], [65, 0]] as const) {
      const written = Buffer.alloc(100, 5).subarray(10, 10 + headerBytes);
      const value = maker.store.create({ ...bytesOf(MEGABYTE - headerBytes, headerBytes), header: written }, "maker");
      assert.deepEqual(value.header, new Uint8Array(carriedBytes).fill(5));
      written.fill(6);
      for (const given of [value, { ...value, header: new Uint8Array() }]) {
        const { header, buffers } = await reader.store.open(given);
        assert.deepEqual([[...header], buffers.length, buffers[0]?.byteLength], [new Array(headerBytes).fill(5), 1, MEGABYTE - headerBytes]);
        assert.ok(isFilledWith(buffers[0]!, headerBytes));
      }
    }
    const two = { ...bytesOf(MEGABYTE, 1), buffers: [new Uint8Array(MEGABYTE).fill(1), new Uint8Array(3).fill(2)] };
    const value = maker.store.create(two, "maker");
    assert.equal(value.header.byteLength, 0);
    assert.deepEqual((await reader.store.open(value)).buffers, two.buffers);
  });

  test("what is small stays with its maker, and the store does not start for it", () => {
    const { store, sent } = machine().client("maker");
    const value = store.create(bytesOf(50 * KILOBYTE, 1), "maker");
    assert.equal(value.stored, undefined);
    assert.equal(value.buffers[0]?.byteLength, 50 * KILOBYTE);
    assert.deepEqual(sent, []);
  });

  test("put and release again and again uses the same memory, and asks nobody", () => {
    const store = machine();
    const maker = store.client("maker");
    for (let round = 0; round < 40; round++) maker.store.release(maker.store.create(bytesOf(600 * KILOBYTE, round), "maker").stored!);
    const requests = maker.sent.filter(({ type }) => type === "storeRequest");
    assert.equal(requests.length, 1);
    assert.ok(store.used <= 4 * MEGABYTE, `${store.used} bytes are in use`);
  });

  test("an object that was released twice, or that this worker does not own, is freed once or not at all", async () => {
    const store = machine();
    const [maker, other] = [store.client("maker"), store.client("other")];
    const value = maker.store.create(bytesOf(MEGABYTE, 5), "maker");
    other.store.release(value.stored!);
    assert.ok(isFilledWith(await read(other, value), 5));
    maker.store.release(value.stored!);
    maker.store.release(value.stored!);
    assert.equal(maker.sent.filter(({ type }) => type === "storeFreed").length, 1);
  });

  test("a view keeps its memory over release and pressure, until it is collected", async () => {
    const store = machine();
    const [maker, reader] = [store.client("maker"), store.client("reader")];
    let view: Uint8Array | null = await makeAndRead(maker, reader, 42);
    await store.press(8 * MEGABYTE);
    for (let round = 0; round < 4; round++) maker.store.create(bytesOf(MEGABYTE, round), "maker");
    assert.ok(isFilledWith(view, 42));
    const whileViewed = store.used;
    const derived: Uint8Array | null = view.subarray(10, 20);
    view = null;
    await store.press(8 * MEGABYTE);
    assert.deepEqual([...derived], new Array(10).fill(42), "a part of it keeps all of it");
    assert.ok(whileViewed >= MEGABYTE);
  });

  test("who reads while another does gets the same buffer, and later ones one of their own", async () => {
    const store = machine();
    const [maker, reader] = [store.client("maker"), store.client("reader")];
    const value = maker.store.create({ ...bytesOf(MEGABYTE, 4), buffers: [new Uint8Array(MEGABYTE).fill(4), new Uint8Array(0), new Uint8Array(MEGABYTE).fill(5)] }, "maker");
    const look = async (): Promise<void> => {
      const [first, second] = [(await reader.store.open(value)).buffers, (await reader.store.open(value)).buffers];
      assert.deepEqual(first.map(({ byteLength }) => byteLength), [MEGABYTE, 0, MEGABYTE]);
      assert.ok(first[0]?.buffer === second[0]?.buffer && first[2]?.buffer === second[2]?.buffer && first[0]?.buffer !== first[2]?.buffer);
      assert.ok(isFilledWith(second[0]!, 4) && isFilledWith(second[2]!, 5));
    };
    await look();
    await store.turns(2);
    runGarbageCollector();
    // Word of the buffers that are collected comes later than these, which take their place.
    const view = await read(reader, value);
    await store.turns(5);
    assert.deepEqual(store.service.list(10).objects[0]?.pinnedBy, ["reader"]);
    maker.store.release(value.stored!);
    for (let round = 0; round < 4; round++) maker.store.create(bytesOf(MEGABYTE, round), "maker");
    assert.ok(isFilledWith(view, 4));
  });

  test("a long header is viewed, a short one copied: without buffers nothing is kept", async () => {
    const store = machine();
    const [maker, reader] = [store.client("maker"), store.client("reader")];
    const long = { ...bytesOf(0, 0), header: new Uint8Array(MEGABYTE).map((_, index) => index), buffers: [] };
    const value = maker.store.create(long, "maker");
    assert.deepEqual((await reader.store.open(value)).header, long.header);
    const many = { ...bytesOf(0, 0), buffers: Array.from({ length: 500 }, (_, index) => new Uint8Array(1000).fill(index)) };
    const opened = await reader.store.open(maker.store.create(many, "maker"));
    assert.deepEqual([opened.header, opened.buffers], [many.header, many.buffers]);
    const empty = maker.store.create({ ...many, buffers: Array.from({ length: 20_000 }, () => new Uint8Array()) }, "maker");
    assert.equal((await reader.store.open(empty)).buffers.length, 20_000);
    maker.store.release(empty.stored!);
    await collectUntil(() => !store.service.list(10).objects.some(({ id }) => id === empty.stored!.id), "an object without buffers stays pinned");
  });

  test("memory returns when the last view is gone", async () => {
    const store = machine();
    const [maker, reader] = [store.client("maker"), store.client("reader")];
    await makeAndRead(maker, reader, 1);
    await collectUntil(() => store.service.list(10).objects.length === 0, "a view without a holder keeps its object");
    await store.press(8 * MEGABYTE);
    assert.equal(store.used, 0);
  });

  test("memory of objects that the program has dropped returns without release", async () => {
    const store = machine();
    const maker = store.client("maker");
    const drop = (): void => void maker.store.create(bytesOf(MEGABYTE, 1), "maker");
    drop();
    await collectUntil(() => store.service.list(10).objectCount === 0, "a dropped object is not freed");
  });

  test("an extent that was taken back and given again in another size is not taken for the old one", async () => {
    const store = machine();
    const maker = store.client("maker");
    maker.store.release(maker.store.create(bytesOf(900 * KILOBYTE, 1), "maker").stored!);
    await store.press(8 * MEGABYTE);
    const small = Array.from({ length: 8 }, (_, index) => maker.store.create(bytesOf(200 * KILOBYTE, 10 + index), "maker"));
    maker.store.release(small[0]!.stored!);
    maker.store.release(small[3]!.stored!);
    const large = maker.store.create(bytesOf(900 * KILOBYTE, 2), "maker");
    for (const [index, value] of small.entries()) if (index !== 0 && index !== 3) assert.ok(isFilledWith(await read(maker, value), 10 + index), `object ${index} was overwritten`);
    assert.ok(isFilledWith(await read(maker, large), 2));
  });

  test("a stale place of one object does not take away the pin of another that lies there now", async () => {
    const store = machine();
    const [maker, reader] = [store.client("maker"), store.client("reader")];
    const old = maker.store.create(bytesOf(3 * MEGABYTE, 1), "maker");
    await store.press(8 * MEGABYTE);
    const young = maker.store.create(bytesOf(3 * MEGABYTE, 2), "maker");
    assert.equal(young.stored?.row, old.stored?.row, "the test is about two objects in one row");
    const [view, own] = [await read(reader, young), await read(maker, young)];
    assert.ok(isFilledWith(await read(reader, old), 1), "the spilled one comes back elsewhere");
    maker.store.release(old.stored!);
    maker.store.release(young.stored!);
    await store.press(4 * MEGABYTE);
    for (let fill = 3; fill < 6; fill++) maker.store.create(bytesOf(MEGABYTE, fill), "maker");
    assert.ok(isFilledWith(view, 2) && isFilledWith(own, 2));
  });

  test("a buffer is not given away to another thread, where nobody would know when it ends", async () => {
    const store = machine();
    const maker = store.client("maker");
    const view = await read(maker, maker.store.create(bytesOf(MEGABYTE, 3), "maker"));
    try {
      structuredClone(view, { transfer: [view.buffer as ArrayBuffer] });
    } catch (error) {
      assert.equal((error as Error).name, "DataCloneError");
    }
    assert.equal(view.byteLength, MEGABYTE);
  });

  test("an object that is too large is refused, with the limit", () => {
    const maker = machine().client("maker");
    assert.throws(() => maker.store.create(bytesOf(9 * MEGABYTE, 1), "maker"), (error: Error) => error instanceof ObjectStoreFullError && /9\.0 MB .* 8\.0 MB.*objectStoreMemory/.test(error.message));
  });

  test("without a slot a worker copies, at once", async () => {
    const store = machine();
    const maker = store.client("maker");
    const value = maker.store.create(bytesOf(MEGABYTE, 9), "maker");
    for (let count = 2; count < SLOTS_MAX; count++) store.post(`w${count}`, { type: "storeAttach", nonce: 2 ** 29 + count });
    for (const isInOtherProcess of [false, true]) {
      const late = store.client(`late${isInOtherProcess}`, isInOtherProcess);
      assert.equal(late.store.create(bytesOf(MEGABYTE, 9), late.id).stored, undefined);
      const copy = await read(late, value);
      assert.ok(isFilledWith(copy, 9));
      copy[0] = 1;
      assert.equal((await read(maker, value))[0], 9);
    }
    store.service.workerLost("w7");
    const lucky = store.client("lucky");
    assert.notEqual(lucky.store.create(bytesOf(MEGABYTE, 9), "lucky").stored, undefined, "a slot is free again");
    // Its slot is needed for what keeps the memory mapped after the end.
    store.kill(lucky);
  });
});

/** An object whose only trace afterwards is the view. */
async function makeAndRead(maker: Client, reader: Client, fill: number): Promise<Uint8Array> {
  const value = maker.store.create(bytesOf(MEGABYTE, fill), maker.id);
  const view = await read(reader, value);
  maker.store.release(value.stored!);
  return view;
}

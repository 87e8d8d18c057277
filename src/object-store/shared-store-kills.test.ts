import assert from "node:assert/strict";
import { test } from "node:test";
import type { EncodedValueRecord } from "../protocol/mod.ts";
import { ExtentTable } from "./extent-table.ts";
import { bytesOf, type Client, collectUntil, MEGABYTE, StoreMachine } from "./fixtures/store-machine.ts";
import { loadNativeMemory } from "./native-memory.ts";

const skip = loadNativeMemory().reason ?? false;
const CAPACITY_BYTES = 8 * MEGABYTE;
const OBJECT_BYTES = 900 * 1024;
const STEPS_MAX = 200;
/** All that a worker does to the table of extents: what others see of its death is between which two of these it came, or of its messages (store-service.test.ts). */
const WRITES = ["change", "changeState", "describe", "touch", "setPin", "clearPin"] as const;

/** Lets a worker live for so many writes into shared memory. Nothing that its code does afterwards gets there, or to the service. */
class Executioner {
  /** Those of all who stay: each worker has an object of its own for the same memory. */
  readonly #others = new Set<ExtentTable>();
  #victim: Client | null = null;
  #writesLeft = 0;

  constructor() {
    const mayWrite = (table: ExtentTable): boolean => this.#mayWrite(table);
    for (const name of WRITES) {
      const write = ExtentTable.prototype[name] as (...args: number[]) => unknown;
      Object.defineProperty(ExtentTable.prototype, name, { value(this: ExtentTable, ...args: number[]) { return mayWrite(this) && write.apply(this, args); } });
    }
  }

  /** All others have used the table before. */
  aim(victim: Client | null, writesMax: number): void {
    this.#victim = victim;
    this.#writesLeft = writesMax;
  }

  #mayWrite(table: ExtentTable): boolean {
    if (this.#victim === null) this.#others.add(table);
    if (this.#others.has(table) || this.#victim === null) return true;
    if (this.#victim.isCut) return false;
    if (this.#writesLeft-- > 0) return true;
    this.#victim.isCut = true;
    return false;
  }
}

async function read(client: Client, value: EncodedValueRecord): Promise<Uint8Array> {
  return (await client.store.open(value)).buffers[0] as Uint8Array;
}

async function holds(client: Client, value: EncodedValueRecord, fill: number): Promise<boolean> {
  return (await read(client, value)).every((byte) => byte === fill);
}

/** Puts, seals, gets, gives back, uses again, and restores what is on disk. */
async function live(victim: Client, spilled: EncodedValueRecord, inMemory: EncodedValueRecord, forOther: (value: EncodedValueRecord) => void): Promise<void> {
  const own = [1, 2].map((fill) => victim.store.create(bytesOf(OBJECT_BYTES, fill), victim.id));
  const result = victim.store.create(bytesOf(OBJECT_BYTES, 77), "other");
  if (!victim.isCut) forOther(result);
  await read(victim, own[0] as EncodedValueRecord);
  await read(victim, inMemory);
  if (own[1]?.stored !== undefined) victim.store.release(own[1].stored);
  victim.store.create(bytesOf(OBJECT_BYTES, 3), victim.id);
  await read(victim, spilled);
}

test("a worker that is killed before any of its writes into shared memory harms nobody, and all that it had returns", { skip }, async () => {
  const executioner = new Executioner();
  let isWhole = false;
  for (let writesMax = 0; !isWhole; writesMax++) {
    assert.ok(writesMax < STEPS_MAX);
    executioner.aim(null, 0);
    const store = new StoreMachine(CAPACITY_BYTES);
    const other = store.client("other");
    const spilled = other.store.create(bytesOf(MEGABYTE, 55), "other");
    assert.ok(await store.press(CAPACITY_BYTES));
    const inMemory = other.store.create(bytesOf(MEGABYTE, 66), "other");
    const victim = store.client("victim");
    executioner.aim(victim, writesMax);
    let result: EncodedValueRecord | null = null;
    let hasLived = false;
    // One that is dead waits for ever.
    await Promise.race([live(victim, spilled, inMemory, (value) => { result = value; }).then(() => { hasLived = true; }), store.turns(50)]);
    isWhole = hasLived && !victim.isCut;
    const objects: [EncodedValueRecord, number][] = [[spilled, 55], [inMemory, 66], ...(result === null ? [] : [[result, 77] as [EncodedValueRecord, number]])];
    const { stored } = (result ?? {}) as EncodedValueRecord;
    if (stored !== undefined) other.store.adopt(stored);
    store.kill(victim);
    for (const [value, fill] of objects) assert.ok(await holds(other, value, fill), `object ${fill} after ${writesMax} writes`);
    for (const [value] of objects) if (value.stored !== undefined) other.store.release(value.stored);
    // What the victim had made for others and not handed over is given up by then.
    store.clock.advance(60_000);
    const listed = (): ReturnType<typeof store.service.list> => store.service.list(100);
    await collectUntil(() => listed().objects.every(({ pinnedBy }) => pinnedBy.length === 0), `after ${writesMax} writes: ${JSON.stringify(listed().objects)}`);
    assert.ok(await store.press(CAPACITY_BYTES), `memory is missing after ${writesMax} writes`);
    assert.deepEqual([listed().objects, listed().usedBytes, [...store.disk.files.keys()]], [[], 0, []], `after ${writesMax} writes`);
    await store.close();
  }
});

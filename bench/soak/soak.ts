/** Random work on large objects, from a seed. */
import * as ray from "mantaray";
import { memoryOfProcessMib, memoryOfTreeMib, treeOf } from "../process-tree.ts";
import { bytesInFolder, comesTrue } from "../sampling.ts";
import { SeededRandom } from "./seeded-random.ts";
import { checkValue, makeValue } from "./soak-values.ts";
import type { SoakValue } from "./soak-values.ts";
import { checkArgument, checkBoxed, crash, Keeper, passOn, produce } from "./soak-workers.ts";
import type { ValueRef } from "./soak-workers.ts";

const BYTES_PER_MIB = 2 ** 20;
const VALUE_BYTES_MIN = 1024;
const OPERATIONS_AT_ONCE_MAX = 4;
const KEEPERS = 2;
/** Of the store's capacity: what is held, what is looked at for longer, and what operations look at for a moment. */
const HELD_FRACTION_MAX = 3;
const VIEWED_FRACTION_MAX = 1 / 8;
const IN_USE_FRACTION_MAX = 1 / 4;
const WHOLE_FRACTION = 0.85;
const EMPTY_MS_MAX = 30_000;
const EMPTY_EVERY_MS = 50;
/** Notes of who the folder belongs to are there at all times. */
const SPILL_FOLDER_BYTES_EMPTY = 4096;

export interface SoakOptions {
  readonly isolation: "thread" | "process";
  readonly seed: number;
  readonly storeBytes: number;
  readonly valueBytesMax: number;
  readonly spillFolder: string;
}

export interface SoakCounts {
  operations: number;
  objects: number;
  objectBytes: number;
  actorsKilled: number;
  workersCrashed: number;
  /** Operations that ended as they may when a worker that they needed has died. */
  lostToDeaths: number;
  spilledBytesMax: number;
}

/** NaN where it cannot be known. */
export interface SoakMemory {
  /** Of all processes; pages that they share count once. */
  readonly totalMib: number;
  readonly processes: number;
  readonly driverMib: number;
  readonly driverHeapMib: number;
}

interface KeeperSlot {
  handle: ray.ActorHandle<Keeper>;
  isKilled: boolean;
  readonly kept: Map<number, Held>;
}

interface Held {
  readonly ref: ValueRef;
  readonly seed: number;
  readonly byteLength: number;
  /** Its owner, if that is not the driver. */
  readonly maker: KeeperSlot | null;
  /** Operations that use the ref now. */
  uses: number;
}

interface View {
  readonly value: SoakValue;
  readonly seed: number;
  readonly byteLength: number;
}

/** Undefined if there is nothing that it could be done with, or if it is done at once. */
type Operation = (random: SeededRandom) => Promise<void> | undefined;

/** One runtime, on which `run` may be called again and again; each time all is dropped at the end, and the store is empty. */
export class Soak {
  readonly counts: SoakCounts = { operations: 0, objects: 0, objectBytes: 0, actorsKilled: 0, workersCrashed: 0, lostToDeaths: 0, spilledBytesMax: 0 };
  readonly #options: SoakOptions;
  readonly #random: SeededRandom;
  readonly #keepers: KeeperSlot[] = [];
  #held: Held[] = [];
  #heldBytes = 0;
  #views: View[] = [];
  #viewedBytes = 0;
  #inUseBytes = 0;
  readonly #running = new Set<Promise<void>>();
  #failure: unknown = undefined;
  #nextSeed = 1;
  /** Kills and crashes so far, and those that have not come to their end. */
  #deaths = 0;
  #deathsUnderway = 0;

  private constructor(options: SoakOptions) {
    this.#options = options;
    this.#random = new SeededRandom(options.seed);
  }

  static async start(options: SoakOptions): Promise<Soak> {
    const { isolation, storeBytes, spillFolder } = options;
    await ray.init({ address: "local", numCpus: 2, isolation, objectStoreMemory: storeBytes, objectSpillingDirectory: spillFolder, logToDriver: false });
    return new Soak(options);
  }

  async end(): Promise<void> {
    await ray.shutdown();
  }

  /** Rejects with the first thing that is not as it must be. */
  async run(isOver: () => boolean): Promise<void> {
    while (this.#keepers.length < KEEPERS) this.#keepers.push(newKeeper());
    const operations = this.#operations();
    while (!isOver() && this.#failure === undefined) {
      const running = this.#random.pick(operations)(this.#random);
      if (running !== undefined) this.#started(running);
      this.counts.operations++;
      while (this.#running.size >= OPERATIONS_AT_ONCE_MAX) await Promise.race(this.#running);
      this.counts.spilledBytesMax = Math.max(this.counts.spilledBytesMax, bytesInFolder(this.#options.spillFolder));
    }
    await Promise.all(this.#running);
    if (this.#failure !== undefined) throw this.#failure;
    await this.#dropAll();
  }

  #started(operation: Promise<void>): void {
    const running = operation
      .catch((error: unknown) => { this.#failure ??= error; })
      .finally(() => this.#running.delete(running));
    this.#running.add(running);
  }

  /** One stands as often in the list as it is to happen. */
  #operations(): Operation[] {
    const often = (times: number, operation: Operation): Operation[] => Array<Operation>(times).fill(operation);
    return [
      ...often(12, (random) => this.#put(random)),
      ...often(10, (random) => this.#produce(random)),
      ...often(6, (random) => this.#makeInActor(random)),
      ...often(12, (random) => this.#withHeld(random, false, async ({ ref, seed, byteLength }) => void checkValue(await ray.get(ref), seed, byteLength, "in the driver"))),
      ...often(6, (random) => this.#view(random)),
      ...often(6, (random) => this.#dropView(random)),
      ...often(6, (random) => this.#withHeld(random, true, ({ ref, seed, byteLength }) => ray.get(checkArgument.remote(ref, seed, byteLength)))),
      ...often(6, (random) => this.#withHeld(random, true, ({ ref, seed, byteLength }) => ray.get(checkBoxed.remote([ref], seed, byteLength)))),
      ...often(4, (random) => this.#withHeld(random, true, ({ ref, seed, byteLength }) => ray.get(passOn.remote([ref], seed, byteLength)))),
      ...often(6, (random) => this.#keepInActor(random)),
      ...often(6, (random) => this.#forgetInActor(random)),
      ...often(4, (random) => this.#drop(random)),
      ...often(1, (random) => this.#crashWorker(random)),
      ...often(1, (random) => this.#killActor(random)),
    ];
  }

  // ------------------------------------------------------------------ making and dropping

  #newValue(random: SeededRandom): { seed: number; byteLength: number } {
    const value = { seed: this.#nextSeed++, byteLength: random.logarithmic(VALUE_BYTES_MIN, this.#options.valueBytesMax) };
    this.counts.objects++;
    this.counts.objectBytes += value.byteLength;
    return value;
  }

  #put(random: SeededRandom): undefined {
    const { seed, byteLength } = this.#newValue(random);
    this.#hold({ ref: ray.put(makeValue(seed, byteLength)), seed, byteLength, maker: null, uses: 0 });
  }

  async #produce(random: SeededRandom): Promise<void> {
    const { seed, byteLength } = this.#newValue(random);
    const ref = produce.remote(seed, byteLength);
    await this.#unlessDeathComesBetween(null, async () => {
      checkValue(await ray.get(ref), seed, byteLength, "as a result");
      this.#hold({ ref, seed, byteLength, maker: null, uses: 0 });
    });
  }

  async #makeInActor(random: SeededRandom): Promise<void> {
    const { seed, byteLength } = this.#newValue(random);
    const maker = random.pick(this.#keepers);
    await this.#unlessDeathComesBetween(maker, async () => {
      const [ref] = await ray.get(maker.handle.make.remote(seed, byteLength));
      this.#hold({ ref, seed, byteLength, maker, uses: 0 });
    });
  }

  #hold(held: Held): void {
    this.#held.push(held);
    this.#heldBytes += held.byteLength;
    while (this.#heldBytes > HELD_FRACTION_MAX * this.#options.storeBytes && this.#unused().length > 0) this.#drop(this.#random);
  }

  #unused(): Held[] {
    return this.#held.filter(({ uses }) => uses === 0);
  }

  #drop(random: SeededRandom): undefined {
    const unused = this.#unused();
    if (unused.length > 0) this.#remove(random.pick(unused), random.chance(0.5));
  }

  /** Released, or left to the garbage collector. */
  #remove(held: Held, releases: boolean): void {
    if (releases) held.ref.release();
    if (!this.#held.includes(held)) return;
    this.#held = this.#held.filter((other) => other !== held);
    this.#heldBytes -= held.byteLength;
  }

  // ------------------------------------------------------------------ using

  /** `mayLetGo`: the ref may be released as soon as `use` has begun. */
  #withHeld(random: SeededRandom, mayLetGo: boolean, use: (held: Held) => Promise<unknown>): Promise<void> | undefined {
    const roomBytes = IN_USE_FRACTION_MAX * this.#options.storeBytes - this.#inUseBytes;
    const fitting = this.#held.filter(({ byteLength }) => byteLength <= roomBytes);
    if (fitting.length === 0) return undefined;
    const held = random.pick(fitting);
    const letsGo = mayLetGo && held.uses === 0 && random.chance(0.3);
    return this.#using(held, async () => {
      const used = use(held);
      if (letsGo) this.#remove(held, true);
      await used;
    });
  }

  async #using(held: Held, use: () => Promise<unknown>): Promise<void> {
    held.uses++;
    this.#inUseBytes += held.byteLength;
    try {
      await this.#unlessDeathComesBetween(held.maker, use);
    } finally {
      held.uses--;
      this.#inUseBytes -= held.byteLength;
    }
  }

  #fitsViews({ byteLength }: { readonly byteLength: number }): boolean {
    return this.#viewedBytes + byteLength <= VIEWED_FRACTION_MAX * this.#options.storeBytes;
  }

  #view(random: SeededRandom): Promise<void> | undefined {
    return this.#withHeld(random, false, async (held) => {
      const { ref, seed, byteLength } = held;
      if (!this.#fitsViews(held)) return;
      this.#viewedBytes += byteLength;
      const value = await ray.get(ref).catch((error: unknown) => { this.#viewedBytes -= byteLength; throw error; });
      this.#views.push({ value, seed, byteLength });
    });
  }

  /** Whatever has become of the object: a view shows what it showed. */
  #dropView(random: SeededRandom): undefined {
    if (this.#views.length === 0) return;
    const view = random.pick(this.#views);
    this.#views = this.#views.filter((other) => other !== view);
    this.#viewedBytes -= view.byteLength;
    checkValue(view.value, view.seed, view.byteLength, "a view in the driver");
  }

  #keepInActor(random: SeededRandom): Promise<void> | undefined {
    const keeper = random.pick(this.#keepers);
    return this.#withHeld(random, true, async (held) => {
      const { ref, seed, byteLength } = held;
      if (!this.#fitsViews(held) || keeper.kept.has(seed)) return;
      this.#viewedBytes += byteLength;
      try {
        keeper.handle.keep.remote(seed, [ref]);
        await this.#unlessDeathComesBetween(keeper, async () => {
          await ray.get(keeper.handle.look.remote(seed, byteLength));
          if (keeper.isKilled) return;
          keeper.kept.set(seed, held);
          this.#viewedBytes += byteLength;
        });
      } finally {
        this.#viewedBytes -= byteLength;
      }
    });
  }

  #forgetInActor(random: SeededRandom): Promise<void> | undefined {
    const keeper = random.pick(this.#keepers);
    if (keeper.kept.size === 0) return undefined;
    const { seed, byteLength } = random.pick([...keeper.kept.values()]);
    const releases = random.chance(0.5);
    keeper.kept.delete(seed);
    return this.#unlessDeathComesBetween(keeper, () => ray.get(keeper.handle.forget.remote(seed, byteLength, releases)))
      .finally(() => (this.#viewedBytes -= byteLength));
  }

  // ------------------------------------------------------------------ deaths

  #crashWorker(random: SeededRandom): Promise<void> | undefined {
    return this.#withHeld(random, false, ({ ref, seed, byteLength }) =>
      this.#death(async () => {
        this.counts.workersCrashed++;
        const outcome = await ray.get(crash.remote([ref], seed, byteLength)).then(() => new Error("a task that ends its worker has a result"), (error: unknown) => error);
        if (!isFromDeath(outcome)) throw outcome;
      }),
    );
  }

  #killActor(random: SeededRandom): Promise<void> {
    const index = random.below(this.#keepers.length);
    const keeper = this.#keepers[index] as KeeperSlot;
    this.#keepers[index] = newKeeper();
    return this.#kill(keeper);
  }

  #kill(keeper: KeeperSlot): Promise<void> {
    this.counts.actorsKilled++;
    keeper.isKilled = true;
    for (const { byteLength } of keeper.kept.values()) this.#viewedBytes -= byteLength;
    return this.#death(() => ray.kill(keeper.handle));
  }

  async #death(dying: () => Promise<void>): Promise<void> {
    this.#deaths++;
    this.#deathsUnderway++;
    try {
      await dying();
    } finally {
      this.#deathsUnderway--;
    }
  }

  /** Fails for any other reason than the death of an actor that is needed, or of a worker meanwhile. */
  async #unlessDeathComesBetween(needed: KeeperSlot | null, work: () => Promise<unknown>): Promise<void> {
    const deathsBefore = this.#deaths - this.#deathsUnderway;
    try {
      await work();
    } catch (error) {
      const isAccounted = this.#deaths > deathsBefore || needed?.isKilled === true;
      if (!isAccounted || !isFromDeath(error)) throw error;
      this.counts.lostToDeaths++;
    }
  }

  // ------------------------------------------------------------------ the end

  /** Drops all, and waits until nothing of it is left. */
  async #dropAll(): Promise<void> {
    this.#letGoOfAll();
    await Promise.all(this.#keepers.splice(0).map((keeper) => this.#kill(keeper)));
    const isEmpty = await comesTrue(EMPTY_MS_MAX, EMPTY_EVERY_MS, async () => {
      const { total, store } = await ray.listObjects({ collectGarbage: true, limit: 1 });
      return total === 0 && store.spilledBytes === 0 && bytesInFolder(this.#options.spillFolder) <= SPILL_FOLDER_BYTES_EMPTY;
    });
    if (!isEmpty) throw new Error(`${EMPTY_MS_MAX / 1000} s after all was dropped there is still:\n${await ray.memorySummary()}`);
    // Memory that belongs to no object is not listed, but would not be there for this one.
    using ref = ray.put(new Uint8Array(WHOLE_FRACTION * this.#options.storeBytes));
    await ray.wait([ref]);
  }

  /** A function of its own: one that waits keeps what its variables held last. */
  #letGoOfAll(): void {
    for (const held of [...this.#held]) this.#remove(held, this.#random.chance(0.5));
    while (this.#views.length > 0) this.#dropView(this.#random);
  }

  memory(): SoakMemory {
    return {
      totalMib: memoryOfTreeMib(process.pid), processes: treeOf(process.pid).length, driverMib: memoryOfProcessMib(process.pid),
      driverHeapMib: process.memoryUsage().heapUsed / BYTES_PER_MIB,
    };
  }
}

function newKeeper(): KeeperSlot {
  return { handle: ray.remote(Keeper).remote(), isKilled: false, kept: new Map() };
}

function isFromDeath(error: unknown): boolean {
  if (error instanceof ray.TaskError) return isFromDeath(error.cause);
  return error instanceof ray.WorkerCrashedError || error instanceof ray.ActorDiedError || error instanceof ray.OwnerDiedError;
}

import assert from "node:assert/strict";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { basename, join } from "node:path";
import { describe, it } from "node:test";
import * as ray from "mantaray";
import { eventually, everythingFree, ISOLATIONS } from "../conformance/both-isolations.ts";
import { eventuallyCollected } from "../conformance/garbage-collection.ts";
import { isPatterned, MIB, NEARLY_A_MIB, patterned, spillFiles, storeIsEmpty } from "../conformance/store-contents.ts";

const CAPACITY_BYTES = 16 * MIB;
/** What the runtime keeps in memory is seen there, on Linux. */
const SHARED_MEMORY = "/dev/shm";

class Owner {
  readonly #refs: ray.ObjectRef<Uint8Array>[] = [];
  #views: Uint8Array[] = [];
  pid(): number { return process.pid; }
  put(value: number, byteLength: number): { ref: ray.ObjectRef<Uint8Array> } {
    const ref = ray.put(new Uint8Array(byteLength).fill(value));
    this.#refs.push(ref);
    return { ref };
  }
  async look(box: { ref: ray.ObjectRef<Uint8Array> }): Promise<number> {
    this.#views = [await ray.get(box.ref)];
    return (this.#views[0] as Uint8Array)[0] as number;
  }
  shown(): number { return (this.#views[0] as Uint8Array)[0] as number; }
  /** Each of these goes on until the process is killed. */
  async putForEver(byteLength: number): Promise<void> { for (let index = 0; ; index++) { ray.put(new Uint8Array(byteLength)); if (index % 5 === 4) await new Promise((resolve) => setImmediate(resolve)); } }
  async getForEver(boxes: { ref: ray.ObjectRef<Uint8Array> }[]): Promise<void> {
    for (let index = 0; ; index++) {
      this.#views.push(await ray.get((boxes[index % boxes.length] as { ref: ray.ObjectRef<Uint8Array> }).ref));
      if (this.#views.length > 3) this.#views.shift();
      await new Promise((resolve) => setImmediate(resolve));
    }
  }
  *make(byteLength: number): Generator<Uint8Array> { for (;;) yield new Uint8Array(byteLength); }
}
const Owners = ray.remote(Owner);
type Box = { ref: ray.ObjectRef<Uint8Array> };

/** The store must be empty at the end of the body, and nothing of the runtime may be left behind. */
async function withStore(isolation: "thread" | "process", body: (sessionDir: string) => Promise<void>, isEmptyAtOnce: boolean = true): Promise<void> {
  const { sessionDir } = await ray.init({ numCpus: 2, isolation, objectStoreMemory: CAPACITY_BYTES });
  try {
    await body(sessionDir);
    if (isEmptyAtOnce) await storeIsEmpty(sessionDir, CAPACITY_BYTES);
    await everythingFree();
  } finally {
    await ray.shutdown();
  }
  assert.equal(existsSync(sessionDir), false);
  assert.equal(existsSync(join(SHARED_MEMORY, basename(sessionDir))), false);
}

async function rejectsWithOwnerDied(ref: ray.ObjectRef<unknown>): Promise<void> {
  await assert.rejects(ray.get(ref), (error: unknown) => {
    const cause = error instanceof ray.TaskError ? error.cause : error;
    assert.ok(cause instanceof ray.OwnerDiedError, String(error));
    assert.equal(cause.code, "ERR_MANTARAY_OWNER_DIED");
    return true;
  });
}

for (const isolation of ISOLATIONS) {
  describe(`large objects whose owner is killed (${isolation})`, () => {
    it("end for all others, for those that had read them before, too; views that are held stay; the memory comes back", async () => {
      await withStore(isolation, async () => {
        const [owner, reader] = [Owners.remote(), Owners.remote()];
        const read = await ray.get(owner.put.remote(1, NEARLY_A_MIB)) as unknown as Box;
        const unread = await ray.get(owner.put.remote(2, NEARLY_A_MIB)) as unknown as Box;
        const view = await ray.get(read.ref);
        assert.equal(await ray.get(reader.look.remote(read as never)), 1);
        await ray.kill(owner);
        for (const box of [unread, read]) {
          // Until the runtime has heard of it the value may still be there, but not for long.
          await eventually("the object to be gone", () => ray.get(box.ref).then(() => false, () => true));
          await rejectsWithOwnerDied(box.ref);
          await rejectsWithOwnerDied(reader.look.remote(box as never));
        }
        for (let index = 0; index < 20; index++) ray.put(new Uint8Array(NEARLY_A_MIB).fill(0xff)).release();
        assert.ok(view.every((byte) => byte === 1));
        assert.equal(await ray.get(reader.shown.remote()), 1);
        await ray.kill(reader);
      });
    });

    it("are gone from the disk as well", async () => {
      await withStore(isolation, async (sessionDir) => {
        const owner = Owners.remote();
        const boxes: Box[] = [];
        for (let index = 0; index < 24; index++) boxes.push(await ray.get(owner.put.remote(index, NEARLY_A_MIB)) as unknown as Box);
        assert.ok(spillFiles(sessionDir).length > 0);
        await ray.kill(owner);
        for (const { ref } of boxes) await eventually("the object to be gone", () => ray.get(ref).then(() => false, () => true));
        await eventually("the spill files to be gone", () => spillFiles(sessionDir).length === 0);
      });
    });
  });

  it(`views stay readable after shutdown, and the memory goes with the last of them (${isolation})`, async () => {
    const { sessionDir } = await ray.init({ numCpus: 1, isolation, objectStoreMemory: CAPACITY_BYTES });
    const make = ray.remote((byteLength: number) => new Uint8Array(byteLength).fill(5));
    let views: Uint8Array[] | null = [await ray.get(ray.put(patterned(1))), (await ray.get(ray.put(patterned(2)))).subarray(4096), await ray.get(make.remote(NEARLY_A_MIB))];
    await ray.shutdown();
    const isMapped = (): boolean => readFileSync("/proc/self/maps", "utf8").includes(basename(sessionDir));
    assert.ok(isPatterned(views[0] as Uint8Array, 1));
    assert.deepEqual(views[1], patterned(2).subarray(4096));
    assert.ok((views[2] as Uint8Array).every((byte) => byte === 5));
    assert.ok(isMapped());
    assert.equal(existsSync(join(SHARED_MEMORY, basename(sessionDir))), false);
    views = null;
    await eventuallyCollected("the memory to be unmapped", () => !isMapped());
  });
}

for (const isolation of ISOLATIONS) describe(`a worker that is killed (${isolation})`, () => {
  /** Others' objects, read while the victim dies. */
  async function othersAreRight(refs: readonly ray.ObjectRef<Uint8Array>[]): Promise<void> {
    for (const [index, ref] of refs.entries()) assert.ok(isPatterned(await ray.get(ref), index), `object ${index}`);
  }
  const isActorDied = (error: unknown): boolean => error instanceof ray.ActorDiedError;

  async function returnResults(victim: ray.ActorHandle<Owner>): Promise<void> {
    await assert.rejects(async () => {
      for await (const ref of victim.make.remote(NEARLY_A_MIB)) assert.equal((await ray.get(ref)).byteLength, NEARLY_A_MIB);
    }, (error) => isActorDied(error) || error instanceof ray.OwnerDiedError);
  }
  const moments: [string, (victim: ray.ActorHandle<Owner>, boxes: Box[]) => Promise<void>][] = [
    ["in the middle of putting", async (victim) => assert.rejects(ray.get(victim.putForEver.remote(NEARLY_A_MIB)), isActorDied)],
    ["in the middle of putting objects of the whole store's size", async (victim) => assert.rejects(ray.get(victim.putForEver.remote(CAPACITY_BYTES - MIB)), (error) => isActorDied(error) || error instanceof ray.TaskError)],
    ["in the middle of getting, with views held", async (victim, boxes) => assert.rejects(ray.get(victim.getForEver.remote(boxes as never)), isActorDied)],
    ["in the middle of returning results", returnResults],
  ];
  for (const [moment, act] of moments) {
    it(`${moment} harms no other and leaves nothing`, async () => {
      await withStore(isolation, async () => {
        const refs = Array.from({ length: 20 }, (_, index) => ray.put(patterned(index)));
        for (let round = 0; round < 2; round++) {
          const victim = Owners.options({ maxConcurrency: 10 }).remote();
          const pid = await ray.get(victim.pid.remote());
          const ended = act(victim, refs.map((ref) => ({ ref })));
          // So that it dies at another step in each round: when the driver has read some objects.
          await othersAreRight(refs.slice(0, 1 + round * 8));
          if (isolation === "process") process.kill(pid, "SIGKILL");
          else await ray.kill(victim);
          await ended;
          await othersAreRight(refs);
          if (isolation === "process") await eventually("the process to end", () => !existsSync(`/proc/${pid}`));
        }
        for (const ref of refs) ref.release();
        // Results that were on their way to their owner when their maker died are given up after half a minute.
      }, act !== returnResults);
    });
  }

  it("as the owner of much that is on disk, while others read it, leaves nothing", async () => {
    await withStore(isolation, async (sessionDir) => {
      const owner = Owners.remote();
      const pid = await ray.get(owner.pid.remote());
      const boxes: Box[] = [];
      for (let index = 0; index < 40; index++) boxes.push(await ray.get(owner.put.remote(index, NEARLY_A_MIB)) as unknown as Box);
      assert.ok(spillFiles(sessionDir).length > 0);
      const outcomes = Promise.all(boxes.map(({ ref }, index) => ray.get(ref).then((value) => value.every((byte) => byte === index), (error: unknown) => error)));
      await ray.get(boxes[0]!.ref);
      if (isolation === "process") process.kill(pid, "SIGKILL");
      else await ray.kill(owner);
      for (const outcome of await outcomes) assert.ok(outcome === true || outcome instanceof ray.OwnerDiedError || outcome instanceof ray.ObjectStoreFullError, String(outcome));
      await eventually("the spill files to be gone", () => !existsSync(join(sessionDir, "spill")) || readdirSync(join(sessionDir, "spill")).every((name) => !name.endsWith(".spill")));
    });
  });
});

import assert from "node:assert/strict";
import { it } from "node:test";
import * as ray from "mantaray";
import { eventually, underBothIsolations } from "./both-isolations.ts";
import { eventuallyCollected } from "./garbage-collection.ts";

class Token { touch(): string { return "alive"; } }
type TokenHandle = ray.ActorHandle<Token>;
type Treasure = { token: TokenHandle };

/** Keeps a reference and passes it on. */
class Keeper {
  kept: ray.ObjectRef<Treasure> | null = null;
  keep(box: { ref: ray.ObjectRef<Treasure> }): void { this.kept = box.ref; }
  async passOn(next: ray.ActorHandle<Keeper>): Promise<void> { await ray.get(next.keep.remote({ ref: this.kept as ray.ObjectRef<Treasure> } as never)); }
  async open(): Promise<string> {
    const { token } = (await ray.get(this.kept as ray.ObjectRef<Treasure>)) as unknown as Treasure;
    const answer = await ray.get(token.touch.remote());
    token.release();
    return answer;
  }
  drop(): void { this.kept?.release(); this.kept = null; }
  own(value: unknown): { ref: ray.ObjectRef<unknown> } { return { ref: ray.put(value) }; }
  /** A ref of a task that this actor owns and that goes on for as long as the gate is closed. */
  ownPending(gate: ray.ActorHandle<Gate>): { ref: ray.ObjectRef<unknown> } {
    return { ref: gate.pass.remote() as ray.ObjectRef<unknown> };
  }
}
class Gate {
  open: (() => void) | null = null;
  readonly opened = new Promise<void>((resolve) => { this.open = resolve; });
  async pass(): Promise<void> { await this.opened; }
  async unlock(): Promise<void> { this.open?.(); }
}
const Keepers = ray.remote(Keeper);
let unique = 0;

/** An object that is stored here; the name belongs to somebody for exactly as long as the object does. */
function treasure(): { name: string; ref: ray.ObjectRef<Treasure> } {
  const name = `treasure-${++unique}`;
  const token = ray.remote(Token, { name }).remote();
  const ref = ray.put({ token }) as unknown as ray.ObjectRef<Treasure>;
  token.release();
  return { name, ref };
}
async function isThere(name: string): Promise<boolean> {
  return (await ray.listNamedActors()).some((actor) => actor.name === name);
}

underBothIsolations("references", {}, (isolation) => {
  it("keep an object through three workers until the last one lets go, and while a borrower lives", async () => {
    const { name, ref } = treasure();
    const [first, second, third] = [Keepers.remote(), Keepers.remote(), Keepers.remote()];
    await ray.get(first.keep.remote({ ref } as never));
    ref.release();
    await ray.get(first.passOn.remote(second as never));
    await ray.get(first.drop.remote());
    await ray.get(second.passOn.remote(third as never));
    await ray.get(second.drop.remote());
    const { name: otherName, ref: otherRef } = treasure();
    const borrower = Keepers.remote();
    await ray.get(borrower.keep.remote({ ref: otherRef } as never));
    otherRef.release();
    for (const [keeper, kept] of [[third, name], [borrower, otherName]] as const) {
      assert.equal(await ray.get(keeper.open.remote()), "alive");
      assert.ok(await isThere(kept));
    }
    // Nothing collects garbage in a worker that has nothing to do, so its end says that it lets go.
    await Promise.all([ray.kill(third), ray.kill(borrower)]);
    for (const kept of [name, otherName]) await eventuallyCollected("the object to be freed", async () => !(await isThere(kept)));
  });

  it("inside of a stored object keep what they name", async () => {
    const { name, ref } = treasure();
    const outer = ray.put({ inner: ref });
    ref.release();
    const { inner } = (await ray.get(outer)) as unknown as { inner: ray.ObjectRef<Treasure> };
    const { token } = (await ray.get(inner)) as unknown as Treasure;
    assert.equal(await ray.get(token.touch.remote()), "alive");
    token.release();
    inner.release();
    assert.ok(await isThere(name));
    outer.release();
    await eventuallyCollected("the object to be freed", async () => !(await isThere(name)));
  });

  it("are counted for those that were collected, too", async () => {
    const name = await (async () => {
      const { name: made, ref } = treasure();
      const keeper = Keepers.remote();
      await ray.get(keeper.keep.remote({ ref } as never));
      await ray.get(keeper.drop.remote());
      return made;
    })();
    await eventuallyCollected("the object to be freed", async () => !(await isThere(name)));
  });

  it("of what a worker owns serve others while it lives", async () => {
    const keeper = Keepers.remote();
    const { ref } = (await ray.get(keeper.own.remote([1, 2, 3]))) as unknown as { ref: ray.ObjectRef<number[]> };
    assert.deepEqual(await ray.get(ref), [1, 2, 3]);
    const length = ray.remote((values: number[]) => values.length);
    assert.equal(await ray.get(length.remote(ref)), 3);
  });

  it("give an OwnerDiedError when the owner died: to those who wait, and to those who ask later", async () => {
    const keeper = Keepers.remote();
    const gate = ray.remote(Gate).remote();
    const { ref: stored } = (await ray.get(keeper.own.remote("value"))) as unknown as { ref: ray.ObjectRef<string> };
    const { ref: pending } = (await ray.get(keeper.ownPending.remote(gate as never))) as unknown as { ref: ray.ObjectRef<string> };
    const { ref: fetched } = (await ray.get(keeper.own.remote("fetched before"))) as unknown as { ref: ray.ObjectRef<string> };
    assert.equal(await ray.get(fetched), "fetched before");
    const isOwnerDied = (error: unknown): boolean => error instanceof ray.OwnerDiedError && error.code === "ERR_MANTARAY_OWNER_DIED";
    const waiting = assert.rejects(ray.get(pending), isOwnerDied);
    const length = ray.remote((value: string) => value.length);
    const dependent = length.remote(pending);
    await ray.kill(keeper);
    await waiting;
    await assert.rejects(ray.get(stored), isOwnerDied);
    await assert.rejects(ray.get(length.remote(stored)), isOwnerDied);
    await assert.rejects(ray.get(dependent), isOwnerDied);
    const [ready] = await ray.wait([stored]);
    assert.equal(ready.length, 1);
    assert.equal(await ray.get(fetched), "fetched before");
    await ray.get(gate.unlock.remote());
  });

  if (isolation === "thread") {
    it("keep an idle worker that owns what others use, while other idle ones end", async () => {
      // Long enough for the other call to need a worker of its own.
      const busy = (): void => {
        const endMs = performance.now() + 100;
        while (performance.now() < endMs);
      };
      const own = ray.remote(() => {
        busy();
        return { workerId: ray.getRuntimeContext().workerId, pid: process.pid, ref: ray.put("kept") };
      });
      type Owned = { workerId: string; pid: number; ref: ray.ObjectRef<string> };
      const onTwoWorkers = async (options: { isolation: "thread" | "process" }): Promise<[Owned, Owned]> => {
        let two: [Owned, Owned] | null = null;
        await eventually("two workers", async () => {
          two = (await ray.get([own.options(options).remote(), own.options(options).remote()])) as unknown as [Owned, Owned];
          return two[0].workerId !== two[1].workerId;
        });
        return two as unknown as [Owned, Owned];
      };
      const [{ ref }, idle] = await onTwoWorkers({ isolation: "process" });
      // Those used last stay warm.
      for (const { ref: unused } of await onTwoWorkers({ isolation: "thread" })) unused.release();
      idle.ref.release();
      await eventuallyCollected("the idle worker to end", () => {
        try { process.kill(idle.pid, 0); return false; } catch { return true; }
      });
      assert.equal(await ray.get(ref), "kept");
      ref.release();
    });
  }
});

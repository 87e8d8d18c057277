import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { QueueActor } from "./queue-actor.ts";

const ofSize = (sizeMax: number): QueueActor<string> => new QueueActor<string>(sizeMax);

describe("QueueActor", () => {
  it("answers at once when it can, and keeps nothing to confirm then", async () => {
    const actor = ofSize(1);
    assert.equal(actor.put(["a"], "client", 0), true);
    assert.deepEqual(actor.get("client", 1), ["a"]);
    actor.abandon("client", 1);
    assert.equal(actor.size(), 0);
  });

  it("an item that was waited for goes to the next reader when its own has gone, unless that has confirmed it", async () => {
    const actor = ofSize(10);
    const presence = actor.presence("gone");
    presence.next();
    const waiting = [actor.get("gone", 0), actor.get("gone", 1), actor.get("gone", 2), actor.get("stays", 0)];
    for (const item of ["a", "b"]) actor.put([item], "writer", 0);
    assert.deepEqual(await Promise.all(waiting.slice(0, 2)), [["a", true], ["b", true]]);
    actor.confirm("gone", 0);
    presence.return();
    assert.deepEqual(await waiting[2], [], "it waits no longer");
    assert.deepEqual(await waiting[3], ["b", true]);
    actor.put(["c"], "writer", 1);
    assert.deepEqual(actor.get("stays", 1), ["c"]);
    assert.equal(actor.size(), 0);
  });

  it("what a client did not take comes first again, in its order", async () => {
    const actor = ofSize(10);
    const presence = actor.presence("gone");
    presence.next();
    const waiting = [actor.get("gone", 0), actor.get("gone", 1)];
    actor.putNow(["a", "b", "c"]);
    await Promise.all(waiting);
    presence.return();
    assert.deepEqual(actor.getNow(3), ["a", "b", "c"]);
  });

  it("giving up is in time or not, and the answer to the call says so", async () => {
    const actor = ofSize(1);
    const late = actor.get("client", 0);
    const inTime = actor.get("client", 1);
    actor.put(["a"], "writer", 0);
    actor.giveUp("client", 0);
    actor.giveUp("client", 1);
    assert.deepEqual(await late, ["a", true]);
    assert.deepEqual(await inTime, []);

    actor.put(["b"], "writer", 1);
    const [admitted, withdrawn] = [actor.put(["c"], "writer", 2), actor.put(["d"], "writer", 3)];
    assert.deepEqual(actor.getNow(1), ["b"]);
    actor.giveUp("writer", 2);
    actor.giveUp("writer", 3);
    assert.deepEqual([await admitted, await withdrawn], [true, false]);
    assert.deepEqual([actor.getNow(1), actor.getNow(1)], [["c"], 0]);
  });

  it("a call that was abandoned gets nothing: its item goes on", async () => {
    const actor = ofSize(10);
    const [abandoned, next] = [actor.get("client", 0), actor.get("client", 1)];
    actor.put(["a"], "writer", 0);
    await abandoned;
    actor.abandon("client", 0);
    assert.deepEqual(await next, ["a", true]);
    const waiting = actor.get("client", 2);
    actor.abandon("client", 2);
    assert.deepEqual(await waiting, []);
    actor.put(["b"], "writer", 1);
    assert.equal(actor.size(), 1);
  });

  it("writers of a client that has gone put nothing", async () => {
    const actor = ofSize(1);
    const presence = actor.presence("gone");
    presence.next();
    actor.put(["a"], "writer", 0);
    const waiting = actor.put(["never"], "gone", 0);
    presence.return();
    assert.equal(await waiting, false);
    assert.deepEqual([actor.getNow(1), actor.getNow(1)], [["a"], 0]);
  });

  it("tells all who wait, and all who come, that it is shut down", async () => {
    const [empty, full] = [ofSize(1), ofSize(1)];
    full.put(["a"], "writer", 0);
    const waiting = [empty.get("reader", 0), full.put(["b"], "writer", 1)];
    empty.shutDown();
    full.shutDown();
    assert.deepEqual(await Promise.all(waiting), [null, null]);
    assert.deepEqual([empty.get("reader", 1), empty.put(["c"], "writer", 2), empty.putNow([]), empty.getNow(0), empty.size(), empty.isFull()], Array(6).fill(null));
  });
});

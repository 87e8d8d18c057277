import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Turnstile } from "./turnstile.ts";

describe("Turnstile", () => {
  it("lets so many in, and others in order as those leave", async () => {
    const turnstile = new Turnstile(2);
    assert.deepEqual([turnstile.enter(), turnstile.enter(), turnstile.enter()], [true, true, false]);
    const order: string[] = [];
    const waiting = ["a", "b"].map((name) => turnstile.wait(undefined).then((isIn) => order.push(`${name} ${isIn}`)));
    turnstile.leave();
    await waiting[0];
    assert.deepEqual(order, ["a true"]);
    assert.equal(turnstile.enter(), false, "nobody overtakes");
    turnstile.leave();
    await waiting[1];
    assert.deepEqual(order, ["a true", "b true"]);
    turnstile.leave();
    turnstile.leave();
    assert.equal(turnstile.isEmpty, true);
  });

  it("who gives up leaves no gap, also when let in at the same moment", async () => {
    const turnstile = new Turnstile(1);
    turnstile.enter();
    const abort = new AbortController();
    const [first, second] = [turnstile.wait({ signal: abort.signal }), turnstile.wait(undefined)];
    turnstile.leave();
    abort.abort(new Error("too late"));
    await assert.rejects(first, { message: "too late" });
    assert.equal(await second, true);
    const third = turnstile.wait({ signal: AbortSignal.abort(new Error("never")) });
    await assert.rejects(third, { message: "never" });
    turnstile.leave();
    assert.equal(turnstile.isEmpty, true);
  });
});

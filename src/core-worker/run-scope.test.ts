import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { isCancelReason, RunScope } from "./run-scope.ts";

const turn = (): Promise<void> => new Promise((resolve) => { setImmediate(resolve); });

describe("RunScope", () => {
  it("aborts its signal, whether that was asked for before or after", () => {
    const [early, late] = [new RunScope(), new RunScope()];
    const { signal } = early;
    const reason = new Error("enough");
    assert.equal(early.isCancelled, false);
    assert.equal(early.cancel(reason), true);
    assert.equal(late.cancel(reason), true);
    assert.equal(early.isCancelled, true);
    assert.equal(signal.reason, reason);
    assert.equal(late.signal.reason, reason);
    assert.equal(late.signal, late.signal);
  });

  it("rejects all that is awaited, once, and nothing that has come meanwhile or comes afterwards", async () => {
    const scope = new RunScope();
    const rejected: string[] = [];
    scope.awaits(() => rejected.push("a"), null);
    const done = scope.awaits(() => rejected.push("b"), null);
    scope.awaits(() => rejected.push("c"), null);
    done();
    assert.equal(scope.cancel(new Error("enough")), true);
    assert.equal(scope.cancel(new Error("again")), false);
    scope.awaits(() => rejected.push("clean-up"), null);
    await turn();
    assert.deepEqual(rejected, ["a", "c"]);
    assert.equal((scope.signal.reason as Error).message, "enough");
  });

  it("rejects the next thing that is awaited when there was none, and only that", async () => {
    const scope = new RunScope();
    scope.awaits(() => assert.fail("was over"), null)();
    scope.cancel(new Error("enough"));
    const rejected: string[] = [];
    scope.awaits((reason) => rejected.push(reason.message), null);
    assert.equal(rejected.length, 0, "not before its caller knows how to take it");
    scope.awaits(() => rejected.push("clean-up"), null);
    await turn();
    assert.deepEqual(rejected, ["enough"]);
  });

  it("knows its reasons again, also as the cause of another error", () => {
    const reason = new Error("enough");
    assert.equal(isCancelReason(reason), false);
    new RunScope().cancel(reason);
    assert.equal(isCancelReason(reason), true);
    assert.equal(isCancelReason(new DOMException("aborted", { cause: reason } as never)), true);
    assert.equal(isCancelReason(new Error("aborted", { cause: reason })), true);
    for (const other of [new Error("enough"), "enough", null, undefined, new Error("outer", { cause: "enough" })]) assert.equal(isCancelReason(other), false);
  });
});

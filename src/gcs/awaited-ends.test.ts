import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { ActorInstruction } from "./actor-state.ts";
import { AwaitedEnds } from "./awaited-ends.ts";

const ONE = { workerId: "aaaaaaaa000000000001", requestId: 1 };
const OTHER = { workerId: "aaaaaaaa000000000002", requestId: 7 };
const WORKER = "bbbbbbbb000000000001";

function endOfWorker(workerId = WORKER): ActorInstruction[] {
  return [{ type: "endWorker", workerId, graceful: false, reason: "" }];
}

describe("ends of actors that are awaited", () => {
  test("all who ask before it is gone are told then, once", () => {
    const ends = new AwaitedEnds();
    assert.equal(ends.add("a", endOfWorker(), ONE), true);
    assert.equal(ends.add("a", [], OTHER), true);
    assert.deepEqual(ends.workerLost("bbbbbbbb000000000002"), []);
    assert.deepEqual(ends.workerLost(WORKER), [ONE, OTHER]);
    assert.deepEqual(ends.workerLost(WORKER), []);
    assert.equal(ends.add("a", [], ONE), false);
  });

  test("an actor that no worker has yet is not waited for", () => {
    assert.equal(new AwaitedEnds().add("a", [{ type: "cancelPlacement", actorId: "a" }], ONE), false);
  });

  test("one of several in a worker ends by itself, or with the worker", () => {
    const ends = new AwaitedEnds();
    for (const actorId of ["a", "b"]) ends.add(actorId, [{ type: "endShared", workerId: WORKER, actorId, graceful: false, mayRestart: false, reason: "", endReason: "killed" }], ONE);
    assert.deepEqual(ends.actorEnded("a"), [ONE]);
    assert.deepEqual(ends.actorEnded("a"), []);
    assert.deepEqual(ends.workerLost(WORKER), [ONE]);
  });

  test("a node takes its workers along", () => {
    const ends = new AwaitedEnds();
    ends.add("a", endOfWorker(), ONE);
    ends.add("b", endOfWorker("cccccccc000000000001"), OTHER);
    assert.deepEqual(ends.nodeLost("bbbbbbbb"), [ONE]);
    assert.deepEqual(ends.nodeLost("cccccccc"), [OTHER]);
  });
});

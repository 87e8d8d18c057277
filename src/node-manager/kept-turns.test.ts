import assert from "node:assert/strict";
import { beforeEach, describe, test } from "node:test";
import { toAmounts } from "../base/mod.ts";
import type { WorkerKind } from "../protocol/mod.ts";
import { inEnv, oneCpu, only, opened, PROCESS, shapeOf, THREAD, types } from "./fixtures/lease-instructions.ts";
import type { LeaseInstruction } from "./lease-instruction.ts";
import { LeaseState } from "./lease-state.ts";

const CPU = toAmounts({ CPU: 1 });
const LACK = { kind: "RuntimeEnvSetupError", message: "cannot run", subjectId: null } as const;

let state: LeaseState;
const place = (actorId: string, jobId: string, kind: WorkerKind = THREAD): LeaseInstruction[] => state.placeActor(actorId, kind, CPU, jobId, null, false, jobId);
const placed = (instructions: readonly LeaseInstruction[]): string => only(instructions, "placeActor").map(({ actorId }) => actorId).join();

/** Two processors, of which job "a" has one for good. */
beforeEach(() => {
  state = new LeaseState(toAmounts({ CPU: 2 }), { warmWorkersMin: 4, taskWorkersMax: 4 }, "first");
  for (const job of ["a", "b"]) state.ownerSeen(job, job);
  for (const worker of ["w1", "w2", "w3"]) state.workerAdded(worker, THREAD);
  assert.equal(placed(place("a1", "a")), "a1");
});

describe("leases: the turn of a job whose lease has just ended", () => {
  let lease: { readonly leaseId: number; readonly workerId: string };
  const close = (): LeaseInstruction[] => state.leaseEvents(lease.workerId, [[lease.leaseId, "closed"]]);

  /** "b" has sent its last task under the one lease that it has, and the other job asks for an actor. */
  beforeEach(() => {
    lease = opened(state.demand("b", "k", oneCpu, 2, 0));
    assert.deepEqual(types(place("a2", "a")), ["revoke"]);
    state.demand("b", "k", oneCpu, 1, 0);
  });

  test("is its own: its owner is asked whether a task comes back that was on its way, and what that needs is for nobody else until it has answered", () => {
    assert.deepEqual(close(), [{ type: "askOwner", leaseId: lease.leaseId, workerId: lease.workerId, ownerId: "b" }]);
    assert.deepEqual(state.leaseEvents("w1", []), [], "nor later, and it is asked once");
    assert.deepEqual(place("a3", "a"), []);
    assert.deepEqual(types(state.demand("a", "k", oneCpu, 1, 0)), [], "nor for a task of the other");
    assert.equal(opened(state.demand("b", "k", oneCpu, 2, 0)).ownerId, "b");
    assert.equal(placed(state.leaseSettled(lease.leaseId)), "");
  });

  test("is over when it wants nothing", () => {
    close();
    assert.equal(placed(state.leaseSettled(lease.leaseId)), "a2");
    assert.deepEqual(state.leaseSettled(lease.leaseId), []);
  });

  test("is over with its owner", () => {
    close();
    assert.equal(placed(state.ownerLost("b")), "a2");
  });

  test("is its own too when it has lost the worker", () => {
    const lost = state.workerLost(lease.workerId);
    assert.deepEqual(types(lost), ["askOwner"]);
    assert.deepEqual(types(state.demand("b", "k", oneCpu, 2, 0)), ["assignJob", "openLease", "revoke"], "another idle worker");
  });

  test("needs no question where another lease is asked for anyway, or what has come free is of no use to others", () => {
    state.demand("b", "k", oneCpu, 2, 0);
    assert.deepEqual(types(close()), ["openLease", "revoke"]);
    state.cancelPlacement("a2");
    const [other] = only(state.demand("b", "k", oneCpu, 3, 0), "openLease");
    assert.equal(other, undefined);
    assert.deepEqual(types(state.placeActor("a4", PROCESS, {}, "a")), ["startWorker"]);
  });

  test("does not come before that of a job that has less", () => {
    state.ownerSeen("c", "c");
    state.demand("c", "k", oneCpu, 1, 0);
    assert.equal(opened(close()).ownerId, "c", "of equal ones, who was served longest ago");
  });
});

describe("leases: the turn of a job that has no worker for what it wants", () => {
  test("is kept against actors of others while one starts", () => {
    assert.deepEqual(types(state.demand("b", "k", shapeOf({ CPU: 1 }, PROCESS), 1, 0)), ["startWorker"]);
    assert.deepEqual(place("a2", "a"), [], "though a worker for it is idle");
    assert.equal(opened(state.workerAdded("p", PROCESS)).ownerId, "b");
  });

  test("is kept for an actor, too", () => {
    assert.deepEqual(types(place("b1", "b", PROCESS)), ["startWorker"]);
    assert.deepEqual(place("a2", "a"), []);
    assert.equal(placed(state.workerAdded("p", PROCESS)), "b1");
  });

  test("is lent to tasks of others, which give back what they have", () => {
    const full = opened(state.demand("a", "k", oneCpu, 2, 0));
    state.demand("b", "k", shapeOf({ CPU: 1 }, PROCESS), 1, 0);
    const given = state.leaseEvents(full.workerId, [[full.leaseId, "closed"]]);
    assert.deepEqual(types(given), ["openLease", "revoke", "startWorker"]);
    const lent = opened(given);
    assert.deepEqual(only(state.workerAdded("p", PROCESS), "openLease"), []);
    assert.equal(opened(state.leaseEvents(lent.workerId, [[lent.leaseId, "closed"]])).ownerId, "b");
  });

  test("is over when none can be had", () => {
    const kind = inEnv("e");
    state.demand("b", "k", shapeOf({ CPU: 1 }, kind), 1, 0);
    assert.deepEqual(place("a2", "a"), []);
    assert.deepEqual(types(state.kindRefused(kind, LACK)).filter((type) => type !== "assignJob"), ["refuse", "placeActor"]);
  });

  test("leaves what it cannot take to others", () => {
    state = new LeaseState(toAmounts({ CPU: 4 }), { warmWorkersMin: 4, taskWorkersMax: 4 }, "first");
    for (const job of ["a", "b"]) state.ownerSeen(job, job);
    for (const worker of ["w1", "w2", "w3", "w4"]) state.workerAdded(worker, THREAD);
    state.demand("b", "k", shapeOf({ CPU: 1 }, PROCESS), 1, 0);
    assert.deepEqual(["a1", "a2", "a3", "a4"].map((actorId) => placed(place(actorId, "a"))), ["a1", "a2", "a3", ""]);
  });

  test("is kept for as much as is its part", () => {
    state = new LeaseState(toAmounts({ CPU: 4 }), { warmWorkersMin: 4, taskWorkersMax: 4 }, "first");
    for (const job of ["a", "b"]) state.ownerSeen(job, job);
    for (const worker of ["w1", "w2", "w3", "w4"]) state.workerAdded(worker, THREAD);
    state.demand("b", "k", shapeOf({ CPU: 1 }, PROCESS), 9, 0);
    assert.deepEqual(["a1", "a2", "a3"].map((actorId) => placed(place(actorId, "a"))), ["a1", "a2", ""]);
  });
});

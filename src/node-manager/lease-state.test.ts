import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { toAmounts } from "../base/mod.ts";
import type { LeaseShape, WantRecord } from "../protocol/mod.ts";
import { oneCpu, only, opened, PROCESS, shapeOf, THREAD, types } from "./fixtures/lease-instructions.ts";
import { type LeaseLimits, LeaseState } from "./lease-state.ts";

function stateWith(quantities: Record<string, number>, workers: readonly string[] = [], limits: LeaseLimits = { warmWorkersMin: 1, taskWorkersMax: 4 }): LeaseState {
  const state = new LeaseState(toAmounts(quantities), limits, "job");
  for (const worker of workers) assert.deepEqual(state.workerAdded(worker, THREAD), []);
  for (const ofProgram of ["a", "b", "c", "other", "third"]) state.ownerSeen(ofProgram, "job", "driver");
  return state;
}

describe("leases: the numbered transitions", () => {
  test("(1) a demand opens a lease on a free worker and takes its resources", () => {
    const state = stateWith({ CPU: 1 }, ["w1"]);
    assert.deepEqual(state.demand("driver", "k", oneCpu, 1, 0), [{ type: "openLease", leaseId: 1, workerId: "w1", ownerId: "driver", key: "k", shape: oneCpu, acceleratorIds: null }]);
    assert.deepEqual(state.ledger.available, { CPU: 0 });
  });

  test("(1) the target counts all leases ever wanted, so a repeated demand changes nothing", () => {
    const state = stateWith({ CPU: 3 }, ["w1", "w2", "w3"]);
    assert.equal(only(state.demand("driver", "k", oneCpu, 2, 0), "openLease").length, 2);
    assert.deepEqual(state.demand("driver", "k", oneCpu, 2, 0), []);
    assert.equal(only(state.demand("driver", "k", oneCpu, 3, 0), "openLease").length, 1);
    assert.deepEqual(state.demand("driver", "k", oneCpu, 1, 0), [], "less is wanted than was granted");
    assert.equal(state.snapshot().demandsWaiting, 0);
  });

  test("(1) missing leases are granted in order of arrival, larger priorities first", () => {
    const state = stateWith({ CPU: 1 }, ["w1"]);
    const first = opened(state.demand("driver", "k", oneCpu, 1, 0));
    state.demand("a", "k", oneCpu, 1, 0);
    state.demand("b", "k", oneCpu, 1, 0);
    state.demand("c", "k", oneCpu, 1, 5);
    const owners: string[] = [];
    for (let lease = first; owners.length < 3; ) {
      lease = opened(state.leaseEvents("w1", [[lease.leaseId, "closed"]]));
      owners.push(lease.ownerId);
    }
    assert.deepEqual(owners, ["c", "a", "b"]);
  });

  test("(1) a demand's priority is that of the task that comes next, which may change", () => {
    const state = stateWith({ CPU: 1 }, ["w1"]);
    const first = opened(state.demand("driver", "k", oneCpu, 1, 0));
    state.demand("a", "k", oneCpu, 1, 5);
    state.demand("b", "k", oneCpu, 1, 1);
    state.demand("a", "k", oneCpu, 1, 0);
    assert.equal(opened(state.leaseEvents("w1", [[first.leaseId, "closed"]])).ownerId, "b");
  });

  test("(1) what the machine never has is refused, with what is missing", () => {
    const state = stateWith({ CPU: 2 }, ["w1"]);
    const [refused] = only(state.demand("driver", "k", shapeOf({ CPU: 3 }), 1, 0), "refuse");
    assert.equal(refused?.error.kind, "TaskUnschedulableError");
    assert.match(String(refused?.error.message), /needs 3 CPU, but the cluster has 2/);
    assert.equal(state.snapshot().demandsWaiting, 0);
  });

  test("(2) a returned slot gives its resources to who waits", () => {
    const state = stateWith({ CPU: 1 }, ["w1", "w2"]);
    const parent = opened(state.demand("driver", "k", oneCpu, 1, 0));
    assert.deepEqual(types(state.demand(parent.workerId, "k", oneCpu, 1, 0)), ["revoke"], "the nested demand waits, and asks for the lease back");
    const child = opened(state.leaseEvents(parent.workerId, [[parent.leaseId, "slotReturned"]]));
    assert.equal(child.ownerId, parent.workerId);
    assert.equal(child.workerId, parent.workerId, "what a waiting worker waits for runs on itself: no worker per level");
    assert.deepEqual(state.ledger.available, { CPU: 0 });
  });

  test("(2) only processors go back: what else a task holds it keeps while it waits", () => {
    const state = new LeaseState(toAmounts({ CPU: 1, GPU: 2, slot: 1 }), { warmWorkersMin: 1, taskWorkersMax: 4 }, "job", { GPU: ["a", "b"] });
    state.workerAdded("w1", THREAD);
    const lease = opened(state.demand("driver", "k", shapeOf({ CPU: 1, GPU: 1, slot: 1 }), 1, 0));
    assert.deepEqual(lease.acceleratorIds, { GPU: ["a"] });
    state.leaseEvents("w1", [[lease.leaseId, "slotReturned"]]);
    assert.deepEqual(state.ledger.available, { CPU: 10_000, GPU: 10_000, slot: 0 });
    state.leaseEvents("w1", [[lease.leaseId, "slotTaken"]]);
    assert.deepEqual(state.ledger.available, { CPU: 0, GPU: 10_000, slot: 0 });
    state.leaseEvents("w1", [[lease.leaseId, "slotReturned"]]);
    state.leaseEvents("w1", [[lease.leaseId, "closed"]]);
    assert.deepEqual(state.ledger.available, { CPU: 10_000, GPU: 20_000, slot: 10_000 });
  });

  test("(2) a worker whose task waits with its accelerators gets no other: they are named in its environment", () => {
    const state = new LeaseState(toAmounts({ CPU: 1, GPU: 1 }), { warmWorkersMin: 1, taskWorkersMax: 4 }, "job", { GPU: ["a"] });
    for (const worker of ["w1", "w2"]) state.workerAdded(worker, THREAD);
    const parent = opened(state.demand("driver", "k", shapeOf({ CPU: 1, GPU: 1 }), 1, 0));
    state.demand(parent.workerId, "l", oneCpu, 1, 0);
    const child = opened(state.leaseEvents(parent.workerId, [[parent.leaseId, "slotReturned"]]));
    assert.notEqual(child.workerId, parent.workerId);
    assert.deepEqual(only(state.demand(child.workerId, "m", oneCpu, 1, 0), "openLease"), []);
    assert.equal(opened(state.leaseEvents(child.workerId, [[child.leaseId, "slotReturned"]])).workerId, child.workerId);
  });

  test("(3) a slot is taken back at once, below zero if need be, and nothing starts until it is not", () => {
    const state = stateWith({ CPU: 1 }, ["w1", "w2"]);
    const parent = opened(state.demand("driver", "k", oneCpu, 1, 0));
    state.demand("w1", "k", oneCpu, 1, 0);
    state.demand("w2", "k", oneCpu, 1, 0);
    const child = opened(state.leaseEvents(parent.workerId, [[parent.leaseId, "slotReturned"]]));
    const instructions = state.leaseEvents(parent.workerId, [[parent.leaseId, "slotTaken"]]);
    assert.deepEqual(only(instructions, "openLease"), []);
    assert.deepEqual(state.ledger.available, { CPU: -10_000 });
    assert.deepEqual(only(state.leaseEvents(child.workerId, [[child.leaseId, "closed"]]), "openLease"), []);
    assert.deepEqual(state.ledger.available, { CPU: 0 });
    assert.equal(only(state.leaseEvents(parent.workerId, [[parent.leaseId, "closed"]]), "openLease").length, 1);
  });

  test("(4) a lease without a slot gets one when it wants one and there is room", () => {
    const state = stateWith({ CPU: 1 }, ["w1"]);
    const { leaseId, workerId } = opened(state.demand("driver", "k", oneCpu, 1, 0));
    assert.deepEqual(state.leaseEvents(workerId, [[leaseId, "slotReturned"]]), []);
    assert.deepEqual(state.leaseEvents(workerId, [[leaseId, "wantSlot"]]), [{ type: "grantSlot", leaseId, workerId }]);
    assert.deepEqual(state.ledger.available, { CPU: 0 });
    assert.deepEqual(state.leaseEvents(workerId, []), [], "once");
  });

  test("(4) it waits while another lease of its worker runs, or nothing is free", () => {
    const state = stateWith({ CPU: 2 }, ["w1"]);
    const first = opened(state.demand("driver", "k", oneCpu, 1, 0));
    state.leaseEvents("w1", [[first.leaseId, "slotReturned"]]);
    const second = opened(state.demand("w1", "k", oneCpu, 1, 0));
    assert.deepEqual(only(state.leaseEvents("w1", [[first.leaseId, "wantSlot"]]), "grantSlot"), []);
    assert.deepEqual(only(state.leaseEvents("w1", [[second.leaseId, "closed"]]), "grantSlot"), [{ type: "grantSlot", leaseId: first.leaseId, workerId: "w1" }]);
  });

  test("(4) a lease that has a slot again asks nobody for theirs", () => {
    const state = stateWith({ CPU: 1 }, ["w1", "w2"]);
    const parent = opened(state.demand("driver", "k", oneCpu, 1, 0));
    const other = opened(state.leaseEvents(parent.workerId, [[parent.leaseId, "slotReturned"]]).concat(state.demand("other", "k", oneCpu, 1, 0)));
    assert.deepEqual(types(state.leaseEvents(parent.workerId, [[parent.leaseId, "wantSlot"]])), ["revoke"]);
    state.leaseEvents(other.workerId, [[other.leaseId, "slotReturned"]]);
    state.leaseEvents(other.workerId, [[other.leaseId, "slotTaken"]]);
    state.leaseEvents(parent.workerId, [[parent.leaseId, "slotTaken"]]);
    assert.deepEqual(state.leaseEvents(parent.workerId, []), []);
  });

  test("(5) leases are asked back when others wait, once, and never for their own queue alone", () => {
    const state = stateWith({ CPU: 1 }, ["w1", "w2"]);
    const { leaseId, workerId } = opened(state.demand("driver", "k", oneCpu, 1, 0));
    assert.deepEqual(state.demand("driver", "k", oneCpu, 2, 0), [], "the same owner and key would only get it again");
    assert.deepEqual(state.demand("other", "k", oneCpu, 1, 0), [{ type: "revoke", leaseId, workerId, onlyIdle: false }]);
    assert.deepEqual(state.demand("third", "k", oneCpu, 1, 0), []);
    assert.equal(opened(state.leaseEvents(workerId, [[leaseId, "closed"]])).ownerId, "driver", "in order of arrival");
  });

  test("(5) an actor's demand for resources asks leases back too", () => {
    const state = stateWith({ CPU: 1 }, ["w1", "w2"]);
    const { leaseId, workerId } = opened(state.demand("driver", "k", oneCpu, 1, 0));
    assert.deepEqual(types(state.placeActor("a", THREAD, toAmounts({ CPU: 1 }), "job")), ["revoke"]);
    assert.deepEqual(types(state.leaseEvents(workerId, [[leaseId, "closed"]])), ["placeActor"]);
  });

  test("(5) for those who wait elsewhere idle leases are asked back, once, where they are what is missing", () => {
    const state = stateWith({ CPU: 2, tape: 1 }, ["w1", "w2", "w3"]);
    const first = opened(state.demand("driver", "k", oneCpu, 1, 0));
    opened(state.demand("driver", "t", shapeOf({ tape: 1 }), 1, 0));
    const wanted = (cpus: number, sharer: string | null = null): WantRecord => ({ resources: toAmounts({ CPU: cpus }), strategy: null, sharer });
    assert.deepEqual(state.wantedElsewhere([wanted(1)]), [], "there is room");
    assert.deepEqual(state.wantedElsewhere([wanted(3)]), [], "it could never be here");
    const second = opened(state.demand("driver", "k", oneCpu, 2, 0));
    const revoked = [first, second].map(({ leaseId, workerId }) => ({ type: "revoke", leaseId, workerId, onlyIdle: true }));
    assert.deepEqual(state.wantedElsewhere([wanted(1, "driver/k")]), [], "its own leases are what it has already");
    assert.deepEqual(state.wantedElsewhere([wanted(1)]), revoked);
    assert.deepEqual(state.wantedElsewhere([wanted(1)]), []);
    assert.deepEqual(types(state.demand("other", "k", oneCpu, 1, 0)), ["revoke", "revoke", "revoke"], "who waits here gets also what is in use");
    assert.equal(opened(state.leaseEvents(first.workerId, [[first.leaseId, "closed"]])).ownerId, "other");
    assert.deepEqual(state.wantedElsewhere([]), []);
  });

  test("(6) a lost worker gives back all that its leases held", () => {
    const state = stateWith({ CPU: 2 }, ["w1", "w2"]);
    const lease = opened(state.demand("driver", "k", oneCpu, 1, 0));
    state.workerLost(lease.workerId);
    assert.deepEqual(state.ledger.available, { CPU: 20_000 });
    assert.deepEqual(state.leaseEvents(lease.workerId, [[lease.leaseId, "slotReturned"]]), [], "late events of it mean nothing");
    assert.deepEqual(state.ledger.available, { CPU: 20_000 });
  });

  test("(6) the wishes of a lost owner end; its leases end with their workers' word", () => {
    const state = stateWith({ CPU: 1 }, ["w1"]);
    const first = opened(state.demand("a", "k", oneCpu, 2, 0));
    state.ownerLost("a");
    assert.deepEqual(state.ledger.available, { CPU: 0 });
    assert.deepEqual(state.leaseEvents("w1", [[first.leaseId, "closed"]]), []);
    assert.deepEqual(state.ledger.available, { CPU: 10_000 });
    assert.equal(state.snapshot().demandsWaiting, 0);
  });

  test("events about leases of another worker are ignored", () => {
    const state = stateWith({ CPU: 1 }, ["w1", "w2"]);
    const lease = opened(state.demand("driver", "k", oneCpu, 1, 0));
    state.leaseEvents(lease.workerId === "w1" ? "w2" : "w1", [[lease.leaseId, "closed"]]);
    assert.equal(state.snapshot().leases, 1);
  });
});

describe("leases: actors and workers", () => {
  test("a worker that is leaving gets no lease and no actor any more, and another is started when one is needed", () => {
    const state = stateWith({ CPU: 2 }, ["w1"]);
    const lease = opened(state.demand("driver", "k", oneCpu, 1, 0));
    assert.deepEqual(state.workerLeaving("w1"), []);
    assert.deepEqual(types(state.leaseEvents("w1", [[lease.leaseId, "closed"]])), []);
    assert.deepEqual(types(state.demand("driver", "k", oneCpu, 2, 0)), ["startWorker"]);
    assert.deepEqual(types(state.demand("w1", "k", oneCpu, 1, 0)), ["startWorker"], "what its own tasks call runs elsewhere, too");
    assert.deepEqual(types(state.placeActor("actor", THREAD, {}, "job")), ["startWorker"]);
    assert.deepEqual(state.stopIdleWorkers(), [], "it ends by itself");
    assert.deepEqual(state.workerLeaving("unknown"), []);
  });

  test("an actor takes a worker for itself and holds what it was given", () => {
    const state = stateWith({ CPU: 2 }, ["w1"]);
    assert.deepEqual(state.placeActor("a", THREAD, toAmounts({ CPU: 1 }), "job"), [{ type: "placeActor", actorId: "a", workerId: "w1" }]);
    assert.deepEqual(state.ledger.available, { CPU: 10_000 });
    assert.deepEqual(types(state.demand("driver", "k", oneCpu, 1, 0)), ["startWorker"], "its worker is not for tasks");
    state.workerLost("w1");
    assert.deepEqual(state.ledger.available, { CPU: 20_000 });
  });

  test("an actor has accelerators of its own until its worker is gone", () => {
    const state = new LeaseState(toAmounts({ GPU: 1 }), { warmWorkersMin: 1, taskWorkersMax: 4 }, "job", { GPU: ["7"] });
    for (const worker of ["w1", "w2", "w3"]) state.workerAdded(worker, THREAD);
    const half = toAmounts({ GPU: 0.5 });
    const placed = [...state.placeActor("a", THREAD, half, "job"), ...state.placeActor("b", THREAD, half, "job"), ...state.placeActor("c", THREAD, half, "job")];
    const workerIds = only(placed, "placeActor").map(({ workerId }) => workerId);
    assert.deepEqual(workerIds.map((workerId) => state.acceleratorsOf(workerId)), [{ GPU: ["7"] }, { GPU: ["7"] }], "the third waits");
    const next = only(state.workerLost(workerIds[0] as string), "placeActor");
    assert.deepEqual(next.map(({ workerId }) => state.acceleratorsOf(workerId)), [{ GPU: ["7"] }]);
  });

  test("an actor that can never be held is refused; one that is not wanted any more is forgotten", () => {
    const state = stateWith({ CPU: 1 });
    const [refused] = only(state.placeActor("a", THREAD, toAmounts({ GPU: 1 }), "job"), "refuseActor");
    assert.equal(refused?.error.kind, "ActorUnschedulableError");
    state.placeActor("b", THREAD, {}, "job");
    assert.deepEqual(state.cancelPlacement("b"), []);
    assert.equal(state.snapshot().actorsWaiting, 0);
    assert.deepEqual(state.workerAdded("w1", THREAD), []);
  });

  test("no more workers are started than there are resources for", () => {
    const state = stateWith({ CPU: 2 });
    assert.deepEqual(types(state.demand("driver", "a", oneCpu, 2, 0)), ["startWorker", "startWorker"]);
    assert.deepEqual(state.demand("driver", "b", oneCpu, 2, 0), [], "the same two processors");
    assert.deepEqual(state.demand("driver", "c", shapeOf({ CPU: 2 }), 5, 0), []);
  });

  test("small tasks may share the machine, each on a worker of its own", () => {
    const state = stateWith({ CPU: 1 });
    assert.equal(state.demand("driver", "k", shapeOf({ CPU: 0.25 }), 10, 0).length, 4);
  });

  test("workers of tasks that take nothing are limited; above the limit they share", () => {
    const state = stateWith({ CPU: 1 });
    const nothing = shapeOf({});
    assert.equal(only(state.demand("driver", "k", nothing, 100, 0), "startWorker").length, 4);
    const leases = ["w1", "w2", "w3", "w4"].flatMap((worker) => only(state.workerAdded(worker, THREAD), "openLease"));
    assert.equal(leases.length, 100);
    const perWorker = new Map<string, number>();
    for (const { workerId } of leases) perWorker.set(workerId, (perWorker.get(workerId) ?? 0) + 1);
    assert.equal(Math.max(...perWorker.values()) <= 97, true);
    assert.deepEqual([...perWorker.keys()].sort(), ["w1", "w2", "w3", "w4"]);
  });

  test("a worker of the other isolation is no worker for it", () => {
    const state = stateWith({ CPU: 1 }, ["w1"]);
    assert.deepEqual(state.demand("driver", "k", shapeOf({ CPU: 1 }, PROCESS), 1, 0), [{ type: "startWorker", kind: PROCESS }]);
    assert.deepEqual(types(state.workerAdded("p1", PROCESS)), ["openLease"]);
  });

  test("a worker that could not start is tried again for what still waits", () => {
    const state = stateWith({ CPU: 1 });
    state.demand("driver", "k", oneCpu, 1, 0);
    assert.deepEqual(types(state.workerStartFailed(THREAD)), ["startWorker"]);
    state.ownerLost("driver");
    assert.deepEqual(state.workerStartFailed(THREAD), []);
  });

  test("a worker that somebody else starts counts as starting", () => {
    const state = stateWith({ CPU: 1 });
    state.workerExpected(THREAD);
    assert.deepEqual(state.demand("driver", "k", oneCpu, 1, 0), []);
    assert.deepEqual(types(state.workerAdded("w1", THREAD)), ["openLease"]);
  });

  test("a worker that was used since the last look is left until it is idle for two", () => {
    const state = stateWith({ slot: 1 }, ["w1"], { warmWorkersMin: 0, taskWorkersMax: 4 });
    assert.deepEqual(state.stopIdleWorkers(), []);
    for (let use = 0; use < 3; use++) {
      const { leaseId } = opened(state.demand("driver", `k${use}`, shapeOf({ slot: 1 }), 1, 0));
      state.leaseEvents("w1", [[leaseId, "closed"]]);
      assert.deepEqual(state.stopIdleWorkers(), [], `use ${use}`);
    }
    assert.deepEqual(types(state.stopIdleWorkers()), ["stopWorker"]);
  });

  test("idle workers beyond the warm ones stay for a minute of looks while there are no more than processors", () => {
    const state = stateWith({ CPU: 3 }, ["w1", "w2", "w3", "w4"], { warmWorkersMin: 1, taskWorkersMax: 4 });
    assert.deepEqual(state.stopIdleWorkers(), []);
    assert.deepEqual(types(state.stopIdleWorkers()), ["stopWorker"], "one more than processors");
    for (let look = 3; look <= 60; look++) assert.deepEqual(state.stopIdleWorkers(), [], `look ${look}`);
    const { leaseId, workerId } = opened(state.demand("driver", "k", oneCpu, 1, 0));
    state.leaseEvents(workerId, [[leaseId, "closed"]]);
    assert.equal(state.areManyIdle(), true);
    const stopped = only(state.stopIdleWorkers(), "stopWorker");
    assert.equal(stopped.length, 2);
    assert.ok(stopped.every((other) => other.workerId !== workerId), "the one that was used stays");
    assert.equal(state.areManyIdle(), false);
  });

  test("the pool is kept warm, and idle workers beyond that and the processors are stopped", () => {
    const state = stateWith({ CPU: 2 }, [], { warmWorkersMin: 2, taskWorkersMax: 4 });
    assert.equal(state.keepWarm(THREAD).length, 2);
    assert.equal(state.keepWarm(THREAD).length, 0);
    for (const worker of ["w1", "w2", "w3", "w4"]) state.workerAdded(worker, THREAD);
    const busy = opened(state.demand("driver", "k", oneCpu, 1, 0));
    assert.deepEqual(state.stopIdleWorkers(), [], "they may have been busy a moment ago");
    assert.equal(state.areManyIdle(), true);
    const stopped = only(state.stopIdleWorkers(), "stopWorker");
    assert.equal(state.areManyIdle(), false);
    assert.equal(stopped.length, 1);
    assert.ok(stopped[0]?.workerId !== busy.workerId);
    assert.deepEqual(state.stopIdleWorkers(), [], "a worker is stopped once");
    const next = opened(state.demand("driver", "k", oneCpu, 2, 0));
    assert.ok(next.workerId !== stopped[0]?.workerId, "and gets no lease any more");
  });
});

describe("bundles on a node that is alone", () => {
  const inGroup = (groupId: string): LeaseShape => ({ ...oneCpu, bundle: { groupId, bundleIndex: 0, capturesChildren: false } });
  const alone = (workers: readonly string[]): LeaseState => stateWith({ CPU: 3 }, workers, { warmWorkersMin: 1, taskWorkersMax: 4, isAlone: true });
  const bundle = [[0, toAmounts({ CPU: 1 })]] as const;

  test("stand among its resources when tasks ask for them, before or after they are there", () => {
    const state = alone(["w1", "w2"]);
    for (const groupId of ["early", "late", "unused"]) state.prepareBundles(groupId, 1, bundle, false);
    assert.deepEqual(state.demand("driver", "early", inGroup("early"), 1, 0), []);
    assert.deepEqual(types(state.commitBundles("early", 1)), ["bundlesCommitted", "openLease"]);
    assert.deepEqual(types([...state.commitBundles("late", 1), ...state.commitBundles("unused", 1)]), ["bundlesCommitted", "bundlesCommitted"]);
    assert.deepEqual(types(state.demand("driver", "late", inGroup("late"), 1, 0)), ["openLease"]);
    assert.equal(Object.keys(state.ledger.totals).some((name) => name.includes("unused")), false);
    assert.deepEqual(types(state.endBundles("unused", null)), ["bundlesReturned"]);
    assert.equal(state.ledger.available["CPU"], 10_000);
  });

  test("stand there also for actors", () => {
    const state = alone(["w1", "w2"]);
    for (const groupId of ["early", "late"]) state.prepareBundles(groupId, 1, bundle, false);
    state.commitBundles("late", 1);
    const place = (groupId: string) => types(state.placeActor(groupId, THREAD, toAmounts({ CPU: 1 }), "job", { groupId, bundleIndex: -1, capturesChildren: false }));
    assert.deepEqual([place("early"), place("late")], [[], ["placeActor"]]);
    assert.deepEqual(types(state.commitBundles("early", 1)), ["bundlesCommitted", "placeActor"]);
  });
});

describe("an actor that is withdrawn", () => {
  test("is declined while it waits, and leaves its room to others", () => {
    const state = stateWith({ CPU: 2 }, ["w1", "w2"]);
    const { leaseId } = opened(state.demand("driver", "k", oneCpu, 1, 0));
    state.placeActor("a", THREAD, toAmounts({ CPU: 2 }), "job");
    assert.deepEqual(state.withdrawActor("a"), [{ type: "declineActor", actorId: "a" }]);
    assert.deepEqual(types(state.leaseEvents("w1", [[leaseId, "closed"]])), [], "it is not placed then");
    assert.deepEqual(state.withdrawActor("a"), [], "nor declined twice");
  });

  test("stays where it is once it was placed", () => {
    const state = stateWith({ CPU: 1 }, ["w1"]);
    assert.deepEqual(types(state.placeActor("a", THREAD, toAmounts({ CPU: 1 }), "job")), ["placeActor"]);
    assert.deepEqual(state.withdrawActor("a"), []);
    assert.deepEqual(state.ledger.available, { CPU: 0 });
  });
});

describe("a node that drains", () => {
  test("ends its leases with what has started, stops who is idle, and opens nothing", () => {
    const state = stateWith({ CPU: 3 }, ["w1", "w2"]);
    const { leaseId } = opened(state.demand("driver", "k", oneCpu, 1, 0));
    const drains = state.drain();
    assert.deepEqual(only(drains, "endLease"), [{ type: "endLease", leaseId, workerId: "w1" }]);
    assert.deepEqual(only(drains, "stopWorker"), [{ type: "stopWorker", workerId: "w2" }]);
    assert.deepEqual([state.demand("driver", "k", oneCpu, 2, 0), state.keepWarm(THREAD)], [[], []]);
    assert.deepEqual(state.prepareBundles("g", 1, [[0, toAmounts({ CPU: 1 })]], true), [{ type: "bundlesRefused", groupId: "g", attempt: 1 }]);
    state.workerLost("w2");
    assert.equal(state.isDrained, false);
    assert.deepEqual(types(state.leaseEvents("w1", [[leaseId, "closed"]])), ["stopWorker"]);
    state.workerLost("w1");
    assert.equal(state.isDrained, true);
  });

  test("declines actors, also those that wait for a worker already", () => {
    const state = stateWith({ CPU: 1 });
    state.placeActor("a", THREAD, {}, "job");
    assert.deepEqual(state.drain(), [{ type: "declineActor", actorId: "a" }]);
    assert.deepEqual(state.placeActor("b", THREAD, {}, "job"), [{ type: "declineActor", actorId: "b" }]);
    assert.deepEqual(types(state.workerAdded("w1", THREAD)), ["stopWorker"], "it was on its way");
  });

  test("a worker that others need is asked again, and not at every event", () => {
    const state = stateWith({ CPU: 1 }, ["w1"]);
    assert.deepEqual(types(state.drain()), ["stopWorker"]);
    assert.deepEqual(state.stopRefused("w1"), []);
    assert.deepEqual(state.leaseEvents("w1", []), []);
    assert.deepEqual(types(state.stopIdleWorkers()), ["stopWorker"]);
  });

  test("tasks that wait go on where they are", () => {
    const state = stateWith({ CPU: 1 }, ["w1"]);
    const { leaseId } = opened(state.demand("driver", "k", oneCpu, 1, 0));
    state.leaseEvents("w1", [[leaseId, "slotReturned"]]);
    state.drain();
    state.leaseEvents("w1", [[leaseId, "slotTaken"]]);
    assert.deepEqual([state.ledger.available, state.isDrained], [{ CPU: 0 }, false]);
  });
});

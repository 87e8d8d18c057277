import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { toAmounts } from "../base/mod.ts";
import { oneCpu, only, opened, shapeOf, THREAD, types } from "./fixtures/lease-instructions.ts";
import { LeaseState } from "./lease-state.ts";

/** One that "driver" has started, of the job "job", and that "guest" has joined. */
function twoJobs(workers: readonly string[]): LeaseState {
  const state = new LeaseState(toAmounts({ CPU: 4 }), { warmWorkersMin: 1, taskWorkersMax: 4 }, "job");
  for (const worker of workers) assert.deepEqual(state.workerAdded(worker, THREAD), []);
  state.ownerSeen("guest", "guest's job");
  return state;
}

describe("leases: several jobs on one machine", () => {
  test("a worker belongs to the job that uses it first, and is told of one that did not start it", () => {
    const state = twoJobs(["w1", "w2"]);
    assert.deepEqual(types(state.demand("driver", "k", oneCpu, 1, 0)), ["openLease"]);
    const [assigned, lease] = state.demand("guest", "k", oneCpu, 1, 0);
    assert.deepEqual(assigned, { type: "assignJob", workerId: "w2", jobId: "guest's job" });
    assert.equal(lease?.type === "openLease" && lease.workerId, "w2");
    assert.deepEqual([state.jobOf("w1"), state.jobOf("w2"), state.jobOf("guest"), state.jobOf("driver")], ["job", "guest's job", "guest's job", "job"]);
  });

  test("a worker that has worked for one job is not given to another, though it is idle: another one starts", () => {
    const state = twoJobs(["w1"]);
    const lease = opened(state.demand("driver", "k", oneCpu, 1, 0));
    state.leaseEvents("w1", [[lease.leaseId, "closed"]]);
    assert.deepEqual(types(state.demand("guest", "k", oneCpu, 1, 0)), ["startWorker"]);
    assert.deepEqual(types(state.workerAdded("w2", THREAD)), ["assignJob", "openLease"]);
    assert.deepEqual(types(state.placeActor("a", THREAD, {}, "guest's job")), ["startWorker"]);
    assert.deepEqual(types(state.workerAdded("w3", THREAD)), ["assignJob", "placeActor"]);
    assert.equal(opened(state.demand("driver", "k", oneCpu, 2, 0)).workerId, "w1");
  });

  test("a worker that is started for a job is used by no other, and ends with it, also if it comes too late", () => {
    const state = twoJobs([]);
    const meant = { ...THREAD, jobId: "guest's job" };
    assert.deepEqual(types(state.demand("guest", "k", shapeOf({ CPU: 1 }, meant), 1, 0)), ["startWorker"]);
    assert.deepEqual(types(state.demand("driver", "k", oneCpu, 1, 0)), ["startWorker"]);
    assert.deepEqual(types(state.workerAdded("w1", meant)), ["assignJob", "openLease"]);
    assert.deepEqual(types(state.demand("guest", "k", shapeOf({ CPU: 1 }, meant), 2, 0)), ["startWorker"]);
    state.driverLost("guest");
    assert.deepEqual(state.workerAdded("w2", meant), [{ type: "stopWorker", workerId: "w2" }]);
  });

  test("what a task of a job asks for is of that job", () => {
    const state = twoJobs(["w1", "w2", "w3"]);
    assert.equal(opened(state.demand("guest", "k", oneCpu, 1, 0)).workerId, "w1");
    assert.deepEqual(types(state.demand("w1", "nested", oneCpu, 1, 0)), ["assignJob", "openLease"]);
  });

  test("each job may have as many workers for tasks that take nothing", () => {
    const nothing = shapeOf({});
    const state = twoJobs(["w1", "w2", "w3", "w4"]);
    assert.equal(only(state.demand("driver", "k", nothing, 10, 0), "openLease").length, 10);
    assert.deepEqual(types(state.demand("guest", "k", nothing, 10, 0)), ["startWorker", "startWorker", "startWorker", "startWorker"]);
    assert.deepEqual(types(state.workerAdded("w5", THREAD)), ["assignJob", "openLease"]);
  });

  test("when a driver is lost, all workers that do what descends from it end, whoever has started that, and whether it is waited for", () => {
    const state = twoJobs(["w1", "w2", "w3", "w4", "w5", "w6"]);
    assert.equal(opened(state.demand("driver", "k", oneCpu, 1, 0)).workerId, "w1");
    const start = opened(state.demand("guest", "k", oneCpu, 1, 0));
    assert.equal(start.workerId, "w2");
    assert.equal(opened(state.demand("w2", "background", oneCpu, 1, 0)).workerId, "w3");
    state.leaseEvents("w2", [[start.leaseId, "closed"]]);
    assert.equal(opened(state.demand("w3", "background of background", oneCpu, 1, 0)).workerId, "w2", "each works for the other");
    const orphaning = opened(state.demand("w3", "k", oneCpu, 1, 0));
    assert.equal(orphaning.workerId, "w4");
    const idle = opened(state.demand("guest", "other", shapeOf({}), 1, 0));
    assert.equal(idle.workerId, "w5");
    state.leaseEvents("w5", [[idle.leaseId, "closed"]]);
    state.demand("w2", "never", shapeOf({ CPU: 4 }), 1, 0);
    assert.deepEqual(only(state.driverLost("guest"), "endWorker").map(({ workerId }) => workerId), ["w2", "w3", "w4", "w5"]);
    for (const workerId of ["w2", "w3", "w4", "w5"]) state.workerLost(workerId);
    assert.deepEqual(state.snapshot(), { leases: 1, workers: 2, demandsWaiting: 0, actorsWaiting: 0 });
    assert.equal(state.ledger.available["CPU"], 3 * 10_000);
  });

  test("also one that runs what it has started itself, while it waited for something else", () => {
    const state = twoJobs(["w1"]);
    const start = opened(state.demand("guest", "k", oneCpu, 1, 0));
    state.leaseEvents("w1", [[start.leaseId, "slotReturned"]]);
    assert.equal(opened(state.demand("w1", "background", oneCpu, 1, 0)).workerId, "w1");
    state.leaseEvents("w1", [[start.leaseId, "closed"]]);
    assert.deepEqual(only(state.driverLost("guest"), "endWorker"), [{ type: "endWorker", workerId: "w1" }]);
  });

  test("what a far worker has asked for ends with the program of that, which is heard of first", () => {
    const state = twoJobs(["w1", "w2"]);
    state.ownerSeen("far worker", "guest's job", "guest");
    assert.equal(opened(state.demand("far worker", "k", oneCpu, 1, 0)).workerId, "w1");
    state.demand("far worker", "never", shapeOf({ CPU: 4 }), 1, 0);
    assert.deepEqual(only(state.driverLost("guest"), "endWorker"), [{ type: "endWorker", workerId: "w1" }]);
    assert.equal(state.snapshot().demandsWaiting, 0);
  });

  test("a detached actor of a job whose driver is gone goes on, and may have tasks run; their workers do not stay warm", () => {
    const state = twoJobs(["w1", "w2"]);
    assert.deepEqual(types(state.placeActor("a", THREAD, {}, "guest's job")), ["assignJob", "placeActor"]);
    assert.deepEqual(state.driverLost("guest"), []);
    const lease = opened(state.demand("w1", "k", oneCpu, 1, 0));
    assert.equal(lease.workerId, "w2");
    state.leaseEvents("w2", [[lease.leaseId, "closed"]]);
    assert.deepEqual(state.stopIdleWorkers(), [{ type: "stopWorker", workerId: "w2" }]);
  });

  test("what a detached actor has had started has workers of its own, and ends with it, however deep; actors end with their owners", () => {
    const state = twoJobs(["w1", "w2", "w3", "w4", "w5"]);
    assert.equal(opened(state.demand("guest", "k", oneCpu, 1, 0)).workerId, "w1");
    state.placeActor("a", THREAD, {}, "guest's job");
    assert.equal(opened(state.demand("w2", "k", oneCpu, 1, 0)).workerId, "w3");
    assert.equal(opened(state.demand("w3", "background", oneCpu, 1, 0)).workerId, "w4");
    assert.equal(state.rootOf("w4"), "w2");
    assert.deepEqual(only(state.placeActor("its own", THREAD, {}, "guest's job", null, false, "w2"), "placeActor").map(({ workerId }) => workerId), ["w5"]);
    assert.equal(state.rootOf("w5"), "w2");
    assert.deepEqual(only(state.driverLost("guest"), "endWorker"), [{ type: "endWorker", workerId: "w1" }]);
    state.workerLost("w1");
    assert.deepEqual(only(state.workerLost("w3"), "endWorker"), [], "an owner in between");
    assert.deepEqual(only(state.workerLost("w2"), "endWorker"), [{ type: "endWorker", workerId: "w4" }]);
  });

  test("a worker that was used for a program takes no detached actor of it: what it has left there would go on with that", () => {
    const state = twoJobs(["w1"]);
    const lease = opened(state.demand("guest", "k", oneCpu, 1, 0));
    state.leaseEvents("w1", [[lease.leaseId, "closed"]]);
    assert.deepEqual(types(state.placeActor("a", THREAD, {}, "guest's job")), ["startWorker"]);
    assert.deepEqual(types(state.placeActor("b", THREAD, {}, "guest's job", null, false, "guest")), ["placeActor"]);
  });

  test("the jobs of thousands of drivers that are gone are forgotten, oldest first, but for those that still have workers", () => {
    const state = twoJobs(["w1", "w2"]);
    state.placeActor("a", THREAD, {}, "guest's job");
    state.driverLost("guest");
    for (let guest = 0; guest < 3_000; guest++) {
      state.ownerSeen(`guest-${guest}`, `job-${guest}`);
      state.driverLost(`guest-${guest}`);
    }
    const isStopped = (jobId: string): boolean => state.workerAdded(`late of ${jobId}`, { ...THREAD, jobId }).some(({ type }) => type === "stopWorker");
    assert.deepEqual([isStopped("job-2999"), isStopped("job-0")], [true, false]);
    const lease = opened(state.demand("w1", "k", oneCpu, 1, 0));
    state.leaseEvents(lease.workerId, [[lease.leaseId, "closed"]]);
    assert.ok(only(state.stopIdleWorkers(), "stopWorker").some(({ workerId }) => workerId === lease.workerId));
  });
});

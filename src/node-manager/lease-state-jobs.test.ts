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

  test("when a driver is lost, workers that run its tasks end, and those that run tasks of these; idle ones are let go", () => {
    const state = twoJobs(["w1", "w2", "w3", "w4", "w5"]);
    assert.equal(opened(state.demand("driver", "k", oneCpu, 1, 0)).workerId, "w1");
    assert.equal(opened(state.demand("guest", "k", oneCpu, 1, 0)).workerId, "w2");
    assert.equal(opened(state.demand("w2", "nested", oneCpu, 1, 0)).workerId, "w3");
    const idle = opened(state.demand("guest", "other", oneCpu, 1, 0));
    state.leaseEvents(idle.workerId, [[idle.leaseId, "closed"]]);
    state.demand("guest", "never", shapeOf({ CPU: 4 }), 1, 0);
    assert.deepEqual(state.driverLost("guest"), [{ type: "endWorker", workerId: "w2" }, { type: "stopWorker", workerId: idle.workerId }]);
    assert.deepEqual(only(state.workerLost("w2"), "endWorker"), [{ type: "endWorker", workerId: "w3" }]);
    assert.deepEqual(only(state.workerLost("w3"), "endWorker"), []);
    state.workerLost(idle.workerId);
    assert.deepEqual(state.snapshot(), { leases: 1, workers: 2, demandsWaiting: 0, actorsWaiting: 0 });
    assert.equal(state.ledger.available["CPU"], 3 * 10_000);
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

  test("an idle worker of a job whose driver is gone that only awaits what it has called ends, and with it what it waits for", () => {
    const state = twoJobs(["w1", "w2", "w3"]);
    const lease = opened(state.demand("guest", "k", oneCpu, 1, 0));
    assert.equal(lease.workerId, "w1");
    assert.equal(opened(state.demand("w1", "background", oneCpu, 1, 0)).workerId, "w2");
    state.leaseEvents("w1", [[lease.leaseId, "closed"]]);
    assert.deepEqual(state.stopRefused("w1", false), [], "its program is there");
    assert.deepEqual(state.driverLost("guest"), [{ type: "stopWorker", workerId: "w1" }]);
    assert.deepEqual(state.stopRefused("w1", true), [], "others still use what it owns");
    assert.deepEqual(only(state.stopIdleWorkers(), "stopWorker").map(({ workerId }) => workerId), ["w1"]);
    assert.deepEqual(state.stopRefused("w1", false), [{ type: "endWorker", workerId: "w1" }]);
    assert.deepEqual(only(state.workerLost("w1"), "endWorker"), [{ type: "endWorker", workerId: "w2" }]);
  });

  test("one that awaits something for a detached actor stays as long as that does", () => {
    const state = twoJobs(["w1", "w2"]);
    state.placeActor("a", THREAD, {}, "guest's job");
    state.driverLost("guest");
    const lease = opened(state.demand("w1", "k", oneCpu, 1, 0));
    state.leaseEvents("w2", [[lease.leaseId, "closed"]]);
    assert.deepEqual(only(state.stopIdleWorkers(), "stopWorker").length, 1);
    assert.deepEqual(state.stopRefused("w2", false), []);
    state.workerLost("w1");
    assert.deepEqual(only(state.stopIdleWorkers(), "stopWorker").length, 1);
    assert.deepEqual(state.stopRefused("w2", false), [{ type: "endWorker", workerId: "w2" }]);
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

import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { toAmounts } from "../base/mod.ts";
import { inEnv, only, opened, shapeOf, THREAD, types } from "./fixtures/lease-instructions.ts";
import { LeaseState } from "./lease-state.ts";

const A = inEnv("a");
const B = inEnv("b");

function stateWith(workers: number, cpus = 4): LeaseState {
  const state = new LeaseState(toAmounts({ CPU: cpus }), { warmWorkersMin: 2, taskWorkersMax: 4 }, "job");
  for (let index = 1; index <= workers; index++) state.workerAdded(`w${index}`, THREAD);
  return state;
}

/** Runs one task of a kind that has no worker yet, on a new one. */
function runOn(state: LeaseState, workerId: string, kind: typeof A): ReturnType<LeaseState["leaseEvents"]> {
  const started = state.demand("driver", `of ${workerId}`, shapeOf({ CPU: 1 }, kind), 1, 0);
  const { leaseId } = opened(state.workerAdded(workerId, kind));
  state.leaseEvents(workerId, [[leaseId, "closed"]]);
  return started;
}

describe("leases: kinds of workers", () => {
  test("an idle worker of another kind does not serve; one of the same kind is used again", () => {
    const state = stateWith(1);
    assert.deepEqual(runOn(state, "a1", A), [{ type: "startWorker", kind: A }]);
    assert.equal(opened(state.demand("driver", "again", shapeOf({ CPU: 1 }, structuredClone(A)), 1, 0)).workerId, "a1");
    assert.deepEqual(types(state.demand("driver", "b", shapeOf({ CPU: 1 }, B), 1, 0)), ["startWorker"]);
    assert.deepEqual(types(state.demand("driver", "limited", shapeOf({ CPU: 1 }, { ...THREAD, memoryLimitBytes: 1 }), 1, 0)), ["startWorker"]);
    assert.equal(opened(state.demand("driver", "plain", shapeOf({ CPU: 1 }), 1, 0)).workerId, "w1");
  });

  test("actors too get a worker of their kind", () => {
    const state = stateWith(1);
    assert.deepEqual(state.placeActor("actor", A, {}, "job"), [{ type: "startWorker", kind: A }]);
    assert.deepEqual(state.workerAdded("b1", B), []);
    assert.deepEqual(only(state.workerAdded("a1", A), "placeActor"), [{ type: "placeActor", actorId: "actor", workerId: "a1" }]);
  });

  test("a task that waits runs what it waits for on its own worker only if that is of the kind", () => {
    const state = stateWith(1, 1);
    const parent = opened(state.demand("driver", "k", shapeOf({ CPU: 1 }), 1, 0));
    state.demand("w1", "nested", shapeOf({ CPU: 1 }, A), 1, 0);
    assert.deepEqual(types(state.leaseEvents("w1", [[parent.leaseId, "slotReturned"]])), ["startWorker"]);
  });

  test("idle workers make room when one of another kind starts: first the one not used for longest, and not below the warm ones", () => {
    const state = stateWith(2);
    const plain = opened(state.demand("driver", "k", shapeOf({ CPU: 1 }), 1, 0));
    state.leaseEvents(plain.workerId, [[plain.leaseId, "closed"]]);
    assert.deepEqual(types(runOn(state, "a1", A)), ["startWorker"], "two were idle, which may stay");
    assert.deepEqual(runOn(state, "b1", B), [{ type: "startWorker", kind: B }, { type: "stopWorker", workerId: "w2" }]);
    assert.deepEqual(only(state.demand("driver", "new", shapeOf({ CPU: 1 }, inEnv("c")), 1, 0), "stopWorker"), [{ type: "stopWorker", workerId: "w1" }]);
  });

  test("however many kinds there are in a row, few idle workers stay", () => {
    const state = stateWith(0);
    for (let index = 0; index < 50; index++) for (const { workerId } of only(runOn(state, `e${index}`, inEnv(String(index))), "stopWorker")) state.workerLost(workerId);
    assert.equal(state.snapshot().workers <= 3, true);
  });

  test("workers of any kind count as warm", () => {
    const state = stateWith(1);
    runOn(state, "a1", A);
    assert.deepEqual(state.keepWarm(THREAD), []);
    state.workerLost("w1");
    assert.deepEqual(state.keepWarm(THREAD), [{ type: "startWorker", kind: THREAD }]);
  });

  test("where none of a kind can be had, all that wait for one are told, whoever asks again is tried again, and others go on", () => {
    const state = stateWith(1);
    const error = { kind: "RuntimeEnvSetupError", message: "cannot run", subjectId: null } as const;
    state.demand("driver", "of a", shapeOf({ CPU: 1 }, A), 2, 0);
    state.demand("driver", "of b", shapeOf({ CPU: 1 }, B), 1, 0);
    state.placeActor("actor", A, {}, "job");
    const refused = state.kindRefused(A, error);
    assert.deepEqual(refused.filter(({ type }) => type.startsWith("refuse")), [
      { type: "refuse", ownerId: "driver", key: "of a", error },
      { type: "refuseActor", actorId: "actor", error: { ...error, subjectId: "actor" } },
    ]);
    assert.deepEqual(state.snapshot(), { leases: 0, workers: 1, demandsWaiting: 1, actorsWaiting: 0 });
    for (let others = 0; others < 2; others++) assert.deepEqual(only(state.kindRefused(A, error), "startWorker"), []);
    assert.deepEqual(state.demand("driver", "of a", shapeOf({ CPU: 1 }, A), 1, 0), [{ type: "startWorker", kind: A }]);
    assert.equal(opened(state.workerAdded("b1", B)).key, "of b");
  });

  test("leases that were granted before count as wanted when a kind is refused", () => {
    const state = stateWith(0);
    state.demand("driver", "k", shapeOf({ CPU: 1 }, A), 2, 0);
    opened(state.workerAdded("a1", A));
    assert.deepEqual(types(state.kindRefused(A, { kind: "RuntimeEnvSetupError", message: "no", subjectId: null })), ["refuse"]);
    assert.deepEqual(state.demand("driver", "k", shapeOf({ CPU: 1 }, A), 1, 0), []);
    assert.deepEqual(types(state.demand("driver", "k", shapeOf({ CPU: 1 }, A), 2, 0)), ["startWorker"]);
  });

  test("workers that take nothing are limited for each kind", () => {
    const state = stateWith(0);
    for (const kind of [THREAD, A]) assert.equal(only(state.demand("driver", JSON.stringify(kind), shapeOf({}, kind), 9, 0), "startWorker").length, 4);
  });
});

import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { toAmounts } from "../base/mod.ts";
import { opened, only, shapeOf, THREAD } from "./fixtures/lease-instructions.ts";
import { LeaseState } from "./lease-state.ts";

function stateWith(quantities: Record<string, number>, gpuIds: readonly string[] = []): LeaseState {
  const state = new LeaseState(toAmounts(quantities), { warmWorkersMin: 1, taskWorkersMax: 8 }, "job", { GPU: gpuIds });
  for (const worker of ["w1", "w2", "w3", "w4"]) state.workerAdded(worker, THREAD);
  return state;
}
const place = (state: LeaseState, actorId: string, quantities: Record<string, number>): string | undefined => only(state.placeActor(actorId, THREAD, toAmounts(quantities), "job"), "placeActor")[0]?.workerId;

describe("who is held up", () => {
  test("is nobody while tasks run that will end", () => {
    const state = stateWith({ CPU: 1 });
    state.demand("driver", "k", shapeOf({ CPU: 1 }), 3, 0);
    state.demand("other", "k", shapeOf({ CPU: 1 }), 1, 0);
    assert.equal(state.isAnybodyStarved, true);
    assert.deepEqual(state.heldUp("the cluster"), []);
  });

  test("are tasks and actors that wait for what actors hold", () => {
    const state = stateWith({ CPU: 2, licence: 1 });
    place(state, "a", { CPU: 1.5, licence: 1 });
    state.demand("driver", "k", shapeOf({ CPU: 1 }), 3, 0);
    place(state, "b", { licence: 0.5 });
    assert.deepEqual(state.heldUp("the cluster"), [
      { wanted: toAmounts({ CPU: 1 }), task: { ownerId: "driver", key: "k" }, actorId: null, reason: "1 CPU, of which the cluster has 2 and actors hold 1.5" },
      { wanted: toAmounts({ licence: 0.5 }), task: null, actorId: "b", reason: "0.5 licence, of which the cluster has 1 and actors hold 1" },
    ]);
  });

  test("are tasks that wait for what waiting tasks keep", () => {
    const state = stateWith({ CPU: 2, licence: 2 });
    const shape = shapeOf({ CPU: 1, licence: 1 });
    place(state, "a", { licence: 1 });
    const parent = opened(state.demand("driver", "k", shape, 1, 0));
    state.demand(parent.workerId, "k", shape, 1, 0);
    assert.deepEqual(state.heldUp("the cluster"), [], "it may end");
    state.leaseEvents(parent.workerId, [[parent.leaseId, "slotReturned"]]);
    assert.deepEqual(state.heldUp("the cluster").map(({ task, reason }) => [task?.ownerId, reason]), [[parent.workerId, "1 licence, of which the cluster has 2 and actors hold 1 and tasks that wait for objects keep 1"]]);
  });

  test("is who waits for a whole accelerator where actors have a part of each", () => {
    const state = stateWith({ GPU: 2 }, ["0", "1"]);
    place(state, "a", { GPU: 0.6 });
    place(state, "b", { GPU: 0.6 });
    state.demand("driver", "k", shapeOf({ GPU: 0.8 }), 1, 0);
    assert.deepEqual(state.heldUp("the cluster").map(({ reason }) => reason), ["0.8 GPU, of which the cluster has 2 and actors hold 1.2"]);
  });

  test("is who waits for what is set aside for placement groups", () => {
    const state = stateWith({ CPU: 2 });
    state.prepareBundles("group", 1, [[0, toAmounts({ CPU: 1 })]], false);
    state.commitBundles("group", 1);
    place(state, "a", { CPU: 1 });
    state.demand("driver", "k", shapeOf({ CPU: 1 }), 1, 0);
    assert.deepEqual(state.heldUp("node n").map(({ reason }) => reason), ["1 CPU, of which node n has 2 and actors hold 1 and placement groups have set aside 1"]);
  });
});

import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import type { LeaseEvent } from "../protocol/mod.ts";
import type { Execution } from "./execution.ts";
import { HeldLease, TIME_SLICE_MS } from "./held-lease.ts";

const execution = {} as Execution;

function leaseWith(queued = 0): { lease: HeldLease; events: LeaseEvent[] } {
  const events: LeaseEvent[] = [];
  const lease = new HeldLease(5, "owner", (leaseId, event) => {
    assert.equal(leaseId, 5);
    events.push(event);
  });
  for (let index = 0; index < queued; index++) lease.queue.push(execution);
  return { lease, events };
}
function openLeaseWith(queued = 0): ReturnType<typeof leaseWith> {
  const made = leaseWith(queued);
  made.lease.opened({ CPU: 10_000 }, null);
  return made;
}

describe("a lease at its worker", () => {
  test("runs nothing before the node manager's word has arrived, whatever came from the owner first", () => {
    const { lease, events } = leaseWith(1);
    assert.equal(lease.canRun(), false);
    lease.wantSlotIfNeeded();
    assert.deepEqual(events, []);
    lease.opened({ CPU: 10_000 }, null);
    assert.equal(lease.canRun(), true);
    assert.deepEqual(lease.resources, { CPU: 10_000 });
  });

  test("runs one task a slot, and keeps the slot for the next one", () => {
    const { lease, events } = openLeaseWith();
    lease.taskStarted();
    assert.equal(lease.canRun(), false);
    lease.taskEnded();
    assert.equal(lease.canRun(), true);
    assert.deepEqual(events, []);
  });

  test("a task that waits leaves its slot to the next task of the same lease", () => {
    const { lease, events } = openLeaseWith(1);
    lease.taskStarted();
    lease.taskBlocked();
    assert.equal(lease.canRun(), true);
    lease.returnUnusedSlots();
    assert.deepEqual(events, [], "there is work for it");
  });

  test("without such a task the slot goes back; the task takes one again when it goes on", () => {
    const { lease, events } = openLeaseWith();
    lease.taskStarted();
    lease.taskBlocked();
    lease.returnUnusedSlots();
    assert.deepEqual(events, ["slotReturned"]);
    assert.equal(lease.canRun(), false);
    lease.taskUnblocked();
    assert.deepEqual(events, ["slotReturned", "slotTaken"]);
    lease.taskEnded();
    lease.returnUnusedSlots();
    assert.deepEqual(events, ["slotReturned", "slotTaken"], "a lease without waiting tasks keeps its one slot");
  });

  test("a task that ends although what it has begun to wait for is not there holds nothing any more", () => {
    const { lease, events } = openLeaseWith();
    lease.taskStarted();
    lease.taskBlocked();
    lease.taskEnded(true);
    assert.deepEqual([lease.running, lease.blocked, lease.slots], [0, 0, 1]);
    lease.taskStarted();
    assert.equal(lease.canRun(), false);
    lease.taskEnded();
    lease.isEnding = true;
    assert.ok(lease.mustYield(0));
    lease.yieldSlots();
    assert.deepEqual(events, ["closed"]);
  });

  test("a task that goes on while another runs takes a slot of its own, and one is given back when either ends", () => {
    const { lease, events } = openLeaseWith(1);
    lease.taskStarted();
    lease.taskBlocked();
    lease.queue.shift();
    lease.taskStarted();
    lease.taskUnblocked();
    assert.equal(lease.running, 2);
    assert.deepEqual(events, ["slotTaken"]);
    lease.taskEnded();
    assert.deepEqual(events, ["slotTaken", "slotReturned"]);
    lease.taskEnded();
    assert.deepEqual(events, ["slotTaken", "slotReturned"]);
    assert.equal(lease.slots, 1);
  });

  test("asks for a slot once, when there is work and none is left", () => {
    const { lease, events } = openLeaseWith();
    lease.taskStarted();
    lease.taskBlocked();
    lease.returnUnusedSlots();
    lease.wantSlotIfNeeded();
    assert.deepEqual(events, ["slotReturned"], "no work");
    lease.queue.push(execution);
    lease.wantSlotIfNeeded();
    lease.wantSlotIfNeeded();
    assert.deepEqual(events, ["slotReturned", "wantSlot"]);
    lease.slotGranted();
    assert.equal(lease.canRun(), true);
    lease.queue.shift();
    lease.taskStarted();
    lease.taskEnded();
    lease.returnUnusedSlots();
    lease.queue.push(execution);
    lease.wantSlotIfNeeded();
    assert.deepEqual(events, ["slotReturned", "wantSlot", "slotReturned", "wantSlot"]);
  });

  test("a slot that comes when its task has run already, on the slot of one that went on, goes back while others wait", () => {
    const { lease, events } = openLeaseWith();
    for (let task = 0; task < 2; task++) {
      lease.taskStarted();
      lease.taskBlocked();
    }
    lease.returnUnusedSlots();
    lease.queue.push(execution);
    lease.wantSlotIfNeeded();
    lease.taskUnblocked();
    lease.taskEnded();
    lease.queue.shift();
    lease.taskStarted();
    lease.taskEnded();
    lease.returnUnusedSlots();
    events.length = 0;
    lease.slotGranted();
    lease.returnUnusedSlots();
    assert.deepEqual(events, ["slotReturned"]);
    assert.equal(lease.slots, 0);
  });

  test("a lease that was never used may have its first task on the way: it has its time slice", () => {
    const { lease } = openLeaseWith();
    lease.revoke(100);
    assert.equal(lease.mustYield(100 + TIME_SLICE_MS - 1), false);
    assert.equal(lease.mustYield(100 + TIME_SLICE_MS), true);
  });

  test("a used and idle lease that is asked for ends at once", () => {
    const { lease, events } = openLeaseWith();
    lease.taskStarted();
    lease.taskEnded();
    assert.equal(lease.mustYield(0), false);
    lease.revoke(0);
    assert.equal(lease.mustYield(0), true);
    lease.yieldSlots();
    assert.deepEqual(events, ["closed"]);
    assert.equal(lease.isClosed, true);
    lease.close();
    assert.deepEqual(events, ["closed"], "once");
    assert.equal(lease.mustYield(1_000), false);
  });

  test("one that is asked for only when it is idle works on while there is anything to run", () => {
    const { lease, events } = openLeaseWith(1);
    lease.recall(0);
    assert.equal(lease.mustYield(1_000), false);
    assert.equal(lease.mustReject(1_000), false);
    lease.queue.shift();
    lease.taskStarted();
    assert.equal(lease.mustYield(1_000), false);
    lease.taskEnded();
    assert.equal(lease.mustYield(0), true, "idle, at once");
    lease.yieldSlots();
    assert.deepEqual(events, ["closed"]);
    const unused = openLeaseWith().lease;
    unused.recall(100);
    unused.recall(110);
    assert.deepEqual([unused.mustYield(100 + TIME_SLICE_MS - 1), unused.mustYield(100 + TIME_SLICE_MS)], [false, true], "its first task may be on the way");
  });

  test("a busy one has its time slice first, counted from the first time of asking", () => {
    const { lease, events } = openLeaseWith(2);
    lease.taskStarted();
    lease.revoke(100);
    lease.revoke(110);
    assert.equal(lease.mustYield(100 + TIME_SLICE_MS), false, "never while a task runs");
    assert.equal(lease.mustReject(100 + TIME_SLICE_MS - 1), false);
    assert.equal(lease.mustReject(100 + TIME_SLICE_MS), true, "but what waits behind it goes elsewhere");
    lease.taskEnded();
    assert.equal(lease.mustYield(100 + TIME_SLICE_MS - 1), false);
    assert.equal(lease.mustYield(100 + TIME_SLICE_MS), true);
    lease.queue.removeWhere(() => true);
    assert.equal(lease.mustReject(1_000), false, "nothing is left to hand back");
    assert.equal(lease.mustYield(100), true, "and an empty queue needs no time slice");
    lease.yieldSlots();
    assert.deepEqual(events, ["closed"]);
  });

  test("with waiting tasks only the slots go back", () => {
    const { lease, events } = openLeaseWith(1);
    lease.taskStarted();
    lease.taskBlocked();
    lease.revoke(0);
    assert.equal(lease.mustYield(TIME_SLICE_MS), true);
    lease.yieldSlots();
    assert.deepEqual(events, ["slotReturned"]);
    assert.equal(lease.isClosed, false);
    assert.equal(lease.mustYield(10_000), false, "it was asked for once");
    lease.wantSlotIfNeeded();
    assert.deepEqual(events, ["slotReturned", "wantSlot"]);
  });

  test("a slot that went back answers the asking", () => {
    const { lease } = openLeaseWith();
    lease.taskStarted();
    lease.revoke(0);
    lease.taskBlocked();
    lease.returnUnusedSlots();
    lease.queue.push(execution);
    lease.slotGranted();
    assert.equal(lease.mustReject(1_000), false);
  });

  test("when its owner is lost it ends with the tasks that have started", () => {
    const { lease, events } = openLeaseWith();
    lease.taskStarted();
    lease.isEnding = true;
    assert.equal(lease.mustYield(0), false);
    lease.taskEnded();
    assert.equal(lease.mustYield(0), true);
    lease.yieldSlots();
    assert.deepEqual(events, ["closed"]);
  });

  test("when its owner is lost while a task waits, the slot goes back, and the lease ends with the task", () => {
    const { lease, events } = openLeaseWith();
    lease.taskStarted();
    lease.taskBlocked();
    lease.isEnding = true;
    assert.equal(lease.mustYield(0), true);
    lease.yieldSlots();
    assert.deepEqual(events, ["slotReturned"]);
    lease.taskUnblocked();
    lease.taskEnded();
    assert.equal(lease.mustYield(0), true);
    lease.yieldSlots();
    assert.deepEqual(events, ["slotReturned", "slotTaken", "closed"]);
  });
});

test("a lease never runs more tasks than it has slots, and the node manager's count of them is the same", () => {
  const step = fc.constantFrom("arrive", "arrive", "run", "run", "wait", "goOn", "end", "end", "turnEnds", "grant", "revoke", "recall", "time", "after");
  fc.assert(
    fc.property(fc.boolean(), fc.array(step, { maxLength: 80, size: "max" }), (isForOne, steps) => {
      let counted = 0;
      let isWanted = false;
      let isClosed = false;
      let nowMs = 0;
      const lease = new HeldLease(1, "owner", (_leaseId, event) => {
        assert.equal(isClosed, false, "nothing is said after the end");
        if (event === "slotReturned") assert.ok(--counted >= 0, "only what is held is given back");
        if (event === "slotTaken") counted++;
        if (event === "wantSlot") {
          assert.ok(!isWanted && counted === 0);
          isWanted = true;
        }
        if (event === "closed") [counted, isClosed] = [0, true];
      });
      lease.opened(isForOne ? { GPU: 10_000 } : {}, null);
      counted++;
      for (const what of steps) {
        if (what === "arrive") lease.queue.push(execution);
        if (what === "run" && lease.queue.length > 0 && lease.canRun()) {
          lease.queue.shift();
          lease.taskStarted();
        }
        if (what === "wait" && lease.running > 0) lease.taskBlocked();
        if (what === "goOn" && lease.blocked > 0) lease.taskUnblocked();
        if (what === "end" && lease.running > 0) lease.taskEnded();
        if (what === "turnEnds") lease.returnUnusedSlots();
        if (what === "grant" && isWanted && counted === 0) {
          isWanted = false;
          counted++;
          lease.slotGranted();
        }
        if (what === "revoke" || what === "recall") lease[what](nowMs);
        if (what === "time") nowMs += TIME_SLICE_MS / 2;
        if (what === "after") {
          if (lease.mustReject(nowMs)) lease.queue.removeWhere(() => true);
          else if (isForOne && lease.blocked > 0) assert.equal(lease.queue.length, 0, "nothing waits for ever behind a task that waits");
          if (lease.mustYield(nowMs)) lease.yieldSlots();
          lease.wantSlotIfNeeded();
        }
        if (lease.isClosed) break;
        assert.equal(lease.slots, counted);
        if (isForOne) assert.ok(lease.running + lease.blocked <= 1, "what a task keeps while it waits is no other's");
        assert.ok(lease.running <= lease.slots);
      }
      assert.equal(lease.isClosed, isClosed);
      if (isClosed) assert.deepEqual([lease.running, lease.blocked], [0, 0], "it does not end under its tasks");
    }),
    { numRuns: 500 },
  );
});

import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { type ActorSpec, plainWorkerKind } from "../protocol/mod.ts";
import { toAmounts } from "../base/mod.ts";
import { ActorPlacement, type PlacementInstruction } from "./actor-placement.ts";

const A = "aaaaaaaa";
const B = "bbbbbbbb";
function spec(actorId: string, resources: Record<string, number>, details: Partial<ActorSpec> = {}): ActorSpec {
  return {
    actorId, ownerId: `${A}000000000001`, jobId: "j", className: "C", unitId: "u", units: [], args: [], methods: {}, rules: { maxTaskRetries: 0, maxPendingCalls: -1, groups: {}, allowsOvertaking: false }, name: null, namespace: "n",
    isDetached: false, getIfExists: false, maxRestarts: 0, maxConcurrency: null, resources: toAmounts(resources), workerKind: plainWorkerKind("thread"), strategy: null, bundle: null, isShared: false, parentId: null, ...details,
  };
}
function joined(placement: ActorPlacement, key: string, totals: Record<string, number>, available = totals): PlacementInstruction[] {
  const nodeId = `${key}00000000`;
  return placement.nodeJoined({ nodeId, name: null, hostname: "h", pid: 1, address: { host: "h", port: 1 }, objectAddress: null, totals: toAmounts(totals), labels: {} }, { node: key, version: 0, totals: toAmounts(totals), available: toAmounts(available), isDraining: false });
}
const brief = (instructions: readonly PlacementInstruction[]): string[] => instructions.map((instruction) => `${instruction.type} ${instruction.type === "place" ? instruction.spec.actorId : instruction.actorId} ${instruction.node.slice(0, 1)}`);

describe("where actors go", () => {
  test("to a node with room; what was sent there since its last word counts", () => {
    const placement = new ActorPlacement();
    joined(placement, A, { CPU: 1 });
    joined(placement, B, { CPU: 1 });
    const where = ["1", "2"].flatMap((id) => brief(placement.place(spec(id, { CPU: 1 }))));
    assert.deepEqual(where, ["place 1 a", "place 2 b"]);
    assert.deepEqual(placement.place(spec("3", { CPU: 1 })), []);
    assert.equal(placement.waitingCount, 1);
  });

  test("what was sent to a node, and has no worker there yet, counts whatever the node tells of others", () => {
    const placement = new ActorPlacement();
    joined(placement, A, { CPU: 2 });
    placement.place(spec("1", { CPU: 2 }));
    assert.deepEqual(placement.loadChanged({ node: A, version: 1, totals: toAmounts({ CPU: 2 }), available: toAmounts({ CPU: 2 }), isDraining: false }), []);
    assert.deepEqual(placement.place(spec("2", { CPU: 1 })), []);
    placement.placed("1", A);
    assert.deepEqual(placement.loadChanged({ node: A, version: 2, totals: toAmounts({ CPU: 2 }), available: toAmounts({ CPU: 1 }), isDraining: false }).length, 1, "now it is in what the node tells");
  });

  test("an actor that starts again without having been told to have ended is counted once", () => {
    const placement = new ActorPlacement();
    joined(placement, A, { CPU: 1 });
    placement.place(spec("1", {}));
    placement.place(spec("1", {}));
    assert.deepEqual(placement.views().map(({ weightless }) => weightless), [1]);
  });

  test("those that wait are placed when room is told, or a node joins", () => {
    const placement = new ActorPlacement();
    joined(placement, A, { CPU: 1 }, { CPU: 0 });
    placement.place(spec("1", { CPU: 1 }));
    placement.place(spec("2", { CPU: 1 }));
    assert.deepEqual(brief(placement.loadChanged({ node: A, version: 1, totals: toAmounts({ CPU: 1 }), available: toAmounts({ CPU: 1 }), isDraining: false })), ["place 1 a"]);
    assert.deepEqual(brief(joined(placement, B, { CPU: 1 })), ["place 2 b"]);
  });

  test("what is waited for is known, each kind once, for as long as one waits", () => {
    const placement = new ActorPlacement();
    const affine: Partial<ActorSpec> = { strategy: { required: [], preference: { type: "spread" } } };
    joined(placement, A, { CPU: 2 }, { CPU: 0 });
    for (const id of ["1", "2", "2"]) placement.place(spec(id, { CPU: 1 }));
    placement.place(spec("3", { CPU: 1 }, affine));
    assert.deepEqual(placement.wants(), [{ resources: toAmounts({ CPU: 1 }), strategy: null, sharer: null }, { resources: toAmounts({ CPU: 1 }), strategy: affine.strategy, sharer: null }]);
    placement.cancel("3");
    placement.cancel("1");
    assert.equal(placement.wants().length, 1, "another of the kind waits still");
    joined(placement, B, { CPU: 1 });
    assert.deepEqual(placement.wants(), []);
  });

  test("what was on its way to a lost node goes elsewhere; what had arrived does not", () => {
    const placement = new ActorPlacement();
    joined(placement, A, { CPU: 4 });
    placement.place(spec("1", { CPU: 1 }));
    placement.place(spec("2", { CPU: 1 }));
    placement.placed("1", A);
    joined(placement, B, { CPU: 4 });
    assert.deepEqual(brief(placement.nodeLost(A)), ["place 2 b"]);
    assert.deepEqual(placement.nodeLost(A), [], "once");
  });

  test("an actor that is not wanted any more is taken back from where it was sent", () => {
    const placement = new ActorPlacement();
    joined(placement, A, { CPU: 1 });
    placement.place(spec("1", { CPU: 1 }));
    placement.place(spec("2", { CPU: 1 }));
    placement.place(spec("3", { CPU: 1 }));
    assert.deepEqual(placement.cancel("2"), []);
    assert.deepEqual(brief(placement.cancel("1")), ["cancel 1 a", "place 3 a"], "and its room is another's");
    assert.equal(placement.waitingCount, 0);
    assert.deepEqual(placement.cancel("1"), []);
  });

  test("actors that take nothing spread over the nodes, by how many processors these have", () => {
    const placement = new ActorPlacement();
    joined(placement, A, { CPU: 1 });
    joined(placement, B, { CPU: 3 });
    const count: Record<string, number> = { a: 0, b: 0 };
    for (let index = 0; index < 40; index++) for (const text of brief(placement.place(spec(String(index), {})))) count[text.at(-1) as string]!++;
    assert.deepEqual(count, { a: 10, b: 30 });
    for (let index = 0; index < 40; index++) placement.ended(String(index));
    assert.deepEqual(placement.views().map(({ weightless }) => weightless), [0, 0]);
  });

  test("what no node could ever hold is told as such, and placed all the same when one comes that can", () => {
    const placement = new ActorPlacement();
    joined(placement, A, { CPU: 1 });
    placement.place(spec("1", { GPU: 1 }));
    placement.place(spec("2", { CPU: 1 }));
    const [only, ...others] = placement.infeasible();
    assert.deepEqual([only?.spec.actorId, others], ["1", []]);
    assert.match(String(only?.reason), /1 GPU/);
    assert.deepEqual(brief(joined(placement, B, { GPU: 1 })), ["place 1 b"]);
  });

  test("a node that drains takes nothing new", () => {
    const placement = new ActorPlacement();
    joined(placement, A, { CPU: 4 });
    placement.nodeDrains(A);
    assert.deepEqual(placement.place(spec("1", { CPU: 1 })), []);
    assert.deepEqual(brief(joined(placement, B, { CPU: 1 })), ["place 1 b"]);
  });

  test("what a node declines goes elsewhere; what it has placed it does not decline", () => {
    const placement = new ActorPlacement();
    joined(placement, A, { CPU: 1 });
    placement.place(spec("1", { CPU: 1 }));
    placement.nodeDrains(A);
    assert.deepEqual(brief(placement.declined("1", A)), []);
    assert.equal(placement.waitingCount, 1);
    assert.deepEqual(brief(joined(placement, B, { CPU: 1 })), ["place 1 b"]);
    assert.deepEqual(placement.declined("1", A), [], "it is at another node now");
  });
});

describe("actors that wait for long", () => {
  const loadOf = (node: string, version: number, available: Record<string, number>, totals: Record<string, number> = { CPU: 2 }) => ({ node, version, totals: toAmounts(totals), available: toAmounts(available), isDraining: false });
  /** Two nodes without room. */
  function full(): ActorPlacement {
    const placement = new ActorPlacement();
    joined(placement, A, { CPU: 2 }, { CPU: 0 });
    joined(placement, B, { CPU: 2 }, { CPU: 0 });
    return placement;
  }
  function looks(placement: ActorPlacement, count: number): string[] {
    return Array.from({ length: count }, () => brief(placement.look())).flat();
  }

  test("queue at the nodes, of each program one at each, and not before that", () => {
    const placement = full();
    for (const id of ["1", "2", "3"]) placement.place(spec(id, { CPU: 1 }));
    placement.place(spec("4", { CPU: 1 }, { jobId: "another" }));
    assert.deepEqual(looks(placement, 2), []);
    assert.deepEqual(looks(placement, 1), ["place 1 a", "place 2 b", "place 4 a"]);
    assert.deepEqual(looks(placement, 4), []);
    assert.equal(placement.waitingCount, 1);
    assert.equal(placement.wants().length, 1, "idle leases elsewhere are still given back for them");
    placement.placed("2", B);
    assert.deepEqual(looks(placement, 1), ["place 3 b"]);
  });

  test("queue only where they may be: by totals, labels, and not on nodes that drain", () => {
    const placement = full();
    joined(placement, "cccccccc", { CPU: 2, seat: 1 }, { CPU: 0, seat: 1 });
    placement.place(spec("1", { CPU: 1, seat: 1 }));
    placement.place(spec("2", { CPU: 4 }));
    placement.place(spec("3", { CPU: 1 }, { strategy: { required: [], preference: { type: "node", nodeId: `${B}00000000`, isSoft: false } } }));
    assert.deepEqual(looks(placement, 4), ["place 1 c", "place 3 b"]);
    const draining = full();
    draining.nodeDrains(A);
    for (const id of ["1", "2"]) draining.place(spec(id, { CPU: 1 }));
    assert.deepEqual(looks(draining, 4), ["place 1 b"]);
  });

  test("are not counted before they are placed, and then at once", () => {
    const placement = full();
    placement.place(spec("1", { CPU: 2 }));
    assert.deepEqual(looks(placement, 3), ["place 1 a"]);
    const cpus = (): number[] => placement.views().map(({ available }) => available["CPU"] ?? 0);
    assert.deepEqual(cpus(), [0, 0]);
    placement.loadChanged(loadOf(A, 1, { CPU: 1 }));
    assert.deepEqual(brief(placement.place(spec("2", { CPU: 1 }))), ["place 2 a"], "what is smaller has room");
    assert.deepEqual(brief(placement.placed("1", A)), ["withdraw 2 a"], "unless the other was quicker");
    assert.deepEqual(cpus(), [-20_000, 0]);
    placement.placed("2", A);
    placement.loadChanged(loadOf(A, 2, {}));
    assert.deepEqual(cpus(), [0, 0], "the node has told of it");
  });

  test("are withdrawn when another node has room, and go there when their node has declined them", () => {
    const placement = full();
    placement.place(spec("1", { CPU: 1 }));
    assert.deepEqual(looks(placement, 3), ["place 1 a"]);
    assert.deepEqual(brief(placement.loadChanged(loadOf(A, 1, { CPU: 1 }))), [], "room where it is, is its own");
    placement.loadChanged(loadOf(A, 2, { CPU: 0 }));
    assert.deepEqual(brief(placement.loadChanged(loadOf(B, 1, { CPU: 1 }))), ["withdraw 1 a"]);
    assert.deepEqual(brief(placement.loadChanged(loadOf(B, 2, { CPU: 1 }))), [], "it is asked for once");
    assert.deepEqual(brief(placement.declined("1", A)), ["place 1 b"]);
    placement.placed("1", B);
    assert.equal(placement.waitingCount, 0);
  });

  test("stay where they were placed while they were withdrawn", () => {
    const placement = full();
    placement.place(spec("1", { CPU: 1 }));
    looks(placement, 3);
    placement.loadChanged(loadOf(B, 1, { CPU: 1 }));
    placement.placed("1", A);
    assert.deepEqual([placement.waitingCount, placement.isAnybodyQueued, placement.cancel("1")], [0, false, []]);
    assert.deepEqual(placement.declined("1", A), [], "nobody says that then; it would change nothing");
  });

  test("queue again at once when the room was gone, and are withdrawn again only for room that lasts", () => {
    const placement = full();
    placement.place(spec("1", { CPU: 1 }));
    looks(placement, 3);
    placement.loadChanged(loadOf(B, 1, { CPU: 1 }));
    placement.loadChanged(loadOf(B, 2, { CPU: 0 }));
    assert.deepEqual(brief(placement.declined("1", A)), []);
    assert.deepEqual(looks(placement, 1), ["place 1 a"]);
    assert.deepEqual(brief(placement.loadChanged(loadOf(B, 3, { CPU: 1 }))), []);
    assert.deepEqual(looks(placement, 1), []);
    assert.deepEqual(looks(placement, 1), ["withdraw 1 a"]);
  });

  test("queue at one node after the other, since what one has may be held for good, and longer in each round", () => {
    const placement = full();
    placement.place(spec("1", { CPU: 1 }));
    const queues: string[] = [];
    const stays: number[] = [];
    for (let look = 1, since = 0; stays.length < 5; look++) {
      for (const instruction of placement.look()) {
        if (instruction.type === "place") {
          queues.push(instruction.node);
          since = look;
        } else {
          stays.push(look - since);
          assert.deepEqual(placement.declined("1", instruction.node), []);
        }
      }
    }
    assert.deepEqual(queues, [A, B, A, B, A]);
    assert.deepEqual(stays, [6, 6, 12, 12, 24]);
  });

  test("stay where they queue if no other node could hold them", () => {
    const placement = full();
    joined(placement, "cccccccc", { CPU: 2, seat: 1 }, { CPU: 0, seat: 1 });
    placement.place(spec("1", { CPU: 1, seat: 1 }));
    assert.deepEqual(looks(placement, 100), ["place 1 c"]);
    // Of one program, one at each node: the other has no place to go to.
    const both = full();
    for (const id of ["1", "2"]) both.place(spec(id, { CPU: 1 }));
    assert.deepEqual(looks(both, 100), ["place 1 a", "place 2 b"]);
  });

  test("are withdrawn one after the other, since one place may be meant by all", () => {
    const placement = full();
    for (const id of ["1", "2"]) placement.place(spec(id, { CPU: 1 }, { jobId: id }));
    assert.deepEqual(looks(placement, 3), ["place 1 a", "place 2 a"]);
    assert.deepEqual(brief(placement.loadChanged(loadOf(B, 1, { CPU: 1 }))), ["withdraw 1 a"]);
    assert.deepEqual(brief(placement.declined("1", A)), ["place 1 b"]);
    assert.deepEqual(brief(placement.loadChanged(loadOf(B, 2, { CPU: 2 }))), ["withdraw 2 a"]);
  });

  test("wait again when their node is lost, and are told to go when they are cancelled", () => {
    const placement = full();
    for (const id of ["1", "2"]) placement.place(spec(id, { CPU: 1 }));
    assert.deepEqual(looks(placement, 3), ["place 1 a", "place 2 b"]);
    placement.nodeLost(A);
    assert.equal(placement.waitingCount, 1);
    assert.deepEqual(brief(placement.cancel("2")), ["cancel 2 b"]);
    assert.deepEqual(looks(placement, 1), ["place 1 b"]);
    assert.deepEqual(placement.refused("1"), []);
    assert.deepEqual([placement.waitingCount, placement.isAnybodyQueued, placement.wants()], [0, false, []]);
  });
});

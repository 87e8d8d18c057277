import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { toAmounts, type ResourceAmounts } from "../base/mod.ts";
import { shapeOf } from "./fixtures/lease-instructions.ts";
import type { NodeView } from "../scheduling/mod.ts";
import type { LeaseShape, StrategyRecord } from "../protocol/mod.ts";
import { SpillOver, type SpillInstruction } from "./spill-over.ts";

const OWN = "aaaaaaaa";
const OTHER = "bbbbbbbb";
const THIRD = "cccccccc";
const OWNER = `${OWN}000000000001`;

function view(key: string, totals: Record<string, number>, available: Record<string, number> = totals, labels: Record<string, string> = {}): NodeView {
  return { key, nodeId: `${key}00000000`, totals: toAmounts(totals), available: toAmounts(available), labels, isAlive: true, isDraining: false, weightless: 0 };
}
function planned(state: SpillOver, own: NodeView): SpillInstruction[] {
  return [...state.planHere(own), ...state.planThere(own)];
}
const brief = (instructions: readonly SpillInstruction[]): string[] =>
  instructions.map((instruction) => (instruction.type === "refuse" ? "refuse" : instruction.type === "nameArguments" ? `name ${instruction.count}` : `${instruction.type === "askHere" ? "here" : instruction.node.slice(0, 1)} ${instruction.target}`));
const oneCpu = shapeOf({ CPU: 1 });
const named = (id: number, near: string): LeaseShape => ({ ...oneCpu, near, arguments: { type: "named", objects: [{ node: near, id, byteLength: 10 }] } });
const withStrategy = (amounts: Record<string, number>, strategy: StrategyRecord) => ({ ...shapeOf(amounts), strategy });

function stateWith(...others: NodeView[]): SpillOver {
  const state = new SpillOver(OWN);
  for (const other of others) state.nodeSeen(other);
  return state;
}

describe("leases from several nodes", () => {
  test("what fits at home is asked for at home alone", () => {
    const state = stateWith(view(OTHER, { CPU: 8 }));
    state.demand(OWNER, "k", oneCpu, 2, 0);
    assert.deepEqual(brief(planned(state, view(OWN, { CPU: 2 }))), ["here 2"]);
    assert.deepEqual(brief(planned(state, view(OWN, { CPU: 2 }))), [], "once");
  });

  test("may run elsewhere if another node could hold it, and it is not for this one alone", () => {
    const affinity = (key: string, isSoft: boolean): StrategyRecord => ({ required: [], preference: { type: "node", nodeId: `${key}00000000`, isSoft } });
    const own = view(OWN, { CPU: 1, far: 1 }, {});
    const state = stateWith(view(OTHER, { CPU: 4 }, {}));
    const shapes: readonly (readonly [LeaseShape, boolean])[] = [
      [oneCpu, true], [shapeOf({ CPU: 1, far: 1 }), false], [withStrategy({ CPU: 1 }, affinity(OWN, false)), false], [withStrategy({ CPU: 1 }, affinity(OWN, true)), false], [withStrategy({ CPU: 1 }, affinity(THIRD, true)), true],
    ];
    for (const [index, [shape, mayRun]] of shapes.entries()) {
      state.demand(OWNER, `k${index}`, shape, 1, 0);
      assert.equal(state.mayRunElsewhere(OWNER, `k${index}`, own), mayRun, `shape ${index}`);
    }
    state.nodeLost(OTHER);
    assert.equal(state.mayRunElsewhere(OWNER, "k0", own), false);
  });

  test("what a node has refused is asked of it again, if it is wanted again before anything else happens", () => {
    for (const [own, node, answer] of [[view(OWN, { CPU: 2 }), OWN, "here 1"], [view(OWN, {}), OTHER, "b 1"]] as const) {
      const state = stateWith(view(OTHER, { CPU: 2 }));
      for (let attempt = 0; attempt < 2; attempt++) {
        state.demand(OWNER, "k", oneCpu, 1, 0);
        assert.deepEqual(brief(planned(state, own)), [answer]);
        state.refused(OWNER, "k", node);
      }
      assert.deepEqual(brief(planned(state, own)), []);
    }
  });

  test("the rest goes to nodes with room, and no more than there is room for", () => {
    const state = stateWith(view(OTHER, { CPU: 2 }), view(THIRD, { CPU: 8 }, { CPU: 1 }));
    state.demand(OWNER, "k", oneCpu, 10, 0);
    const plan = brief(planned(state, view(OWN, { CPU: 2 })));
    assert.deepEqual(plan, ["here 10", "b 2", "c 1"]);
  });

  test("what has room nowhere is known, until there is some", () => {
    const state = stateWith(view(OTHER, { CPU: 1 }, { CPU: 0 }));
    const own = view(OWN, { CPU: 1 }, { CPU: 0 });
    const wide = shapeOf({ CPU: 2 });
    state.demand(OWNER, "k", oneCpu, 1, 0);
    state.demand(OWNER, "far", wide, 1, 0);
    planned(state, own);
    const unmet = () => state.unmet.map(({ shape }) => shape);
    assert.deepEqual(unmet(), [oneCpu, wide]);
    state.nodeSeen(view(OTHER, { CPU: 2 }));
    assert.deepEqual(brief(planned(state, own)), ["b 1", "b 1"], "the second one waits there");
    assert.deepEqual(unmet(), [wide], "the plan itself has taken it");
    state.granted(OWNER, "k", OTHER);
    planned(state, own);
    assert.deepEqual(unmet(), []);
  });

  test("what has large arguments on another node goes there while that has room, else home, else anywhere", () => {
    const state = stateWith(view(OTHER, { CPU: 2 }), view(THIRD, { CPU: 8 }));
    state.demand(OWNER, "k", { ...oneCpu, near: OTHER }, 5, 0);
    assert.deepEqual(brief(planned(state, view(OWN, { CPU: 2 }))), ["b 2", "c 1", "here 2"]);
    state.nodeLost(OTHER);
    assert.deepEqual(brief(planned(state, view(OWN, { CPU: 2 }))), ["here 5", "c 3"]);
  });

  test("tasks whose large arguments are at home are named when other nodes have room for them, and stay at home while there is room", () => {
    const state = stateWith(view(OTHER, { CPU: 2 }));
    const home = { ...oneCpu, near: OWN, arguments: { type: "unnamed", areNear: true } } as const;
    state.demand(OWNER, "home", home, 2, 0);
    assert.deepEqual(brief(planned(state, view(OWN, { CPU: 2 }))), ["here 2"]);
    state.demand(OWNER, "home", home, 10, 0);
    assert.deepEqual(brief(planned(state, view(OWN, { CPU: 2 }))), ["here 10", "name 2"]);
    assert.deepEqual(brief(planned(state, view(OWN, { CPU: 2 }))), [], "the owner is asked once");
    for (const id of [1, 2]) state.demand(OWNER, `named ${id}`, named(id, OWN), 1, 0);
    assert.deepEqual(brief(planned(state, view(OWN, { CPU: 2 }, { CPU: 0 }))), ["b 1", "b 1"], "each is asked for where it may go, and nowhere else");
    state.demand(OWNER, "home", home, 8, 0);
    assert.deepEqual(brief(planned(state, view(OWN, { CPU: 2 }, { CPU: 0 }))), ["here 8"], "the named ones have the room");
  });

  test("tasks with arguments on several nodes are named for all of them, and a few when no node has room", () => {
    const state = stateWith(view(OTHER, { CPU: 2 }));
    const far = { ...oneCpu, near: OTHER, arguments: { type: "unnamed", areNear: false } } as const;
    state.demand(OWNER, "far", far, 10, 0);
    assert.deepEqual(brief(planned(state, view(OWN, { CPU: 2 }))), ["name 4"]);
    state.demand(OWNER, "named", named(1, OTHER), 1, 0);
    state.demand(OWNER, "far", far, 9, 0);
    const full = view(OWN, { CPU: 2 }, { CPU: 0 });
    state.nodeSeen(view(OTHER, { CPU: 2 }, { CPU: 0 }));
    assert.deepEqual(brief(planned(state, full)), ["b 1", "name 1"], "two in all wait where they will go");
  });

  test("the node that has all of the arguments is asked for leases without a word on them", () => {
    const state = stateWith(view(OTHER, { CPU: 2 }), view(THIRD, { CPU: 1 }));
    state.demand(OWNER, "k", { ...oneCpu, near: OTHER, arguments: { type: "unnamed", areNear: true } }, 4, 0);
    assert.deepEqual(brief(planned(state, view(OWN, { CPU: 1 }))), ["b 2", "name 2"]);
  });

  test("a key of named arguments is forgotten everywhere when its owner says so", () => {
    const state = stateWith(view(OTHER, { CPU: 2 }));
    state.demand(OWNER, "k", named(1, OTHER), 1, 0);
    assert.deepEqual(brief(planned(state, view(OWN, { CPU: 2 }))), ["b 1"]);
    state.granted(OWNER, "k", OTHER);
    state.demand(OWNER, "k", named(1, OTHER), 0, 0);
    assert.deepEqual(brief(planned(state, view(OWN, { CPU: 2 }))), ["b 0"]);
    state.demand(OWNER, "k", named(1, OTHER), 1, 0);
    assert.deepEqual(brief(planned(state, view(OWN, { CPU: 2 }))), ["b 1"], "counted from nought");
  });

  test("a lease granted elsewhere is not wanted here any more", () => {
    const state = stateWith(view(OTHER, { CPU: 2 }));
    const own = view(OWN, { CPU: 1 }, { CPU: 0 });
    state.demand(OWNER, "k", oneCpu, 2, 0);
    assert.deepEqual(brief(planned(state, own)), ["here 2", "b 2"]);
    state.granted(OWNER, "k", OTHER);
    state.granted(OWNER, "k", OTHER);
    assert.deepEqual(brief(planned(state, own)), ["here 0"]);
    assert.equal(state.isAnythingMissing, false);
  });

  test("what a node could not give after all is withdrawn when its next view comes", () => {
    const state = stateWith(view(OTHER, { CPU: 2 }));
    const own = view(OWN, { CPU: 1 }, { CPU: 0 });
    state.demand(OWNER, "k", oneCpu, 1, 0);
    assert.deepEqual(brief(planned(state, own)), ["here 1", "b 1"]);
    state.nodeSeen(view(OTHER, { CPU: 2 }, { CPU: 0 }));
    assert.deepEqual(brief(planned(state, own)), ["b 0"]);
    state.nodeSeen(view(THIRD, { CPU: 1 }));
    assert.deepEqual(brief(planned(state, own)), ["c 1"]);
  });

  test("what this node never has is not asked for here, and waits in the queue of one that has it", () => {
    const state = stateWith(view(OTHER, { CPU: 1, GPU: 1 }, { CPU: 1, GPU: 0 }));
    state.demand(OWNER, "k", shapeOf({ GPU: 1 }), 5, 0);
    assert.deepEqual(brief(planned(state, view(OWN, { CPU: 2 }))), ["b 2"]);
  });

  test("leases of a lost node stay counted, as its owner has counted them, and what was asked for there is asked for elsewhere", () => {
    const state = stateWith(view(OTHER, { GPU: 2 }));
    const own = view(OWN, { CPU: 1 });
    state.demand(OWNER, "k", shapeOf({ GPU: 1 }), 2, 0);
    planned(state, own);
    state.granted(OWNER, "k", OTHER);
    state.nodeLost(OTHER);
    state.nodeSeen(view(THIRD, { GPU: 4 }));
    assert.deepEqual(brief(planned(state, own)), ["c 1"]);
    state.demand(OWNER, "k", shapeOf({ GPU: 1 }), 3, 0);
    assert.deepEqual(brief(planned(state, own)), ["c 2"], "the one that was lost, and the one that never came");
  });

  test("SPREAD takes one node after the other, this one among them", () => {
    const state = stateWith(view(OTHER, { CPU: 4 }), view(THIRD, { CPU: 4 }));
    state.demand(OWNER, "k", withStrategy({ CPU: 1 }, { required: [], preference: { type: "spread" } }), 6, 0);
    assert.deepEqual(brief(planned(state, view(OWN, { CPU: 4 }))).sort(), ["b 2", "c 2", "here 2"]);
  });

  test("a hard affinity asks that node alone, full or not", () => {
    const state = stateWith(view(OTHER, { CPU: 4 }, { CPU: 0 }), view(THIRD, { CPU: 4 }));
    state.demand(OWNER, "k", withStrategy({ CPU: 1 }, { required: [], preference: { type: "node", nodeId: `${OTHER}00000000`, isSoft: false } }), 3, 0);
    assert.deepEqual(brief(planned(state, view(OWN, { CPU: 4 }))), ["b 2"]);
  });

  test("what no node could ever hold is refused at the second look, unless a node has come meanwhile", () => {
    const state = stateWith(view(OTHER, { CPU: 4 }));
    const own = view(OWN, { CPU: 4 });
    state.demand(OWNER, "k", shapeOf({ GPU: 1 }), 1, 0);
    assert.deepEqual(brief(planned(state, own)), []);
    assert.deepEqual(state.refuseInfeasible(own), []);
    const [refused] = state.refuseInfeasible(own);
    assert.ok(refused?.type === "refuse");
    assert.equal(refused.error.kind, "TaskUnschedulableError");
    assert.match(refused.error.message, /1 GPU/);
    assert.equal(state.isAnythingMissing, false, "and not wanted any more");

    state.demand(OWNER, "k", shapeOf({ GPU: 1 }), 1, 0);
    assert.deepEqual(state.refuseInfeasible(own), []);
    state.nodeSeen(view(THIRD, { GPU: 1 }));
    assert.deepEqual(state.refuseInfeasible(own), []);
    assert.deepEqual(brief(planned(state, own)), ["c 1"]);
  });

  test("an owner that has ended wants nothing", () => {
    const state = stateWith(view(OTHER, { CPU: 4 }));
    state.demand(OWNER, "k", oneCpu, 9, 0);
    state.ownerLost(OWNER);
    assert.deepEqual(planned(state, view(OWN, { CPU: 4 })), []);
  });
});

const none: ResourceAmounts = {};
test("what takes nothing runs at home", () => {
  const state = stateWith(view(OTHER, { CPU: 4 }));
  state.demand(OWNER, "k", { ...oneCpu, resources: none }, 100, 0);
  assert.deepEqual(brief(planned(state, view(OWN, { CPU: 1 }, { CPU: 0 }))), ["here 100"]);
});

import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { toAmounts } from "../base/mod.ts";
import type { LeaseShape, WorkerIsolation } from "../protocol/mod.ts";
import { type LeaseInstruction, LeaseState } from "./lease-state.ts";

const shapeOf = (quantities: Record<string, number>, isolation: WorkerIsolation = "thread"): LeaseShape => ({ resources: toAmounts(quantities), isolation });
const oneCpu = shapeOf({ CPU: 1 });

function stateWith(quantities: Record<string, number>, workers: readonly string[] = [], limits = { warmWorkersMin: 1, taskWorkersMax: 4 }): LeaseState {
  const state = new LeaseState(toAmounts(quantities), limits);
  for (const worker of workers) assert.deepEqual(state.workerAdded(worker, "thread"), []);
  return state;
}
type Of<T extends LeaseInstruction["type"]> = LeaseInstruction & { readonly type: T };
function only<T extends LeaseInstruction["type"]>(instructions: readonly LeaseInstruction[], type: T): Of<T>[] {
  return instructions.filter((instruction): instruction is Of<T> => instruction.type === type);
}
const types = (instructions: readonly LeaseInstruction[]): string[] => instructions.map(({ type }) => type);
function opened(instructions: readonly LeaseInstruction[]): Of<"openLease"> {
  const [lease] = only(instructions, "openLease");
  assert.ok(lease !== undefined, `a lease was opened: ${JSON.stringify(instructions)}`);
  return lease;
}

describe("leases: the numbered transitions", () => {
  test("(1) a demand opens a lease on a free worker and takes its resources", () => {
    const state = stateWith({ CPU: 1 }, ["w1"]);
    assert.deepEqual(state.demand("driver", "k", oneCpu, 1, 0), [{ type: "openLease", leaseId: 1, workerId: "w1", ownerId: "driver", key: "k", shape: oneCpu }]);
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
    assert.deepEqual(state.demand("other", "k", oneCpu, 1, 0), [{ type: "revoke", leaseId, workerId }]);
    assert.deepEqual(state.demand("third", "k", oneCpu, 1, 0), []);
    assert.equal(opened(state.leaseEvents(workerId, [[leaseId, "closed"]])).ownerId, "driver", "in order of arrival");
  });

  test("(5) an actor's demand for resources asks leases back too", () => {
    const state = stateWith({ CPU: 1 }, ["w1", "w2"]);
    const { leaseId, workerId } = opened(state.demand("driver", "k", oneCpu, 1, 0));
    assert.deepEqual(types(state.placeActor("a", "thread", toAmounts({ CPU: 1 }))), ["revoke"]);
    assert.deepEqual(types(state.leaseEvents(workerId, [[leaseId, "closed"]])), ["placeActor"]);
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
  test("an actor takes a worker for itself and holds what it was given", () => {
    const state = stateWith({ CPU: 2 }, ["w1"]);
    assert.deepEqual(state.placeActor("a", "thread", toAmounts({ CPU: 1 })), [{ type: "placeActor", actorId: "a", workerId: "w1" }]);
    assert.deepEqual(state.ledger.available, { CPU: 10_000 });
    assert.deepEqual(types(state.demand("driver", "k", oneCpu, 1, 0)), ["startWorker"], "its worker is not for tasks");
    state.workerLost("w1");
    assert.deepEqual(state.ledger.available, { CPU: 20_000 });
  });

  test("an actor that can never be held is refused; one that is not wanted any more is forgotten", () => {
    const state = stateWith({ CPU: 1 });
    const [refused] = only(state.placeActor("a", "thread", toAmounts({ GPU: 1 })), "refuseActor");
    assert.equal(refused?.error.kind, "ActorUnschedulableError");
    state.placeActor("b", "thread", {});
    assert.deepEqual(state.cancelPlacement("b"), []);
    assert.equal(state.snapshot().actorsWaiting, 0);
    assert.deepEqual(state.workerAdded("w1", "thread"), []);
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
    const leases = ["w1", "w2", "w3", "w4"].flatMap((worker) => only(state.workerAdded(worker, "thread"), "openLease"));
    assert.equal(leases.length, 100);
    const perWorker = new Map<string, number>();
    for (const { workerId } of leases) perWorker.set(workerId, (perWorker.get(workerId) ?? 0) + 1);
    assert.equal(Math.max(...perWorker.values()) <= 97, true);
    assert.deepEqual([...perWorker.keys()].sort(), ["w1", "w2", "w3", "w4"]);
  });

  test("a worker of the other isolation is no worker for it", () => {
    const state = stateWith({ CPU: 1 }, ["w1"]);
    assert.deepEqual(state.demand("driver", "k", shapeOf({ CPU: 1 }, "process"), 1, 0), [{ type: "startWorker", isolation: "process" }]);
    assert.deepEqual(types(state.workerAdded("p1", "process")), ["openLease"]);
  });

  test("a worker that could not start is tried again for what still waits", () => {
    const state = stateWith({ CPU: 1 });
    state.demand("driver", "k", oneCpu, 1, 0);
    assert.deepEqual(types(state.workerStartFailed("thread")), ["startWorker"]);
    state.ownerLost("driver");
    assert.deepEqual(state.workerStartFailed("thread"), []);
  });

  test("a worker that somebody else starts counts as starting", () => {
    const state = stateWith({ CPU: 1 });
    state.workerExpected("thread");
    assert.deepEqual(state.demand("driver", "k", oneCpu, 1, 0), []);
    assert.deepEqual(types(state.workerAdded("w1", "thread")), ["openLease"]);
  });

  test("the pool is kept warm, and idle workers beyond that are stopped", () => {
    const state = stateWith({ CPU: 4 }, [], { warmWorkersMin: 2, taskWorkersMax: 4 });
    assert.equal(state.keepWarm("thread").length, 2);
    assert.equal(state.keepWarm("thread").length, 0);
    for (const worker of ["w1", "w2", "w3", "w4"]) state.workerAdded(worker, "thread");
    const busy = opened(state.demand("driver", "k", oneCpu, 1, 0));
    const stopped = only(state.stopIdleWorkers(), "stopWorker");
    assert.equal(stopped.length, 1);
    assert.ok(stopped[0]?.workerId !== busy.workerId);
    assert.deepEqual(state.stopIdleWorkers(), [], "a worker is stopped once");
    const next = opened(state.demand("driver", "k", oneCpu, 2, 0));
    assert.ok(next.workerId !== stopped[0]?.workerId, "and gets no lease any more");
  });
});

// ------------------------------------------------------------------ random histories

const SHAPES: readonly LeaseShape[] = [oneCpu, shapeOf({ CPU: 0.5 }), shapeOf({ CPU: 2 }), shapeOf({ CPU: 1, slot: 1 }), shapeOf({}), shapeOf({ CPU: 1 }, "process")];
const ACTOR_HOLDS = [{}, toAmounts({ CPU: 1 }), toAmounts({ slot: 1 })];
const TOTALS = toAmounts({ CPU: 3, slot: 1 });

interface ModelLease {
  readonly workerId: string;
  readonly shape: LeaseShape;
  slots: number;
  waiting: number;
  wantsSlot: boolean;
}

/** Workers and owners that keep to the protocol, and what must be true of every instruction. */
class World {
  readonly state = new LeaseState(TOTALS, { warmWorkersMin: 1, taskWorkersMax: 3 });
  readonly workers = new Map<string, { readonly isolation: WorkerIsolation; actorId: string | null; isStopping: boolean }>();
  readonly leases = new Map<number, ModelLease>();
  readonly targets = new Map<string, { readonly owner: string; readonly shape: number; target: number; granted: number }>();
  readonly actorHolds = new Map<string, Readonly<Record<string, number>>>();
  readonly waitingActors = new Set<string>();
  starting: WorkerIsolation[] = [];
  #names = 0;

  act(instructions: readonly LeaseInstruction[]): void {
    for (const instruction of instructions) this.#one(instruction);
    this.check();
  }

  #one(instruction: LeaseInstruction): void {
    switch (instruction.type) {
      case "startWorker":
        this.starting.push(instruction.isolation);
        return;
      case "stopWorker": {
        const worker = this.workers.get(instruction.workerId);
        assert.ok(worker !== undefined && worker.actorId === null && this.leasesOf(instruction.workerId).length === 0, "only idle workers are stopped");
        worker.isStopping = true;
        return;
      }
      case "openLease": {
        const { leaseId, workerId, ownerId, shape } = instruction;
        const worker = this.workers.get(workerId);
        assert.ok(worker !== undefined, "no lease on a dead worker");
        assert.equal(worker.isolation, shape.isolation);
        assert.ok(worker.actorId === null && !worker.isStopping);
        const demand = this.targets.get(`${ownerId}/${instruction.key}`);
        assert.ok(demand !== undefined && ++demand.granted <= demand.target, "no lease that is not wanted");
        assert.ok(!this.leases.has(leaseId));
        this.leases.set(leaseId, { workerId, shape, slots: 1, waiting: 0, wantsSlot: false });
        return this.#checkRoom(shape.resources);
      }
      case "grantSlot": {
        const lease = this.leases.get(instruction.leaseId);
        assert.ok(lease?.wantsSlot === true && lease.slots === 0);
        assert.equal(this.leasesOf(lease.workerId).reduce((sum, [, { slots }]) => sum + slots, 0), 0, "one lease of a worker runs at a time");
        lease.wantsSlot = false;
        lease.slots++;
        return this.#checkRoom(lease.shape.resources);
      }
      case "revoke":
        assert.ok((this.leases.get(instruction.leaseId)?.slots ?? 0) > 0, "only what holds something is asked back");
        return;
      case "placeActor": {
        const worker = this.workers.get(instruction.workerId);
        assert.ok(worker !== undefined && worker.actorId === null && !worker.isStopping);
        assert.equal(this.leasesOf(instruction.workerId).length, 0);
        assert.ok(this.waitingActors.delete(instruction.actorId));
        worker.actorId = instruction.actorId;
        return this.#checkRoom(this.actorHolds.get(instruction.actorId) ?? {});
      }
      case "refuse":
      case "refuseActor":
        return assert.fail("everything asked for here fits the machine");
    }
  }

  /** Whatever is granted fits. Only tasks that go on after waiting may exceed what there is. */
  #checkRoom(granted: Readonly<Record<string, number>>): void {
    const held = this.held();
    for (const name in granted) assert.ok((held[name] ?? 0) <= (TOTALS[name] as number), `no more ${name} than there is`);
  }

  held(): Record<string, number> {
    const held: Record<string, number> = {};
    const add = (amounts: Readonly<Record<string, number>>, times: number): void => {
      for (const name in amounts) held[name] = (held[name] ?? 0) + (amounts[name] as number) * times;
    };
    for (const { shape, slots } of this.leases.values()) add(shape.resources, slots);
    for (const { actorId } of this.workers.values()) if (actorId !== null) add(this.actorHolds.get(actorId) ?? {}, 1);
    return held;
  }

  check(): void {
    const held = this.held();
    for (const name in TOTALS) assert.equal((this.state.ledger.available[name] ?? 0) + (held[name] ?? 0), TOTALS[name], `free and held ${name} make the total`);
    assert.deepEqual(this.state.leaseEvents("nobody", []), [], "nothing more to do without an event");
  }

  leasesOf(workerId: string): [number, ModelLease][] {
    return [...this.leases].filter(([, lease]) => lease.workerId === workerId);
  }

  // -------------------------------------------------------------- events

  finishStart(fails: boolean): void {
    const isolation = this.starting.shift();
    if (isolation === undefined) return;
    if (fails) return this.act(this.state.workerStartFailed(isolation));
    const workerId = `w${this.#names++}`;
    this.workers.set(workerId, { isolation, actorId: null, isStopping: false });
    this.act(this.state.workerAdded(workerId, isolation));
  }

  demand(owner: string, shape: number, more: number): void {
    const id = `${owner}/${shape}`;
    const demand = this.targets.get(id) ?? { owner, shape, target: 0, granted: 0 };
    this.targets.set(id, demand);
    demand.target = Math.max(demand.granted, demand.target + more);
    this.act(this.state.demand(owner, String(shape), SHAPES[shape] as LeaseShape, demand.target, 0));
    assert.deepEqual(this.state.demand(owner, String(shape), SHAPES[shape] as LeaseShape, demand.target, 0), [], "a repeated demand changes nothing");
  }

  placeActor(holds: number): void {
    const actorId = `a${this.#names++}`;
    this.actorHolds.set(actorId, ACTOR_HOLDS[holds] as Record<string, number>);
    this.waitingActors.add(actorId);
    this.act(this.state.placeActor(actorId, "thread", ACTOR_HOLDS[holds] as Record<string, number>));
  }

  cancelActor(): void {
    const [actorId] = this.waitingActors;
    if (actorId === undefined) return;
    this.waitingActors.delete(actorId);
    this.act(this.state.cancelPlacement(actorId));
  }

  lease(leaseId: number, what: "wait" | "goOn" | "want" | "close"): void {
    const lease = this.leases.get(leaseId) as ModelLease;
    const { workerId } = lease;
    switch (what) {
      case "wait":
        if (lease.slots === 0) return;
        lease.slots--;
        lease.waiting++;
        return this.act(this.state.leaseEvents(workerId, [[leaseId, "slotReturned"]]));
      case "goOn":
        if (lease.waiting === 0) return;
        lease.waiting--;
        lease.slots++;
        return this.act(this.state.leaseEvents(workerId, [[leaseId, "slotTaken"]]));
      case "want":
        if (lease.slots > 0 || lease.wantsSlot) return;
        lease.wantsSlot = true;
        return this.act(this.state.leaseEvents(workerId, [[leaseId, "wantSlot"]]));
      case "close":
        if (lease.waiting > 0) return;
        this.leases.delete(leaseId);
        return this.act(this.state.leaseEvents(workerId, [[leaseId, "closed"]]));
    }
  }

  killWorker(workerId: string): void {
    this.workers.delete(workerId);
    for (const [leaseId] of this.leasesOf(workerId)) this.leases.delete(leaseId);
    this.loseOwner(workerId, () => this.state.workerLost(workerId));
  }

  loseOwner(owner: string, event = (): LeaseInstruction[] => this.state.ownerLost(owner)): void {
    for (const [id, demand] of this.targets) if (demand.owner === owner) this.targets.delete(id);
    this.act(event());
  }

  /** Every task ends, every actor ends, every start succeeds: then everything that was wanted has been had. */
  settle(): void {
    for (let round = 0; round < 500; round++) {
      while (this.starting.length > 0) this.finishStart(false);
      for (const leaseId of [...this.leases.keys()]) {
        while ((this.leases.get(leaseId)?.waiting ?? 0) > 0) this.lease(leaseId, "goOn");
        this.lease(leaseId, "close");
      }
      for (const [workerId, { actorId, isStopping }] of this.workers) if (actorId !== null || isStopping) this.killWorker(workerId);
      const isHeld = [...this.workers.values()].some(({ actorId }) => actorId !== null);
      if (this.starting.length + this.leases.size + this.waitingActors.size === 0 && !isHeld) break;
    }
    for (const demand of this.targets.values()) assert.equal(demand.granted, demand.target, "no demand waits for ever");
    assert.deepEqual(this.waitingActors, new Set(), "no actor waits for ever");
    const { leases, demandsWaiting, actorsWaiting } = this.state.snapshot();
    assert.deepEqual({ leases, demandsWaiting, actorsWaiting }, { leases: 0, demandsWaiting: 0, actorsWaiting: 0 });
    assert.deepEqual(this.state.ledger.available, TOTALS);
  }
}

const pick = fc.nat({ max: 1000 });
const event = fc.oneof(
  { weight: 4, arbitrary: fc.tuple(fc.constant("start" as const), fc.nat({ max: 9 })) },
  { weight: 4, arbitrary: fc.tuple(fc.constant("demand" as const), pick, fc.nat({ max: SHAPES.length - 1 }), fc.integer({ min: -2, max: 4 })) },
  { weight: 8, arbitrary: fc.tuple(fc.constant("lease" as const), pick, fc.constantFrom("wait", "goOn", "want", "close")) },
  { weight: 2, arbitrary: fc.tuple(fc.constant("actor" as const), fc.nat({ max: ACTOR_HOLDS.length - 1 })) },
  { weight: 1, arbitrary: fc.constantFrom(["cancelActor"] as const, ["stopIdle"] as const, ["keepWarm"] as const, ["loseDriver"] as const) },
  { weight: 1, arbitrary: fc.tuple(fc.constant("kill" as const), pick) },
);

test("leases: whatever happens, resources add up, nothing is granted twice, and everybody is served", () => {
  fc.assert(
    fc.property(fc.array(event, { maxLength: 120, size: "max" }), (events) => {
      const world = new World();
      for (const step of events) {
        switch (step[0]) {
          case "start": world.finishStart(step[1] === 0); break;
          case "demand": {
            const owners = ["driver", ...world.workers.keys()];
            world.demand(owners[step[1] % owners.length] as string, step[2], step[3]);
            break;
          }
          case "lease": {
            const leaseIds = [...world.leases.keys()];
            if (leaseIds.length > 0) world.lease(leaseIds[step[1] % leaseIds.length] as number, step[2] as "wait");
            break;
          }
          case "actor": world.placeActor(step[1]); break;
          case "cancelActor": world.cancelActor(); break;
          case "stopIdle": world.act(world.state.stopIdleWorkers()); break;
          case "keepWarm": world.act(world.state.keepWarm("thread")); break;
          case "loseDriver": world.loseOwner("driver"); break;
          case "kill": {
            const workerIds = [...world.workers.keys()];
            if (workerIds.length > 0) world.killWorker(workerIds[step[1] % workerIds.length] as string);
            break;
          }
        }
      }
      world.settle();
    }),
    { numRuns: 400 },
  );
});

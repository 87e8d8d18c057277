import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { toAmounts } from "../base/mod.ts";
import type { LeaseShape, WorkerKind } from "../protocol/mod.ts";
import { inEnv, oneCpu, PROCESS, shapeOf, THREAD } from "./fixtures/lease-instructions.ts";
import type { LeaseInstruction } from "./lease-instruction.ts";
import { LeaseState } from "./lease-state.ts";

const SHAPES: readonly LeaseShape[] = [oneCpu, shapeOf({ CPU: 0.5 }), shapeOf({ CPU: 2 }), shapeOf({ CPU: 1, slot: 1 }), shapeOf({}), shapeOf({ CPU: 1 }, PROCESS), shapeOf({ CPU: 1 }, inEnv("e")), shapeOf({}, inEnv("f")), shapeOf({ CPU: 1, GPU: 0.5 }), shapeOf({ GPU: 1 })];
const ACTOR_HOLDS = [{}, toAmounts({ CPU: 1 }), toAmounts({ slot: 1 }), toAmounts({ GPU: 0.5 }), toAmounts({ GPU: 2 })];
const ACTOR_KINDS = [THREAD, PROCESS, inEnv("e")];
const TOTALS = toAmounts({ CPU: 3, slot: 1, GPU: 2 });
const GPU_IDS = ["g0", "g1"];

interface ModelLease {
  readonly workerId: string;
  readonly ownerId: string;
  readonly shape: LeaseShape;
  readonly gpuIds: readonly string[];
  slots: number;
  waiting: number;
  wantsSlot: boolean;
}

/** Workers and owners that keep to the protocol, and what must be true of every instruction. */
class World {
  readonly state = new LeaseState(TOTALS, { warmWorkersMin: 1, taskWorkersMax: 3 }, "job", { GPU: GPU_IDS });
  readonly workers = new Map<string, { readonly kind: WorkerKind; actorId: string | null; gpuIds: readonly string[]; isStopping: boolean; jobId: string | null; rootId: string | null }>();
  readonly leases = new Map<number, ModelLease>();
  readonly targets = new Map<string, { readonly owner: string; readonly shape: number; target: number; granted: number }>();
  readonly actorHolds = new Map<string, Readonly<Record<string, number>>>();
  readonly actorKinds = new Map<string, WorkerKind>();
  readonly actorJobs = new Map<string, string>();
  /** Null: the actor's worker is a root itself. */
  readonly actorRoots = new Map<string, string | null>();
  readonly lostRoots = new Set<string>();
  readonly waitingActors = new Set<string>();
  /** Of all leases that there were. */
  readonly keys = new Map<number, string>();
  /** Leases of which somebody was asked whether others may have what they held. */
  readonly questions: { readonly leaseId: number; readonly ownerId: string }[] = [];
  starting: WorkerKind[] = [];
  /** Drivers that have joined, each with a job of the same name. */
  guest = "";
  #names = 0;

  constructor() {
    this.join();
  }

  join(): void {
    this.guest = `guest${this.#names++}`;
    this.state.ownerSeen(this.guest, this.guest);
  }

  /** Its leases stay until their workers have ended, and nobody else stops these. */
  leave(): void {
    const { guest } = this;
    this.loseOwner(guest, () => this.state.driverLost(guest));
    this.join();
  }

  jobOf(ownerId: string): string {
    return ownerId.startsWith("guest") ? ownerId : (this.workers.get(ownerId)?.jobId ?? "job");
  }

  rootOf(ownerId: string): string {
    return this.workers.get(ownerId)?.rootId ?? ownerId;
  }

  /** Others run nothing that could ask for anything. */
  usedWorkers(): string[] {
    return [...this.workers.keys()].filter((workerId) => this.workers.get(workerId)?.jobId !== null);
  }

  #use(workerId: string, jobId: string, rootId: string): void {
    const worker = this.workers.get(workerId);
    assert.ok(worker !== undefined && (worker.rootId ?? rootId) === rootId, "a worker works for one root");
    worker.rootId = rootId;
    assert.ok(worker !== undefined && (worker.jobId === jobId || (worker.jobId === null && jobId === "job")), "a worker works for one job, and knows which");
    worker.jobId = jobId;
  }

  act(instructions: readonly LeaseInstruction[]): void {
    for (const instruction of instructions) this.#one(instruction);
    this.check();
  }

  #one(instruction: LeaseInstruction): void {
    switch (instruction.type) {
      case "startWorker":
        this.starting.push(instruction.kind);
        return;
      case "stopWorker": {
        const worker = this.workers.get(instruction.workerId);
        assert.ok(worker !== undefined && worker.actorId === null && this.leasesOf(instruction.workerId).length === 0, "only idle workers are stopped");
        worker.isStopping = true;
        return;
      }
      case "endWorker": {
        const worker = this.workers.get(instruction.workerId);
        assert.ok(worker !== undefined && worker.actorId === null && this.lostRoots.has(worker.rootId ?? ""), "only after what it works for");
        worker.isStopping = true;
        return;
      }
      case "assignJob": {
        const worker = this.workers.get(instruction.workerId);
        assert.ok(worker !== undefined && worker.jobId === null, "once, before it is used");
        worker.jobId = instruction.jobId;
        return;
      }
      case "openLease": {
        const { leaseId, workerId, ownerId, shape, acceleratorIds } = instruction;
        const worker = this.workers.get(workerId);
        assert.ok(worker !== undefined, "no lease on a dead worker");
        assert.deepEqual(worker.kind, shape.workerKind);
        assert.ok(worker.actorId === null && !worker.isStopping);
        const demand = this.targets.get(`${ownerId}/${instruction.key}`);
        assert.ok(demand !== undefined && ++demand.granted <= demand.target, "no lease that is not wanted");
        assert.ok(!this.leases.has(leaseId));
        this.#use(workerId, this.jobOf(ownerId), this.rootOf(ownerId));
        this.keys.set(leaseId, instruction.key);
        this.leases.set(leaseId, { workerId, ownerId, shape, gpuIds: acceleratorIds?.["GPU"] ?? [], slots: 1, waiting: 0, wantsSlot: false });
        this.#checkGpus();
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
        assert.deepEqual(worker.kind, this.actorKinds.get(instruction.actorId));
        assert.ok(this.waitingActors.delete(instruction.actorId));
        worker.actorId = instruction.actorId;
        worker.gpuIds = this.state.acceleratorsOf(instruction.workerId)?.["GPU"] ?? [];
        this.#checkGpus();
        this.#use(instruction.workerId, this.actorJobs.get(instruction.actorId) as string, this.actorRoots.get(instruction.actorId) ?? instruction.workerId);
        return this.#checkRoom(this.actorHolds.get(instruction.actorId) ?? {});
      }
      case "askOwner":
        assert.ok(!this.leases.has(instruction.leaseId) && this.targets.has(`${instruction.ownerId}/${this.keys.get(instruction.leaseId) as string}`), "of a lease that has ended, whose owner is there");
        this.questions.push(instruction);
        return;
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
    for (const { shape: { resources }, slots } of this.leases.values()) for (const name in resources) add({ [name]: resources[name] as number }, name === "CPU" ? slots : 1);
    for (const { actorId } of this.workers.values()) if (actorId !== null) add(this.actorHolds.get(actorId) ?? {}, 1);
    return held;
  }

  /** A whole one is nobody else's, and the parts of one are no more than it. */
  #checkGpus(): void {
    const used = new Map<string, number>();
    const use = (units: number, ids: readonly string[]): void => {
      assert.equal(ids.length, Math.ceil(units / 10_000));
      for (const id of ids) used.set(id, (used.get(id) ?? 0) + Math.min(units, 10_000));
    };
    for (const { shape: { resources }, gpuIds } of this.leases.values()) use(resources["GPU"] ?? 0, gpuIds);
    for (const { actorId, gpuIds } of this.workers.values()) if (actorId !== null) use(this.actorHolds.get(actorId)?.["GPU"] ?? 0, gpuIds);
    for (const [id, units] of used) assert.ok(GPU_IDS.includes(id) && units <= 10_000, `${id} is given out once`);
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
    const kind = this.starting.shift();
    if (kind === undefined) return;
    if (fails) return this.act(this.state.workerStartFailed(kind));
    const workerId = `w${this.#names++}`;
    this.workers.set(workerId, { kind, actorId: null, gpuIds: [], isStopping: false, jobId: null, rootId: null });
    this.act(this.state.workerAdded(workerId, kind));
  }

  demand(owner: string, shape: number, more: number): void {
    const id = `${owner}/${shape}`;
    const demand = this.targets.get(id) ?? { owner, shape, target: 0, granted: 0 };
    this.targets.set(id, demand);
    demand.target = Math.max(demand.granted, demand.target + more);
    this.act(this.state.demand(owner, String(shape), SHAPES[shape] as LeaseShape, demand.target, 0));
    assert.deepEqual(this.state.demand(owner, String(shape), SHAPES[shape] as LeaseShape, demand.target, 0), [], "a repeated demand changes nothing");
  }

  placeActor(holds: number, jobId: string, rootId: string | null): void {
    const actorId = `a${this.#names++}`;
    this.actorRoots.set(actorId, rootId);
    this.actorJobs.set(actorId, jobId);
    this.actorHolds.set(actorId, ACTOR_HOLDS[holds] as Record<string, number>);
    this.actorKinds.set(actorId, ACTOR_KINDS[holds % ACTOR_KINDS.length] as WorkerKind);
    this.waitingActors.add(actorId);
    this.act(this.state.placeActor(actorId, ACTOR_KINDS[holds % ACTOR_KINDS.length] as WorkerKind, ACTOR_HOLDS[holds] as Record<string, number>, jobId, null, false, rootId));
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
        // What its waiting task keeps is no other's: the next one goes elsewhere.
        if (lease.slots > 0 || lease.wantsSlot || Object.keys(lease.shape.resources).some((name) => name !== "CPU")) return;
        lease.wantsSlot = true;
        return this.act(this.state.leaseEvents(workerId, [[leaseId, "wantSlot"]]));
      case "close":
        if (lease.waiting > 0) return;
        this.leases.delete(leaseId);
        return this.act(this.state.leaseEvents(workerId, [[leaseId, "closed"]]));
    }
  }

  /** The owner wants so many more, or does not answer in time. */
  answer(which: number, more: number): void {
    const [question] = this.questions.splice(which % Math.max(1, this.questions.length), 1);
    if (question === undefined) return;
    if (more > 0 && !this.lostRoots.has(question.ownerId) && (this.workers.has(question.ownerId) || question.ownerId === this.guest || question.ownerId === "driver")) this.demand(question.ownerId, 0, more);
    this.act(this.state.leaseSettled(question.leaseId));
    assert.deepEqual(this.state.leaseSettled(question.leaseId), [], "told twice is told once");
  }

  killWorker(workerId: string): void {
    this.workers.delete(workerId);
    for (const [leaseId] of this.leasesOf(workerId)) this.leases.delete(leaseId);
    this.loseOwner(workerId, () => this.state.workerLost(workerId));
  }

  loseOwner(owner: string, event = (): LeaseInstruction[] => this.state.ownerLost(owner)): void {
    this.lostRoots.add(owner);
    for (const [id, demand] of this.targets) if (demand.owner === owner || this.rootOf(demand.owner) === owner) this.targets.delete(id);
    this.act(event());
    for (const { actorId, rootId, isStopping } of this.workers.values()) assert.ok(rootId !== owner || actorId !== null || isStopping, "all that descends from a lost root ends");
  }

  /** Every task ends, every actor ends, every start succeeds: then everything that was wanted has been had. */
  settle(): void {
    for (let round = 0; round < 500; round++) {
      while (this.starting.length > 0) this.finishStart(false);
      while (this.questions.length > 0) this.answer(0, 0);
      for (const leaseId of [...this.leases.keys()]) {
        while ((this.leases.get(leaseId)?.waiting ?? 0) > 0) this.lease(leaseId, "goOn");
        this.lease(leaseId, "close");
      }
      for (const [workerId, { actorId, isStopping }] of this.workers) if (actorId !== null || isStopping) this.killWorker(workerId);
      const isHeld = [...this.workers.values()].some(({ actorId }) => actorId !== null);
      if (this.starting.length + this.questions.length + this.leases.size + this.waitingActors.size === 0 && !isHeld) break;
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
  { weight: 2, arbitrary: fc.tuple(fc.constant("actor" as const), fc.nat({ max: ACTOR_HOLDS.length - 1 }), fc.boolean(), fc.boolean()) },
  { weight: 2, arbitrary: fc.tuple(fc.constant("answer" as const), pick, fc.nat({ max: 1 })) },
  { weight: 1, arbitrary: fc.constantFrom(["cancelActor"] as const, ["stopIdle"] as const, ["keepWarm"] as const, ["loseDriver"] as const, ["leave"] as const) },
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
            const owners = ["driver", world.guest, ...world.usedWorkers()];
            world.demand(owners[step[1] % owners.length] as string, step[2], step[3]);
            break;
          }
          case "lease": {
            const leaseIds = [...world.leases.keys()];
            if (leaseIds.length > 0) world.lease(leaseIds[step[1] % leaseIds.length] as number, step[2] as "wait");
            break;
          }
          case "actor": world.placeActor(step[1], step[2] ? world.guest : "job", step[3] ? null : step[2] ? world.guest : "driver"); break;
          case "answer": world.answer(step[1], step[2]); break;
          case "cancelActor": world.cancelActor(); break;
          case "stopIdle": world.act(world.state.stopIdleWorkers()); break;
          case "keepWarm": world.act(world.state.keepWarm(THREAD)); break;
          case "leave": world.leave(); break;
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

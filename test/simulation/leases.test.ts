// Both halves of a lease together, with messages that are late: the node manager's LeaseState, and a HeldLease for each
// lease at its worker, driven as the runtime drives them. Any number of tasks, which wait and go on, on few processors.
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import type { Execution } from "../../src/core-worker/execution.ts";
import { HeldLease, TIME_SLICE_MS } from "../../src/core-worker/held-lease.ts";
import type { LeaseInstruction } from "../../src/node-manager/lease-instruction.ts";
import { LeaseState } from "../../src/node-manager/lease-state.ts";
import { type LeaseEvent, plainWorkerKind } from "../../src/protocol/mod.ts";

const CPUS = 2;
const TOTALS = { CPU: CPUS * 10_000 };
const THREAD = plainWorkerKind("thread");
const SHAPE = { resources: { CPU: 10_000 }, workerKind: THREAD, strategy: null, bundle: null };

type ToWorker = { readonly type: "opened" | "granted" | "revoke" | "recall"; readonly leaseId: number };

class Simulation {
  readonly state = new LeaseState(TOTALS, { warmWorkersMin: 1, taskWorkersMax: 4 }, "job");
  readonly toWorker = new Map<string, ToWorker[]>();
  readonly toNode = new Map<string, [number, LeaseEvent][]>();
  readonly held = new Map<number, { readonly lease: HeldLease; readonly workerId: string; readonly owner: string }>();
  readonly closed = new Set<number>();
  /** Tasks that each owner has and no worker, and how many leases it has ever wanted and got. */
  readonly waiting = new Map<string, number>();
  readonly granted = new Map<string, number>();
  readonly usable = new Map<number, string>();
  starting = 0;
  done = 0;
  nowMs = 0;

  act(instructions: readonly LeaseInstruction[]): void {
    for (const instruction of instructions) {
      if (instruction.type === "startWorker") this.starting++;
      else if (instruction.type === "openLease") {
        const { leaseId, workerId, ownerId } = instruction;
        const lease = new HeldLease(leaseId, ownerId, (id, event) => {
          if (event === "closed") {
            this.closed.add(id);
            this.usable.delete(id);
          }
          (this.toNode.get(workerId) as [number, LeaseEvent][]).push([id, event]);
        });
        this.held.set(leaseId, { lease, workerId, owner: ownerId });
        this.granted.set(ownerId, (this.granted.get(ownerId) ?? 0) + 1);
        this.usable.set(leaseId, ownerId);
        this.#tell(workerId, { type: "opened", leaseId });
      } else if (instruction.type === "grantSlot") this.#tell(instruction.workerId, { type: "granted", leaseId: instruction.leaseId });
      else if (instruction.type === "revoke") this.#tell(instruction.workerId, { type: instruction.onlyIdle ? "recall" : "revoke", leaseId: instruction.leaseId });
      else assert.fail(`unexpected ${instruction.type}`);
    }
  }

  #tell(workerId: string, message: ToWorker): void {
    (this.toWorker.get(workerId) as ToWorker[]).push(message);
  }

  startWorker(): void {
    if (this.starting === 0) return;
    this.starting--;
    const workerId = `w${this.toWorker.size}`;
    this.toWorker.set(workerId, []);
    this.toNode.set(workerId, []);
    this.act(this.state.workerAdded(workerId, THREAD));
  }

  submit(owner: string, count: number): void {
    this.waiting.set(owner, (this.waiting.get(owner) ?? 0) + count);
    this.#wish(owner);
  }

  #wish(owner: string): void {
    const target = (this.granted.get(owner) ?? 0) + Math.min(this.waiting.get(owner) ?? 0, CPUS);
    this.act(this.state.demand(owner, "k", SHAPE, target, 0));
  }

  /** The owner sends a task to one of its leases. */
  send(which: number): void {
    const usable = [...this.usable].filter(([, owner]) => (this.waiting.get(owner) ?? 0) > 0);
    const [leaseId, owner] = usable[which % Math.max(1, usable.length)] ?? [];
    if (leaseId === undefined || owner === undefined) return;
    this.waiting.set(owner, (this.waiting.get(owner) as number) - 1);
    const { lease } = this.held.get(leaseId) as { lease: HeldLease };
    lease.queue.push({} as Execution);
    this.#run(lease);
  }

  #run(lease: HeldLease): void {
    while (lease.queue.length > 0 && lease.canRun() && !lease.mustReject(this.nowMs)) {
      lease.queue.shift();
      lease.taskStarted();
    }
    this.#after(lease);
  }

  #after(lease: HeldLease): void {
    if (lease.isClosed) return;
    if (lease.mustReject(this.nowMs)) this.#reject(lease);
    if (lease.mustYield(this.nowMs)) lease.yieldSlots();
    lease.wantSlotIfNeeded();
    if (lease.isClosed) this.#reject(lease);
  }

  #reject(lease: HeldLease): void {
    this.waiting.set(lease.ownerId, (this.waiting.get(lease.ownerId) ?? 0) + lease.queue.removeWhere(() => true).length);
    this.#wish(lease.ownerId);
  }

  task(which: number, what: "wait" | "goOn" | "end" | "turnEnds"): void {
    const open = [...this.held.values()].map(({ lease }) => lease).filter((lease) => !lease.isClosed);
    const lease = open[which % Math.max(1, open.length)];
    if (lease === undefined) return;
    if (what === "wait" && lease.running > 0) lease.taskBlocked();
    if (what === "goOn" && lease.blocked > 0) lease.taskUnblocked();
    if (what === "end" && lease.running > 0) {
      lease.taskEnded();
      this.done++;
      this.#run(lease);
      if (!lease.isClosed) lease.returnUnusedSlots();
    }
    if (what === "turnEnds") {
      this.#run(lease);
      if (!lease.isClosed) lease.returnUnusedSlots();
    }
  }

  /** One message of a worker arrives, or one for it. */
  deliver(which: number): boolean {
    const busy = [...this.toWorker.keys()].filter((id) => this.toWorker.get(id)!.length + this.toNode.get(id)!.length > 0);
    const workerId = busy[which % Math.max(1, busy.length)];
    if (workerId === undefined) return false;
    const events = this.toNode.get(workerId)!;
    if (events.length > 0 && (which % 2 === 0 || this.toWorker.get(workerId)!.length === 0)) {
      this.act(this.state.leaseEvents(workerId, events.splice(0, 1 + (which % events.length))));
      return true;
    }
    const message = this.toWorker.get(workerId)!.shift() as ToWorker;
    const { lease } = this.held.get(message.leaseId) as { lease: HeldLease };
    if (lease.isClosed) return true;
    if (message.type === "opened") lease.opened(SHAPE.resources, null);
    if (message.type === "granted") lease.slotGranted();
    if (message.type === "revoke" || message.type === "recall") {
      lease[message.type](this.nowMs);
      this.#after(lease);
    } else this.#run(lease);
    return true;
  }

  /** No task runs without a slot; and with no message on its way, both halves count the same slots. */
  check(): void {
    const open = [...this.held.values()].map(({ lease }) => lease).filter((lease) => !lease.isClosed);
    for (const lease of open) assert.ok(lease.running <= lease.slots);
    if (this.deliveriesPending() > 0) return;
    const held = open.reduce((sum, lease) => sum + lease.slots, 0) * SHAPE.resources.CPU;
    assert.equal((this.state.ledger.available["CPU"] as number) + held, TOTALS.CPU);
  }

  deliveriesPending(): number {
    return [...this.toWorker.values(), ...this.toNode.values()].reduce((sum, messages) => sum + messages.length, 0);
  }

  isQuiet(): boolean {
    return this.starting === 0 && this.deliveriesPending() === 0;
  }
}

const index = fc.nat({ max: 100 });
const step = fc.oneof(
  { weight: 2, arbitrary: fc.tuple(fc.constant("submit" as const), fc.constantFrom("driver", "w0", "w1"), fc.integer({ min: 1, max: 4 })) },
  { weight: 1, arbitrary: fc.constantFrom(["start"] as const, ["time"] as const, ["elsewhere"] as const) },
  { weight: 5, arbitrary: fc.tuple(fc.constantFrom("send" as const, "deliver" as const), index) },
  { weight: 5, arbitrary: fc.tuple(fc.constantFrom("wait" as const, "goOn" as const, "end" as const, "turnEnds" as const), index) },
);

test("leases and late messages: both halves agree, every task runs once, and everything is given back", () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 150, size: "max" }), (steps) => {
      const simulation = new Simulation();
      let submitted = 0;
      for (const action of steps) {
        if (action[0] === "submit") {
          simulation.submit(action[1], action[2]);
          submitted += action[2];
        } else if (action[0] === "start") simulation.startWorker();
        else if (action[0] === "elsewhere") simulation.act(simulation.state.wantedElsewhere([{ resources: SHAPE.resources, strategy: null, sharer: null }]));
        else if (action[0] === "time") simulation.nowMs += TIME_SLICE_MS / 2;
        else if (action[0] === "send") simulation.send(action[1]);
        else if (action[0] === "deliver") simulation.deliver(action[1]);
        else simulation.task(action[1], action[0]);
        simulation.check();
      }
      for (let round = 0; round < 300 && (simulation.done < submitted || !simulation.isQuiet()); round++) {
        simulation.nowMs += TIME_SLICE_MS;
        while (simulation.starting > 0) simulation.startWorker();
        for (let count = 0; count < 500 && simulation.deliver(0); count++);
        for (let count = 0; count < 20; count++) {
          simulation.send(count);
          for (const what of ["goOn", "turnEnds", "end"] as const) simulation.task(count, what);
        }
      }
      assert.equal(simulation.done, submitted, "every task has run");
      for (const { lease } of simulation.held.values()) if (!lease.isClosed) assert.deepEqual([lease.running, lease.blocked, lease.queue.length], [0, 0, 0]);
      // Owners give back what they do not use; wishes that were granted meanwhile included.
      for (let leases = -1; leases !== simulation.held.size; ) {
        leases = simulation.held.size;
        for (const { lease } of simulation.held.values()) lease.close();
        while (simulation.starting > 0) simulation.startWorker();
        while (simulation.deliver(0));
      }
      assert.deepEqual(simulation.state.ledger.available, TOTALS);
      assert.equal(simulation.state.snapshot().leases, 0);
    }),
    { numRuns: 300 },
  );
});

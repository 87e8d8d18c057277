// Two programs on one node, with messages that are late: the node manager's LeaseState, the queue of an owner's tasks, and the leases at their
// workers, driven as the runtime drives them. One program has half of the node for good and wants the rest; the other has tasks.
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { HeldLease, TIME_SLICE_MS } from "../../src/core-worker/held-lease.ts";
import { OwnedLease, SchedulingQueue } from "../../src/core-worker/scheduling-queue.ts";
import { FunctionCallable, PendingTask } from "../../src/core-worker/task.ts";
import type { LeaseInstruction } from "../../src/node-manager/lease-instruction.ts";
import { LeaseState } from "../../src/node-manager/lease-state.ts";
import { type LeaseEvent, plainWorkerKind } from "../../src/protocol/mod.ts";

const CPU = { CPU: 10_000 };
const THREAD = plainWorkerKind("thread");
const SHAPE = { resources: CPU, workerKind: THREAD, strategy: null, bundle: null };

/** Each pair of those who speak with each other has a line for each direction; what is in it arrives in order, some time. */
type Line = "owner to node" | "node to owner" | "owner to worker" | "worker to owner" | "worker to node" | "node to worker";

class Programs {
  readonly state = new LeaseState({ CPU: 20_000 }, { warmWorkersMin: 2, taskWorkersMax: 4 }, "first");
  readonly queue = new SchedulingQueue("k", SHAPE, 2);
  readonly lines = new Map<string, (() => void)[]>();
  readonly held = new Map<number, { readonly lease: HeldLease<PendingTask>; readonly workerId: string }>();
  /** Actors of the other program that have got their processor. */
  readonly placed: string[] = [];
  readonly #running = new Map<number, PendingTask>();
  readonly #callable = new FunctionCallable("u", "f");
  starting = 0;
  submitted = 0;
  ended = 0;
  nowMs = 0;
  #workers = 0;

  constructor(runMs: number) {
    this.#callable.averageUs = runMs;
    for (const job of ["has much", "has tasks"]) this.state.ownerSeen(job, job);
    for (let worker = 0; worker < 2; worker++) this.#addWorker();
    this.placeActor("first");
    assert.deepEqual(this.placed, ["first"]);
  }

  placeActor(actorId: string): void {
    this.#act(this.state.placeActor(actorId, THREAD, CPU, "has much", null, false, "has much"));
  }

  #addWorker(): void {
    this.#act(this.state.workerAdded(`w${this.#workers++}`, THREAD));
  }

  startWorker(): void {
    if (this.starting === 0) return;
    this.starting--;
    this.#addWorker();
  }

  #say(line: Line, leaseOrNone: number | "", message: () => void): void {
    const workerId = leaseOrNone === "" ? "" : (this.held.get(leaseOrNone) as { workerId: string }).workerId;
    const name = `${line} ${workerId}`;
    const waiting = this.lines.get(name) ?? [];
    this.lines.set(name, waiting);
    waiting.push(message);
  }

  deliver(which: number): boolean {
    const busy = [...this.lines.values()].filter(({ length }) => length > 0);
    if (busy.length === 0) return false;
    (busy[which % busy.length] as (() => void)[]).shift()!();
    return true;
  }

  // ------------------------------------------------------------------ the node

  #act(instructions: readonly LeaseInstruction[]): void {
    for (const instruction of instructions) {
      switch (instruction.type) {
        case "startWorker":
          this.starting++;
          break;
        case "openLease": {
          const { leaseId, workerId, ownerId } = instruction;
          const lease = new HeldLease<PendingTask>(leaseId, ownerId, (id, event) => this.#leaseEvent(id, event));
          this.held.set(leaseId, { lease, workerId });
          this.#say("node to worker", leaseId, () => { lease.opened(CPU, null); this.#run(lease); });
          this.#say("node to owner", "", () => this.#granted(leaseId, workerId));
          break;
        }
        case "revoke": {
          const { lease } = this.held.get(instruction.leaseId) as { lease: HeldLease<PendingTask> };
          this.#say("node to worker", instruction.leaseId, () => { lease.revoke(this.nowMs); this.#after(lease); });
          break;
        }
        case "askOwner": {
          const { leaseId } = instruction;
          this.#say("node to owner", "", () => {
            this.queue.closed(leaseId);
            this.#pump();
            this.#say("owner to node", "", () => this.#act(this.state.leaseSettled(leaseId)));
          });
          break;
        }
        case "placeActor":
          assert.ok(instruction.actorId === "first" || this.ended === this.submitted, "the program with more has taken what was the other's turn");
          this.placed.push(instruction.actorId);
          break;
        case "assignJob":
        case "stopWorker":
          break;
        default:
          assert.fail(`unexpected ${instruction.type}`);
      }
    }
  }

  // ------------------------------------------------------------------ the owner

  submit(count: number): void {
    for (let index = 0; index < count; index++) {
      this.queue.add(new PendingTask({ callable: this.#callable, queue: this.queue, displayName: null, returns: 1, maxRetries: 0, followsRules: false, retryExceptions: null, unconsumedMax: null, limits: null, priority: 0 }, ++this.submitted, [], null));
    }
    this.#pump();
  }

  #granted(leaseId: number, workerId: string): void {
    this.queue.granted(new OwnedLease(leaseId, workerId, this.queue));
    this.#pump();
  }

  #pump(): void {
    this.queue.distribute(({ leaseId }, task) => this.#say("owner to worker", leaseId, () => this.#arrived(leaseId, task)));
    const target = this.queue.nextLeaseTarget();
    if (target !== undefined) this.#say("owner to node", "", () => this.#act(this.state.demand("has tasks", "k", SHAPE, target, 0)));
  }

  // ------------------------------------------------------------------ the workers

  #leaseEvent(leaseId: number, event: LeaseEvent): void {
    const { workerId } = this.held.get(leaseId) as { workerId: string };
    this.#say("worker to node", leaseId, () => this.#act(this.state.leaseEvents(workerId, [[leaseId, event]])));
    if (event === "closed") this.#sayClosed(leaseId);
  }

  #sayClosed(leaseId: number): void {
    this.#say("worker to owner", leaseId, () => {
      this.queue.closed(leaseId);
      this.#pump();
    });
  }

  #arrived(leaseId: number, task: PendingTask): void {
    const { lease } = this.held.get(leaseId) as { lease: HeldLease<PendingTask> };
    if (lease.isClosed) {
      this.#rejected(lease, [task]);
      // Its owner may have heard of the end before it heard of the lease.
      return this.#sayClosed(leaseId);
    }
    lease.queue.push(task);
    this.#run(lease);
  }

  #rejected(lease: HeldLease<PendingTask>, tasks: readonly PendingTask[]): void {
    for (const task of tasks) {
      this.#say("worker to owner", lease.leaseId, () => {
        const owned = task.lease as OwnedLease;
        owned.remove(task);
        owned.isStuck = owned.inFlight > 0;
        this.queue.giveBack(task);
        this.#pump();
      });
    }
  }

  #run(lease: HeldLease<PendingTask>): void {
    while (lease.queue.length > 0 && lease.canRun() && !lease.mustReject(this.nowMs)) {
      this.#running.set(lease.leaseId, lease.queue.shift() as PendingTask);
      lease.taskStarted();
    }
    this.#after(lease);
  }

  #after(lease: HeldLease<PendingTask>): void {
    if (lease.isClosed) return;
    if (lease.mustReject(this.nowMs)) this.#rejected(lease, lease.queue.removeWhere(() => true));
    if (lease.mustYield(this.nowMs)) lease.yieldSlots();
    lease.wantSlotIfNeeded();
  }

  /** The result goes out before the lease does. */
  endTask(which: number): void {
    const [leaseId, task] = [...this.#running][which % Math.max(1, this.#running.size)] ?? [];
    if (leaseId === undefined || task === undefined) return;
    this.#running.delete(leaseId);
    const { lease } = this.held.get(leaseId) as { lease: HeldLease<PendingTask> };
    this.ended++;
    this.#say("worker to owner", leaseId, () => {
      const owned = task.lease as OwnedLease;
      owned.remove(task);
      owned.isStuck = false;
      this.#pump();
    });
    lease.taskEnded();
    this.#run(lease);
  }

  pass(ms: number): void {
    this.nowMs += ms;
    for (const { lease } of this.held.values()) if (lease.isOpen) this.#after(lease);
  }
}

const index = fc.nat({ max: 100 });
const step = fc.oneof(
  { weight: 1, arbitrary: fc.tuple(fc.constant("submit" as const), fc.integer({ min: 1, max: 3 })) },
  { weight: 1, arbitrary: fc.constantFrom(["start", 0] as const, ["time", 0] as const) },
  { weight: 4, arbitrary: fc.tuple(fc.constant("end" as const), index) },
  { weight: 12, arbitrary: fc.tuple(fc.constant("deliver" as const), index) },
);

test("a program that has half of a node for good gets nothing of the rest while another one has tasks, however late messages are", () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 200, size: "max" }), fc.constantFrom(1, 5_000), (steps, averageUs) => {
      const programs = new Programs(averageUs);
      programs.submit(6);
      while (programs.deliver(0));
      programs.placeActor("second");
      for (const [what, which] of steps) {
        if (programs.ended === programs.submitted) break;
        if (what === "submit") programs.submit(which);
        else if (what === "start") programs.startWorker();
        else if (what === "time") programs.pass(TIME_SLICE_MS / 2);
        else if (what === "end") programs.endTask(which);
        else programs.deliver(which);
      }
      for (let round = 0; round < 500 && programs.placed.length < 2; round++) {
        while (programs.deliver(round));
        programs.endTask(round);
        programs.pass(TIME_SLICE_MS);
        programs.startWorker();
      }
      assert.equal(programs.ended, programs.submitted, "every task has run");
      assert.deepEqual(programs.placed, ["first", "second"], "then it gets the rest");
    }),
    { numRuns: 300 },
  );
});

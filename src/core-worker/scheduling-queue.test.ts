import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { plainWorkerKind } from "../protocol/mod.ts";
import { learnRunTime, OwnedLease, SchedulingQueue } from "./scheduling-queue.ts";
import { FunctionCallable, PendingTask } from "./task.ts";

const SHAPE = { resources: { CPU: 10_000 }, workerKind: plainWorkerKind("thread"), strategy: null, bundle: null };

function callableOf(averageUs: number): FunctionCallable {
  const callable = new FunctionCallable("u", "f");
  callable.averageUs = averageUs;
  return callable;
}

class Owner {
  readonly queue: SchedulingQueue;
  readonly tasks: PendingTask[] = [];
  readonly sent: [leaseId: number, sequence: number][] = [];
  #nextLease = 1;
  #nextTask = 1;

  constructor(leasesMax: number) {
    this.queue = new SchedulingQueue("k", SHAPE, leasesMax);
  }

  submit(count: number, callable: FunctionCallable, priority = 0): PendingTask[] {
    const tasks = Array.from({ length: count }, () => new PendingTask({ callable, queue: this.queue, displayName: null, returns: 1, maxRetries: 0, followsRules: false, retryExceptions: null, unconsumedMax: null, limits: null, priority }, this.#nextTask++, [], null));
    for (const task of tasks) this.queue.add(task);
    this.tasks.push(...tasks);
    return tasks;
  }

  grant(): OwnedLease {
    const id = this.#nextLease++;
    const lease = new OwnedLease(id, `w${id}`, this.queue);
    this.queue.granted(lease);
    return lease;
  }

  /** The first task there has its outcome. */
  end(leaseId: number): void {
    const task = this.tasks.find(({ lease }) => lease?.leaseId === leaseId) as PendingTask;
    (task.lease as OwnedLease).remove(task);
  }

  /** How many tasks each lease got. */
  distribute(): number[] {
    const before = this.sent.length;
    this.queue.distribute((lease, task) => {
      assert.equal(task.lease, lease);
      this.sent.push([lease.leaseId, task.sequence]);
    });
    const counts = new Map<number, number>();
    for (const [leaseId] of this.sent.slice(before)) counts.set(leaseId, (counts.get(leaseId) ?? 0) + 1);
    return [...this.queue.leases.keys()].map((leaseId) => counts.get(leaseId) ?? 0);
  }
}

describe("the queue of tasks of one kind", () => {
  test("asks for a lease for each task, up to what can run at once, and not again for the same", () => {
    const owner = new Owner(2);
    assert.equal(owner.queue.nextLeaseTarget(), undefined, "nothing waits");
    owner.submit(1, callableOf(10));
    assert.equal(owner.queue.nextLeaseTarget(), 1);
    assert.equal(owner.queue.nextLeaseTarget(), undefined);
    owner.submit(5, callableOf(10));
    assert.equal(owner.queue.nextLeaseTarget(), 2);
  });

  test("what was refused is wished for again by the next task", () => {
    const owner = new Owner(2);
    const [task] = owner.submit(1, callableOf(10));
    assert.equal(owner.queue.nextLeaseTarget(), 1);
    assert.equal(owner.queue.tasks.shift(), task);
    owner.queue.refused();
    owner.submit(1, callableOf(10));
    assert.equal(owner.queue.nextLeaseTarget(), 1);
  });

  test("takes its wish back when nothing waits any more, and wishes on from what it was granted", () => {
    const owner = new Owner(4);
    owner.submit(3, callableOf(5_000));
    assert.equal(owner.queue.nextLeaseTarget(), 3);
    owner.grant();
    owner.distribute();
    owner.queue.tasks.removeWhere(() => true);
    assert.equal(owner.queue.nextLeaseTarget(), 1);
    owner.end(1);
    owner.queue.closed(1);
    owner.submit(1, callableOf(5_000));
    assert.equal(owner.queue.nextLeaseTarget(), 2, "the target counts all leases ever wanted");
  });

  test("wishes for what was on its way to a lease that has ended as soon as that is known, until it has an outcome", () => {
    const owner = new Owner(4);
    owner.submit(2, callableOf(10));
    assert.equal(owner.queue.nextLeaseTarget(), 2);
    owner.grant();
    assert.deepEqual(owner.distribute(), [2]);
    owner.submit(1, callableOf(10));
    owner.grant();
    assert.deepEqual(owner.distribute(), [0, 1]);
    assert.equal(owner.queue.nextLeaseTarget(), undefined);
    owner.queue.closed(1);
    assert.equal(owner.queue.nextLeaseTarget(), 4, "two are to come back");
    owner.end(1);
    assert.equal(owner.queue.nextLeaseTarget(), 3, "one had just ended");
    const [back] = owner.tasks.filter(({ lease }) => lease?.leaseId === 1) as [PendingTask];
    (back.lease as OwnedLease).remove(back);
    owner.queue.giveBack(back);
    assert.equal(owner.queue.nextLeaseTarget(), undefined, "one is back");
    owner.queue.closed(1);
    assert.equal(owner.queue.nextLeaseTarget(), undefined, "told twice");
  });

  test("leases in use do not count against what may be asked for: tasks that wait give their resources back", () => {
    const owner = new Owner(1);
    owner.submit(1, callableOf(Number.NaN));
    owner.queue.nextLeaseTarget();
    owner.grant();
    owner.distribute();
    owner.submit(1, callableOf(Number.NaN));
    assert.equal(owner.queue.nextLeaseTarget(), 2);
  });

  test("larger priorities go first, and the node is told of the one that comes next, when it waits for leases", () => {
    const owner = new Owner(2);
    owner.submit(2, callableOf(5_000));
    assert.equal(owner.queue.nextLeaseTarget(), 2);
    assert.equal(owner.queue.priority, 0);
    owner.submit(1, callableOf(5_000), 7);
    assert.equal(owner.queue.nextLeaseTarget(), 2, "the same target, told again");
    assert.equal(owner.queue.priority, 7);
    assert.equal(owner.queue.nextLeaseTarget(), undefined);
    owner.grant();
    owner.distribute();
    assert.deepEqual(owner.sent, [[1, 3]]);
    owner.queue.nextLeaseTarget();
    assert.equal(owner.queue.priority, 0);
    owner.grant();
    owner.grant();
    owner.distribute();
    owner.queue.nextLeaseTarget();
    owner.submit(0, callableOf(1), 9);
    assert.equal(owner.queue.nextLeaseTarget(), undefined, "nothing waits");
  });

  test("what comes back goes before what was never sent, in the order of the calls", () => {
    const owner = new Owner(1);
    const lease = owner.grant();
    const tasks = owner.submit(4, callableOf(10));
    owner.distribute();
    owner.submit(1, callableOf(10));
    for (const index of [1, 3, 0, 2]) {
      lease.remove(tasks[index] as PendingTask);
      owner.queue.giveBack(tasks[index] as PendingTask);
    }
    assert.equal(owner.queue.tasks.length, 5);
    owner.distribute();
    assert.deepEqual(owner.sent.slice(4).map(([, sequence]) => sequence), [1, 2, 3, 4, 5]);
  });

  test("resources of unlimited number are still asked for within limits", () => {
    const owner = new Owner(Number.POSITIVE_INFINITY);
    owner.submit(1_000, callableOf(10));
    assert.equal(owner.queue.nextLeaseTarget(), 128);
  });

  test("a function whose run time is not known runs alone at its worker", () => {
    const owner = new Owner(2);
    owner.submit(5, callableOf(Number.NaN));
    owner.grant();
    owner.grant();
    assert.deepEqual(owner.distribute(), [1, 1]);
    assert.deepEqual(owner.distribute(), [0, 0]);
  });

  test("and so does a long one", () => {
    const owner = new Owner(1);
    owner.submit(3, callableOf(1_500));
    owner.grant();
    assert.deepEqual(owner.distribute(), [1]);
  });

  test("short ones go to a worker together, shared fairly among all", () => {
    const owner = new Owner(2);
    owner.submit(1_000, callableOf(2));
    owner.grant();
    owner.grant();
    assert.deepEqual(owner.distribute(), [500, 500]);
    assert.deepEqual(owner.sent.slice(0, 3), [[1, 1], [1, 2], [1, 3]], "oldest first");
  });

  test("a share is left for the leases that are still to come", () => {
    const owner = new Owner(2);
    owner.submit(100, callableOf(100));
    owner.queue.nextLeaseTarget();
    owner.grant();
    assert.deepEqual(owner.distribute(), [20], "2 ms of work");
    const few = new Owner(2);
    few.submit(10, callableOf(100));
    few.queue.nextLeaseTarget();
    few.grant();
    assert.deepEqual(few.distribute(), [5]);
  });

  test("a handful of tiny tasks is not worth waking another worker for", () => {
    const owner = new Owner(2);
    owner.submit(20, callableOf(1));
    owner.grant();
    owner.grant();
    assert.deepEqual(owner.distribute(), [20, 0]);
  });

  test("the least busy worker comes first", () => {
    const owner = new Owner(2);
    const callable = callableOf(100);
    const busy = owner.grant();
    for (const task of owner.submit(3, callable)) busy.add(task);
    owner.queue.tasks.removeWhere(() => true);
    owner.grant();
    owner.submit(1, callable);
    assert.deepEqual(owner.distribute(), [0, 1]);
  });

  test("a worker that is stuck behind one task gets no more, until it answers", () => {
    const owner = new Owner(1);
    const callable = callableOf(1);
    const lease = owner.grant();
    const [first] = owner.submit(1, callable) as [PendingTask];
    owner.distribute();
    lease.isStuck = true;
    owner.submit(1, callable);
    assert.deepEqual(owner.distribute(), [0]);
    lease.remove(first);
    lease.isStuck = false;
    assert.deepEqual(owner.distribute(), [1]);
  });

  test("what leaves a worker takes its estimate along, whatever was learned meanwhile", () => {
    const owner = new Owner(1);
    const callable = callableOf(10);
    const lease = owner.grant();
    const tasks = owner.submit(3, callable);
    owner.distribute();
    assert.equal(lease.workUs, 30);
    callable.averageUs = 1_000;
    lease.remove(tasks[0] as PendingTask);
    lease.remove(tasks[0] as PendingTask);
    assert.equal(lease.workUs, 20);
    assert.equal(tasks[0]?.lease, null);
    lease.remove(tasks[1] as PendingTask);
    lease.remove(tasks[2] as PendingTask);
    assert.equal(lease.workUs, 0);
  });

  test("run times are smoothed, from the first one on", () => {
    const callable = callableOf(Number.NaN);
    learnRunTime(callable, 100);
    assert.equal(callable.averageUs, 100);
    learnRunTime(callable, 200);
    assert.equal(callable.averageUs, 125);
  });
});

test("every task is sent once, in order, to a lease that is there, and none waits while a lease is free", () => {
  const step = fc.oneof(
    { weight: 3, arbitrary: fc.tuple(fc.constant("submit" as const), fc.integer({ min: 1, max: 40 }), fc.constantFrom(Number.NaN, 0, 1, 30, 700, 50_000)) },
    { weight: 3, arbitrary: fc.constantFrom(["grant"] as const, ["distribute"] as const) },
    { weight: 4, arbitrary: fc.tuple(fc.constantFrom("answer" as const, "reject" as const, "close" as const), fc.nat({ max: 50 })) },
  );
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 5 }), fc.array(step, { maxLength: 60, size: "max" }), (leasesMax, steps) => {
      const owner = new Owner(leasesMax);
      const { queue } = owner;
      let target = 0;
      let submitted = 0;
      let answered = 0;
      for (const action of steps) {
        const leases = [...queue.leases.values()];
        const which = action.length > 1 ? leases[(action[1] as number) % Math.max(1, leases.length)] : undefined;
        const oldest = owner.tasks.find((task) => which !== undefined && task.lease === which);
        switch (action[0]) {
          case "submit":
            owner.submit(action[1], callableOf(action[2]));
            submitted += action[1];
            break;
          case "grant": owner.grant(); break;
          case "answer":
            if (oldest === undefined) break;
            which?.remove(oldest);
            answered++;
            break;
          case "reject":
            if (oldest === undefined) break;
            which?.remove(oldest);
            queue.giveBack(oldest);
            break;
          case "close":
            if (which !== undefined && which.inFlight === 0) queue.closed(which.leaseId);
            break;
          case "distribute": {
            const expected = [...queue.tasks].map(({ sequence }) => sequence);
            const before = owner.sent.length;
            owner.distribute();
            assert.deepEqual(owner.sent.slice(before).map(([, sequence]) => sequence), expected.slice(0, owner.sent.length - before));
            if (queue.tasks.length > 0) for (const lease of queue.leases.values()) assert.ok(lease.inFlight > 0, "a free lease takes what waits");
            break;
          }
        }
        const next = queue.nextLeaseTarget();
        if (next !== undefined) target = next;
        if (queue.tasks.length > 0) assert.ok(target > 0, "whoever waits is known");
        const inFlight = [...queue.leases.values()].reduce((sum, lease) => sum + lease.inFlight, 0);
        assert.equal(queue.tasks.length + inFlight + answered, submitted, "no task is lost or doubled");
        for (const lease of queue.leases.values()) assert.ok(lease.inFlight <= 2048 && lease.workUs >= 0);
      }
    }),
  );
});

import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { type EncodedValueRecord, type LeaseShape, plainWorkerKind, type WorkerDeath } from "../protocol/mod.ts";
import type { Channel } from "../transport/mod.ts";
import { Peer } from "./peer.ts";
import type { TaskSender } from "./task-sender.ts";
import { TaskSubmitter } from "./task-submitter.ts";
import { EncodedArg, FunctionCallable, leaseKeyOf, PendingTask } from "./task.ts";

const SHAPE: LeaseShape = { resources: { CPU: 10_000 }, workerKind: plainWorkerKind("process"), strategy: null, bundle: null };
const KEY = "k";
/** Of tasks with one large argument, before and after a node has asked which. */
const UNNAMED: LeaseShape = { ...SHAPE, arguments: { type: "unnamed", areNear: false } };
const STORED = { node: "n", id: 6, row: 6, byteLength: 2 ** 20 };
const NAMED_KEY = leaseKeyOf({ ...SHAPE, arguments: { type: "named", objects: [{ node: STORED.node, id: STORED.id, byteLength: STORED.byteLength }] } });
const argument = (): EncodedArg => new EncodedArg({ format: 0, header: new Uint8Array(), buffers: [], descriptors: [], code: [], stored: STORED } satisfies EncodedValueRecord);
const CHANNEL: Channel = {
  peerId: "w", isClosed: false, flush: () => true, onFrame: () => undefined, onClose: () => undefined, close: () => undefined, ref: () => undefined, unref: () => undefined, send: () => true, sendParts: () => true,
};
const KILLED: WorkerDeath = { reason: "was killed", pid: 1, isRetryable: true };

/** One owner whose workers are made when a lease is granted, and end when it is said. */
class Owner {
  readonly failed: [sequence: number, message: string][] = [];
  /** Of their errors. */
  readonly kinds: string[] = [];
  /** Leases asked for in all, by key. */
  readonly wanted = new Map<string, number>();
  /** Leases of which the node manager knows that all is known. */
  readonly settled: number[] = [];
  onSettled = (): void => undefined;
  readonly #peers = new Map<string, Peer>();
  readonly #submitter = new TaskSubmitter({
    workerId: "o",
    clock: { nowMs: () => 0, after: () => ({ cancel: () => undefined }) },
    sender: { send: (peer: Peer, _leaseId: number, tasks: readonly PendingTask[]) => { for (const task of tasks) peer.takeSlot(task); } } as unknown as TaskSender,
    peer: (workerId) => this.#peers.get(workerId) as Peer,
    leaseSettled: (leaseId) => { this.settled.push(leaseId); this.onSettled(); }, requestLeases: (key, _shape, target) => this.wanted.set(key, target), warn: () => undefined, runLater: () => undefined, dropped: () => undefined,
    fail: (task, failure) => {
      if (failure.kind !== "systemError") return;
      this.failed.push([task.sequence, failure.error.message]);
      this.kinds.push(failure.error.kind);
    },
  });
  readonly #callable = new FunctionCallable("u", "f");
  #nextTask = 1;
  #nextLease = 1;

  constructor() {
    this.#callable.averageUs = 1;
  }

  submit(maxRetries: number, shape = SHAPE, args: unknown[] = []): PendingTask {
    const queue = this.#submitter.queue(shape === SHAPE ? KEY : leaseKeyOf(shape), shape, 10);
    const task = new PendingTask({ callable: this.#callable, queue, displayName: null, returns: 1, maxRetries, followsRules: false, retryExceptions: null, unconsumedMax: null, limits: null, priority: 0 }, this.#nextTask++, args, null);
    this.#submitter.submit(task);
    return task;
  }

  /** All that wait are sent there. */
  startWorker(key = KEY): Peer {
    const leaseId = this.#nextLease++;
    const peer = new Peer(`w${leaseId}`);
    peer.opened(CHANNEL);
    this.#peers.set(peer.workerId, peer);
    this.#submitter.leaseGranted(key, leaseId, peer.workerId);
    return peer;
  }

  /** Another node has room for one of the tasks with a large argument, and asks which argument. */
  nameArguments(): void {
    this.#submitter.nameArguments(leaseKeyOf(UNNAMED), 1);
  }

  /** The worker of a lease has answered all that was sent there, and gives it back. */
  answer(tasks: readonly PendingTask[], leaseId: number): void {
    for (const task of tasks) this.#submitter.left(task);
    this.#submitter.leaseClosed(leaseId);
    this.#submitter.flush();
  }

  /** The node manager has this lease back, which its worker has not said yet. */
  take(leaseId: number): void { this.#submitter.leaseTaken(leaseId, `w${leaseId}`); }

  /** Its worker gives it back without having run it. */
  reject(task: PendingTask): void {
    this.#submitter.handedBack(task);
    this.#submitter.flush();
  }

  get queued(): number[] {
    return Array.from(this.#submitter.queued(), ({ sequence }) => sequence);
  }

  lose(peer: Peer, death: WorkerDeath): void {
    this.#submitter.workerLost(peer, death);
    this.#submitter.flush();
  }
}

describe("tasks whose worker has ended", () => {
  test("run again at no cost when it was ended by force, and then use up retries", () => {
    const owner = new Owner();
    owner.submit(1);
    const runs = (): number => { let count = 0; for (; owner.failed.length === 0; count++) owner.lose(owner.startWorker(), { ...KILLED, isForced: true }); return count; };
    assert.equal(runs(), 5, "the first run, three for nothing, one for the retry");
  });

  test("use up a retry if they had begun, and none if they had not", () => {
    const owner = new Owner();
    const tasks = Array.from({ length: 5 }, () => owner.submit(0));
    const [first, second, third, fourth, fifth] = tasks.map(({ sequence }) => sequence) as [number, number, number, number, number];
    owner.lose(owner.startWorker(), { ...KILLED, begun: new Map([["o", new Set([second, 1_000])], ["another", new Set([first])]]) });
    assert.deepEqual(owner.failed.map(([sequence]) => sequence), [second]);
    owner.lose(owner.startWorker(), { ...KILLED, begun: new Map([["o", new Set()]]) });
    assert.deepEqual(owner.failed.map(([sequence]) => sequence), [second]);
    owner.lose(owner.startWorker(), { ...KILLED, begun: new Map([["another", new Set([first])]]) });
    assert.deepEqual(owner.failed.map(([sequence]) => sequence), [second, first, third, fourth, fifth], "nobody knows what had begun");
  });

  test("run again at no cost for as often as nodes leave, and groups of others end", () => {
    const owner = new Owner();
    owner.submit(1);
    for (let ends = 0; ends < 50; ends++) owner.lose(owner.startWorker(), { ...KILLED, isForced: true, ...(ends % 2 === 0 ? { isNodeDrained: true } : { removedGroup: { groupId: "g", reason: "was removed" } }) });
    assert.deepEqual(owner.failed, []);
  });
});

test("what failed with its worker names that, with the process only where it had one that is known", () => {
  const owner = new Owner();
  const messageOf = (pid: number): string | undefined => {
    owner.submit(0);
    owner.lose(owner.startWorker(), { ...KILLED, pid });
    return owner.failed.at(-1)?.[1];
  };
  assert.match(messageOf(7) ?? "", /\(worker w1, pid 7\)$/);
  assert.match(messageOf(0) ?? "", /\(worker w2\)$/);
});

describe("a lease that has ended", () => {
  test("has its owner say what it wants now, before it says that this is all, whether or not it has heard of the end before", () => {
    const owner = new Owner();
    const tasks = Array.from({ length: 3 }, () => owner.submit(0));
    owner.startWorker();
    const wantedWhenSettled: (number | undefined)[] = [];
    owner.onSettled = () => void wantedWhenSettled.push(owner.wanted.get(KEY));
    owner.take(1);
    assert.deepEqual(wantedWhenSettled, [4], "the lease that was, and one for each task that is to come back");
    owner.answer(tasks, 1);
    owner.take(1);
    assert.deepEqual(wantedWhenSettled, [4, 1], "they had just ended");
    assert.deepEqual(owner.settled, [1, 1]);
  });

  test("was for one set of arguments: what comes back from there asks for another one by itself, and not before", () => {
    const owner = new Owner();
    const task = owner.submit(0, UNNAMED, [argument()]);
    owner.nameArguments();
    owner.startWorker(NAMED_KEY);
    assert.equal(owner.wanted.get(NAMED_KEY), 0, "nothing waits");
    owner.take(1);
    assert.equal(owner.wanted.get(NAMED_KEY), 0);
    owner.reject(task);
    assert.equal(owner.wanted.get(NAMED_KEY), 1);
  });
});

describe("tasks that may not run again (maxRetries 0)", () => {
  const drained: WorkerDeath = { reason: "was on node n, which was drained", pid: 0, isRetryable: true, isNodeLost: true, isNodeDrained: true, isForced: true };
  const ends: readonly (readonly [what: string, death: WorkerDeath, kind: string])[] = [
    ["by force, to cancel another task", { ...KILLED, isForced: true }, "WorkerCrashedError"],
    ["with a placement group of others", { ...KILLED, isForced: true, removedGroup: { groupId: "g", reason: "was removed" } }, "WorkerCrashedError"],
    ["with a node that drains", drained, "NodeDiedError"],
    ["for want of memory", { ...KILLED, isMemoryShort: true, isOutOfMemory: true }, "OutOfMemoryError"],
  ];
  for (const [what, death, kind] of ends) {
    test(`fail when they have begun and their worker ends ${what}, and go elsewhere when they have not`, () => {
      const owner = new Owner();
      const [begun, waiting] = [owner.submit(0), owner.submit(0)];
      owner.lose(owner.startWorker(), { ...death, begun: new Map([["o", new Set([begun.sequence])]]) });
      assert.deepEqual([owner.failed.map(([sequence]) => sequence), owner.kinds, owner.queued], [[begun.sequence], [kind], [waiting.sequence]]);
      assert.match(owner.failed[0]?.[1] ?? "", new RegExp(`${death.reason}; the task had begun, and with maxRetries 0 it never runs again: allow it retries \\(maxRetries\\)`));
      owner.lose(owner.startWorker(), death);
      assert.match(owner.failed[1]?.[1] ?? "", /may have begun/, "nobody knows");
      assert.deepEqual(owner.queued, []);
    });
  }

  test("go elsewhere when they come to a worker that has nothing to do and ends", () => {
    const owner = new Owner();
    const task = owner.submit(0);
    owner.lose(owner.startWorker(), { ...KILLED, isRetired: true });
    assert.deepEqual([owner.failed, owner.queued], [[], [task.sequence]]);
  });
});

describe("tasks with the same large argument", () => {
  test("wait for a lease of theirs when the one that was given for tasks before them ends", () => {
    const owner = new Owner();
    const [first, second] = [owner.submit(0, UNNAMED, [argument()]), owner.submit(0, UNNAMED, [argument()])];
    owner.nameArguments();
    owner.startWorker(NAMED_KEY);
    owner.nameArguments();
    assert.deepEqual([owner.queued, owner.wanted.get(NAMED_KEY)], [[second.sequence], 1]);
    owner.answer([first], 1);
    assert.deepEqual([owner.queued, owner.wanted.get(NAMED_KEY)], [[second.sequence], 1]);
    owner.startWorker(NAMED_KEY);
    assert.deepEqual(owner.queued, []);
  });
});

import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { plainWorkerKind, type WorkerDeath } from "../protocol/mod.ts";
import type { Channel } from "../transport/mod.ts";
import { Peer } from "./peer.ts";
import type { TaskSender } from "./task-sender.ts";
import { TaskSubmitter } from "./task-submitter.ts";
import { FunctionCallable, PendingTask } from "./task.ts";

const SHAPE = { resources: { CPU: 10_000 }, workerKind: plainWorkerKind("process"), strategy: null, bundle: null };
const KEY = "k";
const CHANNEL: Channel = {
  peerId: "w", isClosed: false, flush: () => true, onFrame: () => undefined, onClose: () => undefined, close: () => undefined, ref: () => undefined, unref: () => undefined, send: () => true, sendParts: () => true,
};
const KILLED: WorkerDeath = { reason: "was killed", pid: 1, isRetryable: true };

/** One owner whose workers are made when a lease is granted, and end when it is said. */
class Owner {
  readonly failed: [sequence: number, message: string][] = [];
  readonly #peers = new Map<string, Peer>();
  readonly #submitter = new TaskSubmitter({
    workerId: "o",
    clock: { nowMs: () => 0, after: () => ({ cancel: () => undefined }) },
    sender: { send: (peer: Peer, _leaseId: number, tasks: readonly PendingTask[]) => { for (const task of tasks) peer.takeSlot(task); } } as unknown as TaskSender,
    peer: (workerId) => this.#peers.get(workerId) as Peer,
    requestLeases: () => undefined, warn: () => undefined, runLater: () => undefined, dropped: () => undefined,
    fail: (task, failure) => { if (failure.kind === "systemError") this.failed.push([task.sequence, failure.error.message]); },
  });
  readonly #callable = new FunctionCallable("u", "f");
  #nextTask = 1;
  #nextLease = 1;

  constructor() {
    this.#callable.averageUs = 1;
  }

  submit(maxRetries: number): PendingTask {
    const queue = this.#submitter.queue(KEY, SHAPE, 10);
    const task = new PendingTask({ callable: this.#callable, queue, displayName: null, returns: 1, maxRetries, followsRules: false, retryExceptions: null, unconsumedMax: null, limits: null, priority: 0 }, this.#nextTask++, [], null);
    this.#submitter.submit(task);
    return task;
  }

  /** All that wait are sent there. */
  startWorker(): Peer {
    const leaseId = this.#nextLease++;
    const peer = new Peer(`w${leaseId}`);
    peer.opened(CHANNEL);
    this.#peers.set(peer.workerId, peer);
    this.#submitter.leaseGranted(KEY, leaseId, peer.workerId);
    return peer;
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
    owner.submit(0);
    for (let ends = 0; ends < 50; ends++) owner.lose(owner.startWorker(), { ...KILLED, isForced: true, ...(ends % 2 === 0 ? { isNodeDrained: true } : { removedGroup: { groupId: "g", reason: "was removed" } }) });
    assert.deepEqual(owner.failed, []);
  });
});

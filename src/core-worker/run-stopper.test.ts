import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Deque } from "../base/mod.ts";
import type { Execution } from "./execution.ts";
import type { HeldLease } from "./held-lease.ts";
import { RunScope } from "./run-scope.ts";
import { RunStopper } from "./run-stopper.ts";

interface Fake { readonly sequence: number; readonly peer: { readonly workerId: string }; readonly lease: object | null; readonly actor: { readonly actorId: string } | null; readonly stream: object | null; readonly ownScope: RunScope; readonly name: string }

class Harness {
  readonly log: string[] = [];
  readonly running = new Set<Execution>();
  readonly leases = new Map<string, { ownerId: string; queue: Deque<Execution> }>();
  readonly waitingCalls = new Deque<Execution>();
  children: ReadonlySet<RunScope> = new Set();
  readonly stopper = new RunStopper({
    workerId: "here",
    running: this.running,
    leases: () => this.leases.values() as unknown as Iterable<HeldLease<Execution>>,
    actor: (actorId) => (actorId === "actor" ? { removeWaiting: (matches: (call: Execution) => boolean) => this.waitingCalls.removeWhere(matches) } as never : undefined),
    refuse: (execution) => this.log.push(`refuse ${execution.name}`),
    queueChanged: (lease) => this.log.push(`queue of ${lease.ownerId}`),
    closeStream: (execution) => this.log.push(`close ${execution.name}`),
    cancelChildren: (scopes) => { this.children = scopes; },
  });

  make(ownerId: string, sequence: number, more: Partial<Fake> = {}): Execution {
    return { sequence, peer: { workerId: ownerId }, lease: {}, actor: null, stream: null, ownScope: new RunScope(), name: `${ownerId}${sequence}`, ...more } as Fake as unknown as Execution;
  }
  run(...made: Execution[]): void {
    for (const execution of made) this.running.add(execution);
  }
  queue(ownerId: string, ...made: Execution[]): void {
    const queue = new Deque<Execution>();
    for (const execution of made) queue.push(execution);
    this.leases.set(ownerId, { ownerId, queue });
  }
  get cancelled(): string[] {
    return [...this.running].filter((execution) => execution.ownScope.isCancelled).map((execution) => execution.name);
  }
}

describe("RunStopper", () => {
  it("refuses what has not started, and stops what runs, of this owner alone", () => {
    const harness = new Harness();
    harness.run(harness.make("a", 1), harness.make("a", 2), harness.make("b", 1));
    harness.queue("a", harness.make("a", 3), harness.make("a", 4), harness.make("a", 5));
    harness.queue("b", harness.make("b", 3));
    harness.stopper.stop("a", null, [1, 3, 5, 99], false);
    assert.deepEqual(harness.log, ["refuse a3", "refuse a5", "queue of a"]);
    assert.deepEqual(harness.cancelled, ["a1"]);
    assert.equal(harness.children.size, 0);
  });

  it("keeps tasks and calls of actors apart", () => {
    const harness = new Harness();
    const call = (sequence: number): Execution => harness.make("a", sequence, { lease: null, actor: { actorId: "actor" }, name: `call${sequence}` });
    harness.run(harness.make("a", 1), call(1));
    harness.waitingCalls.push(call(2));
    harness.waitingCalls.push(call(3));
    harness.stopper.stop("a", "actor", [1, 3], true);
    assert.deepEqual(harness.log, ["refuse call3"]);
    assert.deepEqual(harness.cancelled, ["call1"]);
    harness.stopper.stop("a", "gone", [1, 2], true);
    assert.deepEqual(harness.log, ["refuse call3"]);
  });

  it("closes streams, and hands on what was submitted, once", () => {
    const harness = new Harness();
    const [first, second] = [harness.make("a", 1, { stream: {} }), harness.make("a", 2)];
    harness.run(first, second);
    harness.stopper.stop("a", null, [1], true);
    harness.stopper.stop("a", null, [1, 2], true);
    assert.deepEqual(harness.log, ["close a1", "close a1"]);
    assert.deepEqual([...harness.children], [second.ownScope], "a message that comes twice changes nothing");
  });

  it("stops tasks whose owner is lost, and no calls of actors", () => {
    const harness = new Harness();
    harness.run(harness.make("a", 1), harness.make("a", 2, { lease: null, actor: { actorId: "actor" } }), harness.make("b", 1));
    harness.stopper.ownerLost("a");
    assert.deepEqual(harness.cancelled, ["a1"]);
    assert.equal(harness.children.size, 1);
  });
});

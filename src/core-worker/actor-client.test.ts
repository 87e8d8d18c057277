import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import type { ActorPhase, ActorStateRecord } from "../protocol/mod.ts";
import { ActorClient, type FailedCall, type WaitingCall } from "./actor-client.ts";

interface Call extends WaitingCall {
  isDone: boolean;
  unresolvedCount: number;
}

const stateOf = (phase: ActorPhase, workerId: string | null = null, message = "over", number = 0): ActorStateRecord => ({
  actorId: "a", phase, workerId, number, death: phase === "DEAD" ? { message, reason: "workerLost", creation: null, refusal: null } : null, aliasOf: null,
});
const kinds = (failed: readonly FailedCall<Call>[]): [number, string][] => failed.map(({ call, failure }) => [call.sequence, failure.error && "kind" in failure.error ? failure.error.kind : "?"]);

class Caller {
  readonly client: ActorClient<Call>;
  #next = 1;

  constructor({ allowsOvertaking = false } = {}) {
    this.client = new ActorClient<Call>("a", "owner", false, false, { className: "Counter", rules: { maxTaskRetries: 0, maxPendingCalls: -1, groups: {}, allowsOvertaking } });
  }

  call(retriesLeft = 0, unresolvedCount = 0): Call {
    const sequence = this.#next++;
    const call: Call = { sequence, name: "Counter.add", isDone: false, unresolvedCount, retriesLeft, followsRules: retriesLeft === 0 };
    this.client.add(call);
    return call;
  }
  send(): number[] {
    const calls: Call[] = [];
    this.client.takeSendable(calls);
    return calls.map(({ sequence }) => sequence);
  }
  answered(count = 1): void {
    this.client.inFlight -= count;
  }
}

describe("an actor as its caller sees it", () => {
  test("takes over the rules of the actor that it turns out to stand for, also for calls that were made already", () => {
    const caller = new Caller();
    const [ruled, own] = [caller.call(), caller.call(7)];
    caller.client.standsForOneOf({ className: "Other", rules: { maxTaskRetries: 3, maxPendingCalls: 5, groups: {}, allowsOvertaking: true } });
    assert.deepEqual([ruled.retriesLeft, own.retriesLeft], [3, 7]);
    assert.equal(caller.client.className, "Other");
    assert.equal(caller.client.rules.maxPendingCalls, 5);
  });

  test("gets calls in order, up to the first whose arguments are not there", () => {
    const caller = new Caller();
    caller.call();
    const waits = caller.call(0, 1);
    caller.call();
    assert.deepEqual(caller.send(), [], "nobody knows where it is");
    caller.client.stateChanged(stateOf("ALIVE", "w1"));
    assert.deepEqual(caller.send(), [1]);
    waits.unresolvedCount = 0;
    assert.deepEqual(caller.send(), [2, 3]);
  });

  test("passes over calls that have their outcome already", () => {
    const caller = new Caller();
    caller.client.stateChanged(stateOf("ALIVE", "w1"));
    caller.call(0, 1).isDone = true;
    caller.call();
    assert.deepEqual(caller.send(), [2]);
    assert.equal(caller.client.inFlight, 1);
  });

  test("where calls may overtake, one that waits for its arguments holds up none, and is sent when they are there", () => {
    const caller = new Caller({ allowsOvertaking: true });
    caller.client.stateChanged(stateOf("ALIVE", "w1"));
    const [late, failing] = [caller.call(0, 1), caller.call(0, 1)];
    caller.call();
    assert.deepEqual(caller.send(), [3]);
    late.unresolvedCount = 0;
    caller.client.argsSettled(late);
    failing.unresolvedCount = 0;
    failing.isDone = true; // An argument failed, and it with it.
    caller.client.argsSettled(failing);
    assert.deepEqual(caller.send(), [1]);
    const never = caller.call(0, 1);
    assert.deepEqual(kinds(caller.client.stateChanged(stateOf("DEAD"))), [[never.sequence, "ActorDiedError"]]);
  });

  test("tells once of its beginning and its end, or that nothing will be known of them", () => {
    const heard: string[] = [];
    const note = (what: string) => (failure: { kind: string } | null): void => void heard.push(`${what} ${failure === null ? "yes" : failure.kind}`);
    const { client } = new Caller();
    client.whenReady(note("ready"));
    client.whenDead(note("dead"));
    client.stateChanged(stateOf("ALIVE", "w1"));
    client.stateChanged(stateOf("DEAD"));
    client.whenReady(note("ready later"));
    client.whenDead(note("dead later"));
    const { client: other } = new Caller();
    other.whenReady(note("ready"));
    other.whenDead(note("dead"));
    other.stopWatching({ kind: "systemError", error: { kind: "RuntimeStateError", message: "over", subjectId: null } });
    assert.deepEqual(heard, ["ready yes", "dead yes", "ready later systemError", "dead later yes", "ready systemError", "dead systemError"]);
  });

  for (const order of ["the loss first", "the word first"] as const) {
    test(`(3) restarts: what was there fails or runs again before the rest, what was not sent waits; ${order}`, () => {
      const caller = new Caller();
      caller.client.stateChanged(stateOf("ALIVE", "w1"));
      const once = caller.call(0);
      const twice = caller.call(2);
      const always = caller.call(-1);
      caller.send();
      const later = caller.call(0);
      const lose = (): FailedCall<Call>[] => caller.client.workerLost("w1", [always, once, twice], "crashed");
      const tell = (): FailedCall<Call>[] => caller.client.stateChanged(stateOf("RESTARTING"));
      const failed = order === "the loss first" ? [...lose(), ...tell()] : [...tell(), ...lose()];
      assert.deepEqual(kinds(failed), [[1, "ActorUnavailableError"]]);
      assert.match(failed[0]?.failure.error.message ?? "", /Counter\.add\(\).*crashed/);
      assert.equal(caller.client.inFlight, 0);
      assert.deepEqual([twice.retriesLeft, always.retriesLeft, later.retriesLeft], [1, -1, 0]);
      assert.deepEqual(caller.send(), []);
      caller.client.stateChanged(stateOf("ALIVE", "w2"));
      assert.deepEqual(caller.send(), [2, 3, 4]);
    });

    test(`(4) dies: all fail, whatever retries are left; ${order}`, () => {
      const caller = new Caller();
      caller.client.stateChanged(stateOf("ALIVE", "w1"));
      const sent = caller.call(-1);
      caller.send();
      caller.call(-1);
      const lose = (): FailedCall<Call>[] => caller.client.workerLost("w1", [sent], "crashed");
      const tell = (): FailedCall<Call>[] => caller.client.stateChanged(stateOf("DEAD", null, "killed"));
      const failed = order === "the loss first" ? [...lose(), ...tell()] : [...tell(), ...lose()];
      assert.deepEqual(kinds(failed).sort(), [[1, "ActorDiedError"], [2, "ActorDiedError"]]);
      assert.match(failed.find(({ call }) => call === sent)?.failure.error.message ?? "", /running or waiting there.*crashed/);
      assert.match(failed.find(({ call }) => call !== sent)?.failure.error.message ?? "", /killed/);
    });
  }

  test("(1) sends nothing to the new worker while calls at the old one have no outcome", () => {
    const caller = new Caller();
    caller.client.stateChanged(stateOf("ALIVE", "w1"));
    const [first, second] = [caller.call(1), caller.call(1)];
    caller.send();
    caller.call();
    caller.client.stateChanged(stateOf("RESTARTING"));
    caller.client.stateChanged(stateOf("ALIVE", "w2"));
    assert.deepEqual(caller.send(), [], "results of the old worker may still arrive");
    caller.answered(); // The first one's did.
    first.isDone = true;
    assert.deepEqual(caller.client.workerLost("w1", [second], "crashed"), []);
    assert.deepEqual(caller.send(), [2, 3]);
  });

  test("a call between two runs keeps its turn at its worker, and its place in the order when that is lost", () => {
    const caller = new Caller();
    caller.client.stateChanged(stateOf("ALIVE", "w1"));
    const throws = caller.call(3);
    caller.send();
    assert.equal(caller.client.turnKeptAt, "w1");
    const later = caller.call();
    caller.client.workerLost("w1", [], "crashed");
    assert.equal(caller.client.turnKeptAt, null);
    caller.client.stateChanged(stateOf("RESTARTING"));
    caller.client.stateChanged(stateOf("ALIVE", "w2"));
    assert.deepEqual(caller.send(), [], "the call that is between two runs comes first");
    assert.equal(caller.client.turnKeptAt, null, "it kept none here");
    assert.deepEqual(caller.client.runsElsewhere(throws), []);
    assert.equal(throws.retriesLeft, 3, "at no further cost");
    assert.deepEqual(caller.send(), [throws.sequence, later.sequence]);
  });

  test("a call between two runs fails when the actor is dead", () => {
    const caller = new Caller();
    caller.client.stateChanged(stateOf("ALIVE", "w1"));
    const throws = caller.call(3);
    caller.send();
    caller.client.workerLost("w1", [], "crashed");
    caller.client.stateChanged(stateOf("DEAD"));
    assert.deepEqual(kinds(caller.client.runsElsewhere(throws)), [[1, "ActorDiedError"]]);
    assert.equal(caller.client.inFlight, 0);
  });

  test("gives out everything that was not sent when the runtime ends, what was lost too", () => {
    const caller = new Caller();
    caller.client.stateChanged(stateOf("ALIVE", "w1"));
    const lost = caller.call(1);
    caller.send();
    caller.call();
    caller.client.workerLost("w1", [lost], "crashed");
    assert.deepEqual(caller.client.takeUnsent().map(({ sequence }) => sequence), [1, 2]);
  });

  test("(2) (3) a shared one may start again in the same worker: calls that were there run again under its new number, or fail", () => {
    const caller = new Caller();
    const { client } = caller;
    const [again, once] = [caller.call(1), caller.call()];
    client.stateChanged(stateOf("ALIVE", "w1", "", 7));
    assert.deepEqual(caller.send(), [1, 2]);
    caller.call();
    assert.deepEqual(client.callLost(again, "it was killed"), [], "the GCS has not said anything");
    assert.deepEqual(client.callLost(once, "it was killed"), []);
    assert.deepEqual(kinds(client.stateChanged(stateOf("RESTARTING"))), [[2, "ActorUnavailableError"]]);
    assert.deepEqual(caller.send(), []);
    client.stateChanged(stateOf("ALIVE", "w1", "", 8));
    assert.deepEqual(caller.send(), [1, 3]);
    assert.equal(client.number, 8);
  });

  test("(2) (3) what was at its former place of the same worker comes back before anything is sent to the new one", () => {
    const caller = new Caller();
    const { client } = caller;
    const call = caller.call(1);
    client.stateChanged(stateOf("ALIVE", "w1", "", 7));
    caller.send();
    client.stateChanged(stateOf("RESTARTING"));
    client.stateChanged(stateOf("ALIVE", "w1", "", 8));
    caller.call();
    assert.deepEqual(caller.send(), []);
    assert.deepEqual(client.callLost(call, "it was killed"), []);
    assert.deepEqual(caller.send(), [1, 2]);
  });
});

test("whatever happens: calls start in order at every worker, at most once without a retry, and each has one outcome", () => {
  const step = fc.oneof(
    { weight: 5, arbitrary: fc.tuple(fc.constant("call" as const), fc.constantFrom(0, 1, 2, -1)) },
    { weight: 5, arbitrary: fc.tuple(fc.constant("answer" as const), fc.nat({ max: 3 })) },
    { weight: 2, arbitrary: fc.constantFrom(["crash"] as const, ["restart"] as const, ["alive"] as const, ["lost"] as const) },
  );
  fc.assert(
    fc.property(fc.array(step, { maxLength: 80, size: "max" }), (steps) => {
      const caller = new Caller();
      const { client } = caller;
      const calls: Call[] = [];
      const runs = new Map<number, number>();
      const outcomes = new Map<number, string>();
      const limits = new Map<number, number>();
      let worker = 0;
      let phase: ActorPhase = "PENDING_CREATION";
      /** Calls at each worker; a worker that is dead and not known as lost keeps them. */
      const at = new Map<string, Call[]>();
      const dead = new Set<string>();
      const settle = (call: Call, outcome: string): void => {
        assert.ok(!outcomes.has(call.sequence), `call ${call.sequence} has an outcome already`);
        outcomes.set(call.sequence, outcome);
        call.isDone = true;
      };
      const fail = (failed: readonly FailedCall<Call>[]): void => { for (const { call } of failed) settle(call, "failed"); };
      const send = (): void => {
        const sent: Call[] = [];
        client.takeSendable(sent);
        if (sent.length === 0) return;
        const workerId = client.workerId as string;
        const there = at.get(workerId) ?? [];
        for (const call of sent) {
          runs.set(call.sequence, (runs.get(call.sequence) ?? 0) + 1);
          assert.ok(there.length === 0 || (there.at(-1) as Call).sequence < call.sequence, "in order");
          there.push(call);
        }
        at.set(workerId, there);
      };
      for (const action of steps) {
        const current = `w${worker}`;
        switch (action[0]) {
          case "call": {
            const call = caller.call(action[1]);
            limits.set(call.sequence, action[1]);
            calls.push(call);
            break;
          }
          case "answer": {
            const there = at.get(current) ?? [];
            for (const call of dead.has(current) ? [] : there.splice(0, action[1])) { settle(call, "answered"); client.inFlight--; }
            break;
          }
          case "alive":
            if (phase === "ALIVE") break;
            phase = "ALIVE";
            fail(client.stateChanged(stateOf("ALIVE", `w${++worker}`)));
            break;
          case "crash":
            if (phase === "ALIVE") dead.add(current);
            break;
          case "restart":
            if (!dead.has(current) || phase !== "ALIVE") break;
            phase = "RESTARTING";
            fail(client.stateChanged(stateOf("RESTARTING")));
            break;
          case "lost":
            for (const workerId of dead) fail(client.workerLost(workerId, at.get(workerId)?.splice(0) ?? [], "crashed"));
            break;
        }
        send();
      }
      for (const workerId of dead) fail(client.workerLost(workerId, at.get(workerId)?.splice(0) ?? [], "crashed"));
      fail(client.stateChanged(stateOf("DEAD")));
      for (const [workerId, there] of at) fail(client.workerLost(workerId, there.splice(0), "crashed"));
      for (const call of calls) {
        assert.ok(outcomes.has(call.sequence), "every call has an outcome");
        const limit = limits.get(call.sequence) as number;
        if (limit !== -1) assert.ok((runs.get(call.sequence) ?? 0) <= limit + 1, "no more runs than allowed");
      }
      assert.equal(client.inFlight, 0);
    }),
  );
});

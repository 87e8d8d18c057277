import assert from "node:assert/strict";
import { test } from "node:test";
import { type AcceleratorIds, ActorDiedError, ActorUnavailableError } from "../base/mod.ts";
import type { StoreClient } from "../clients/mod.ts";
import type { ToNode, WorkerDeath } from "../protocol/mod.ts";
import type { Channel } from "../transport/mod.ts";
import { rehearsal } from "./actor-rehearsal.ts";
import { CoreWorker } from "./core-worker.ts";
import type { ObjectRef } from "./object-ref.ts";

const TURNS_MAX = 50;
const WORKER = "dead000000000001";
const DEATH: WorkerDeath = { reason: "was killed", pid: 7, isRetryable: true };
const ACTOR = { actorId: "actor00000000001", ownerId: "other00000000001", isDetached: true, isShared: false, className: "Counter" };

/** Keeps everything where it is. */
const STORE: StoreClient = { create: (value) => value, adopt: () => undefined, open: (value) => value, prefetch: () => undefined, release: () => undefined, describe: () => undefined, originOf: () => null, owned: () => [], collectGarbage: () => undefined };

function coreWorker(sent: ToNode[] = [], accelerators: (AcceleratorIds | null)[] = [], exits: string[] = []): CoreWorker {
  let ids = 0;
  return new CoreWorker({
    workerId: "self000000000001", jobId: "j", namespace: "n", nodeId: "node", isDriver: true, pid: 1, totals: { CPU: 10_000 }, labels: {}, store: STORE,
    clock: { nowMs: () => 0, after: () => ({ cancel: () => undefined }) }, random: { hex: (bytes) => (++ids).toString(16).padStart(2 * bytes, "0"), below: () => 0 },
    sendToNode: (message) => void sent.push(message), sendToNodeSoon: (message) => void sent.push(message), keepAlive: () => undefined, useAccelerators: (ids) => void accelerators.push(ids), exit: (reason) => void exits.push(reason), flushToNode: () => undefined, codeOrigin: null, modules: { compare: () => "same", answer: () => Promise.reject(new Error("not asked")), place: () => Promise.reject(new Error("not asked")) }, warn: () => undefined,
  });
}

type Called = { readonly add: { remote(): ObjectRef } };
function handleOf(core: CoreWorker, isDetached = true): Called {
  return core.actors.reviveHandle({ kind: "actorHandle", ...ACTOR, isDetached, methods: { add: { isGenerator: false, options: null } }, rules: { maxTaskRetries: 0, maxPendingCalls: -1, allowOutOfOrderExecution: false } } as never) as never;
}

async function outcomeOf(ref: ObjectRef, core: CoreWorker): Promise<unknown> {
  const outcome = core.get(ref).then((value) => value, (error: unknown) => error);
  const turns = async (): Promise<string> => {
    for (let turn = 0; turn < TURNS_MAX; turn++) await new Promise((resolve) => setImmediate(resolve));
    return "nothing yet";
  };
  return Promise.race([outcome, turns()]);
}

test("a call made between the end of an actor's worker and the end of the actor fails, though nothing was ever sent to that worker", async () => {
  const core = coreWorker();
  const handle = handleOf(core);
  core.onNodeMessage({ type: "actorState", state: { actorId: ACTOR.actorId, phase: "ALIVE", workerId: WORKER, number: 0, death: null, aliasOf: null } });
  core.onNodeMessage({ type: "workerDied", workerId: WORKER, cause: DEATH });
  const call = handle.add.remote();
  await new Promise((resolve) => setImmediate(resolve));
  core.onNodeMessage({ type: "actorState", state: { actorId: ACTOR.actorId, phase: "DEAD", workerId: null, number: 0, death: { message: "its worker was killed", reason: "killed", creation: null, refusal: null }, aliasOf: null } });
  const outcome = await outcomeOf(call, core);
  assert.ok(outcome instanceof ActorDiedError || outcome instanceof ActorUnavailableError, String(outcome));
});

test("a call on an actor whose owner has ended fails with the actor's end, also when calls after the owner's end were answered", async () => {
  const core = coreWorker();
  const handle = handleOf(core, false);
  const callOnce = (): void => core.references.unpin(core.references.pinReference(ACTOR.actorId, ACTOR.ownerId));
  core.onNodeMessage({ type: "actorState", state: { actorId: ACTOR.actorId, phase: "ALIVE", workerId: WORKER, number: 0, death: null, aliasOf: null } });
  core.onNodeMessage({ type: "workerDied", workerId: ACTOR.ownerId, cause: DEATH });
  callOnce();
  const call = handle.add.remote();
  await new Promise((resolve) => setImmediate(resolve));
  core.onNodeMessage({ type: "workerDied", workerId: WORKER, cause: DEATH });
  core.onNodeMessage({ type: "actorState", state: { actorId: ACTOR.actorId, phase: "DEAD", workerId: null, number: 0, death: { message: "its owner has ended", reason: "ownerEnded", creation: null, refusal: null }, aliasOf: null } });
  const outcome = await outcomeOf(call, core);
  assert.ok(outcome instanceof ActorDiedError, String(outcome));
});

test("an actor that is said to be in a worker whose end was heard of before is waited for until it is elsewhere", async () => {
  const sent: ToNode[] = [];
  const core = coreWorker(sent);
  const handle = handleOf(core);
  const isNow = (phase: "ALIVE" | "RESTARTING", workerId: string | null): void => core.onNodeMessage({ type: "actorState", state: { actorId: ACTOR.actorId, phase, workerId, number: 0, death: null, aliasOf: null } });
  core.onNodeMessage({ type: "workerDied", workerId: WORKER, cause: DEATH });
  const call = handle.add.remote();
  isNow("ALIVE", WORKER);
  await new Promise((resolve) => setImmediate(resolve));
  isNow("RESTARTING", null);
  isNow("ALIVE", "live000000000001");
  assert.equal(await outcomeOf(call, core), "nothing yet");
  assert.deepEqual(sent.filter(({ type }) => type === "connectPeer"), [{ type: "connectPeer", workerId: "live000000000001" }]);
  assert.equal(core.peer("live000000000001").hasTasksInFlight, true);
});

test("a call goes on elsewhere whose actor moves before its caller has a channel to it: it was not even sent", async () => {
  const core = coreWorker();
  const handle = handleOf(core);
  const isNow = (phase: "ALIVE" | "RESTARTING", workerId: string | null): void => core.onNodeMessage({ type: "actorState", state: { actorId: ACTOR.actorId, phase, workerId, number: 0, death: null, aliasOf: null } });
  isNow("ALIVE", WORKER);
  const call = handle.add.remote();
  await new Promise((resolve) => setImmediate(resolve));
  assert.equal(core.peer(WORKER).hasTasksInFlight, true);
  isNow("RESTARTING", null);
  core.onNodeMessage({ type: "workerDied", workerId: WORKER, cause: DEATH });
  isNow("ALIVE", "live000000000001");
  assert.equal(await outcomeOf(call, core), "nothing yet");
  assert.equal(core.peer("live000000000001").hasTasksInFlight, true);
});

test("a channel that opens after its worker has ended is closed, and nothing waits for that worker", async () => {
  const core = coreWorker();
  core.onNodeMessage({ type: "workerDied", workerId: WORKER, cause: DEATH });
  let isClosed = false;
  const channel: Channel = { peerId: WORKER, isClosed: false, send: () => true, sendParts: () => true, flush: () => true, onFrame: () => undefined, onClose: () => undefined, close: () => { isClosed = true; }, ref: () => undefined, unref: () => undefined };
  core.peerConnected(WORKER, channel, null);
  assert.ok(isClosed);
  assert.equal(core.peer(WORKER).send(new Uint8Array(1)), false);
});

test("a worker is told of its actor's accelerators, and of none only if it had some; a rehearsal changes nothing", () => {
  const accelerators: (AcceleratorIds | null)[] = [];
  const core = coreWorker([], accelerators);
  const start = (actorId: string, acceleratorIds: AcceleratorIds | null): void => {
    core.onNodeMessage({ type: "startActor", spec: { ...rehearsal(1, core.env).message.spec, actorId }, wasRestarted: false, acceleratorIds });
  };
  start("actor00000000001", null);
  assert.deepEqual(accelerators, []);
  start("actor00000000002", { GPU: ["3"] });
  core.actorHost.rehearse();
  assert.deepEqual(accelerators, [{ GPU: ["3"] }]);
  start("actor00000000003", null);
  assert.deepEqual(accelerators, [{ GPU: ["3"] }, null]);
});

test("an actor that is rehearsed leaves no trace", async () => {
  const sent: ToNode[] = [];
  const core = coreWorker(sent);
  core.actorHost.rehearse();
  await new Promise((resolve) => setImmediate(resolve));
  assert.equal(core.currentActor(), undefined);
  assert.equal(core.actorHost.byNumber(0), undefined);
  assert.deepEqual(sent, []);
});

test("a worker that is asked to end stays while something that it has sent has not arrived, and ends when it has", () => {
  const sent: ToNode[] = [];
  const exits: string[] = [];
  const core = coreWorker(sent, [], exits);
  let hasUndelivered = true;
  const channel: Channel = {
    peerId: WORKER, isClosed: false, get hasUndelivered() { return hasUndelivered; },
    flush: () => true, send: () => true, sendParts: () => true, onFrame: () => undefined, onClose: () => undefined, close: () => undefined, ref: () => undefined, unref: () => undefined,
  };
  core.peerConnected(WORKER, channel, null);
  core.onNodeMessage({ type: "retire" });
  assert.deepEqual([sent, exits], [[{ type: "retireRefused" }], []]);
  hasUndelivered = false;
  core.onNodeMessage({ type: "retire" });
  assert.deepEqual([sent, exits], [[{ type: "retireRefused" }], ["was idle and not needed any more"]]);
});

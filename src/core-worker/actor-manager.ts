import { type ActorId, afterThis, type WorkerId } from "../base/mod.ts";
import type { ActorSpec, ActorStateRecord, FoundActor, RuntimeDescriptor, ToNode, WorkerDeath } from "../protocol/mod.ts";
import { ActorClient, type FailedCall } from "./actor-client.ts";
import { ActorHandleObject, type HandleHost } from "./actor-handle.ts";
import { type ActorType, ActorTypes } from "./actor-type.ts";
import type { CallWatch } from "./call-watch.ts";
import { checkGroup } from "./call-templates.ts";
import { whichWorker } from "./failure-errors.ts";
import type { Failure } from "./object-entry.ts";
import type { Peer } from "./peer.ts";
import type { References } from "./references.ts";
import type { TaskSender } from "./task-sender.ts";
import { type ActorDescription, clientOf, MethodCallable, type PendingTask, type SharedMethodCallable, TURN_KEPT } from "./task.ts";

export interface ActorManagerEnvironment {
  readonly workerId: WorkerId;
  readonly references: References;
  readonly sender: TaskSender;
  readonly handleHost: HandleHost;
  readonly callWatch: CallWatch;
  peer(workerId: WorkerId): Peer;
  sendToNode(message: ToNode): void;
  sendToNodeSoon(message: ToNode): void;
  fail(task: PendingTask, failure: Failure): void;
  /** Drops what a cancelled call pinned, which was at a worker and is not any more. */
  dropped(call: PendingTask): void;
}

/** All actors that this worker calls: their state, their order of calls, and their handles. */
export class ActorManager {
  readonly #env: ActorManagerEnvironment;
  /** By the id that it was made with here. */
  readonly #clients = new Map<ActorId, ActorClient<PendingTask>>();
  /** By an actor's id: those that were made with `getIfExists` and turned out to stand for it. */
  readonly #aliases = new Map<ActorId, Set<ActorClient<PendingTask>>>();
  readonly #types = new ActorTypes();
  /** Of actors that are not shared. */
  readonly #methods = new WeakMap<ActorClient<PendingTask>, Map<string, MethodCallable>>();
  readonly #dirty = new Set<ActorClient<PendingTask>>();
  /** Actors of this worker that the GCS has not been told of, and whether their last handle is gone already. */
  readonly #uncreated = new Map<ActorId, { isOutOfScope: boolean }>();
  readonly #withDone = new Set<ActorClient<PendingTask>>();
  #isFlushScheduled = false;

  constructor(environment: ActorManagerEnvironment) {
    this.#env = environment;
  }

  // ------------------------------------------------------------------ handles

  /** The first handle of an actor that this worker creates. */
  createHandle(description: ActorDescription): ActorHandleObject {
    const client = this.#clientOf(description);
    client.isWatched = true; // The GCS tells the creator without being asked.
    this.#uncreated.set(client.actorId, { isOutOfScope: false });
    return this.#handle(client, description);
  }

  /** A handle that arrived in a value, or by name. */
  reviveHandle(descriptor: RuntimeDescriptor & { kind: "actorHandle" }): ActorHandleObject {
    return this.#handle(this.#clientOf(descriptor), descriptor);
  }

  /** The actor that runs in this worker, as its own code sees it: does not keep it alive unless it is passed on. */
  ownHandle(spec: ActorSpec): ActorHandleObject {
    return this.#newHandle(this.#clientOf(spec), spec);
  }

  #newHandle(client: ActorClient<PendingTask>, { className, methods, rules }: ActorDescription): ActorHandleObject {
    return ActorHandleObject.of(this.#env.handleHost, client, this.#types.of(className, methods, rules));
  }

  #handle(client: ActorClient<PendingTask>, description: ActorDescription): ActorHandleObject {
    const handle = this.#newHandle(client, description);
    if (!client.isDetached) this.#env.references.holdHandle(handle, client.actorId, client.ownerId);
    return handle;
  }

  releaseHandle(handle: ActorHandleObject): void {
    this.#env.references.dropHandle(handle);
  }

  #clientOf({ actorId, ownerId, isDetached, isShared, className, methods, rules }: ActorDescription): ActorClient<PendingTask> {
    let client = this.#clients.get(actorId);
    if (client === undefined) {
      client = new ActorClient<PendingTask>(actorId, ownerId, isDetached, isShared, this.#types.of(className, methods, rules));
      this.#clients.set(actorId, client);
    }
    return client;
  }

  /** No handle is left here, and no call of ours is on its way. */
  forget(actorId: ActorId): void {
    this.#clients.delete(actorId);
  }

  /** The GCS has been told to create it. */
  created(actorId: ActorId): void {
    const uncreated = this.#uncreated.get(actorId);
    this.#uncreated.delete(actorId);
    if (uncreated?.isOutOfScope === true) this.outOfScope(actorId);
  }

  /** Somebody watches an actor of this worker that the GCS does not know. */
  whereIs(actorId: ActorId): void {
    if (this.#uncreated.has(actorId)) return; // It will be told in time.
    this.#env.sendToNode({ type: "actorNotCreated", actorId, death: { message: "it is not known here any more: it ended long ago", reason: "unknown", creation: null, refusal: null } });
  }

  /** No handle of an actor that this worker created is left anywhere. */
  outOfScope(actorId: ActorId): void {
    const uncreated = this.#uncreated.get(actorId);
    if (uncreated !== undefined) {
      uncreated.isOutOfScope = true;
      return;
    }
    const client = this.#clients.get(actorId);
    this.#clients.delete(actorId);
    if (client === undefined || client.actorId === actorId) this.#env.sendToNodeSoon({ type: "actorOutOfScope", actorId });
    else {
      this.#env.references.dropHandle(client);
      const aliases = this.#aliases.get(client.actorId);
      if (aliases?.delete(client) === true && aliases.size === 0) this.#aliases.delete(client.actorId);
    }
  }

  /** Throws InvalidArgumentError for a group that the actor does not have. */
  methodOf(client: ActorClient<PendingTask>, method: string, group: string | null): MethodCallable | SharedMethodCallable {
    if (client.isShared) return (client.type as ActorType).sharedMethod(method, group);
    let methods = this.#methods.get(client);
    if (methods === undefined) this.#methods.set(client, (methods = new Map()));
    const key = group === null ? method : `${method}\n${group}`;
    let callable = methods.get(key);
    if (callable !== undefined) return callable;
    if (group !== null) checkGroup(group, client.rules.groups, `${client.className}.${method}`);
    methods.set(key, (callable = new MethodCallable(client, method, client.className, group)));
    return callable;
  }

  // ------------------------------------------------------------------ calls

  submit(client: ActorClient<PendingTask>, call: PendingTask): void {
    if (client.death !== null) return this.#env.fail(call, client.death);
    client.add(call);
    this.#watch(client);
    this.wake(client);
  }

  /** A call that was over runs once more. */
  submitAgain(client: ActorClient<PendingTask>, call: PendingTask): void {
    // Without a handle here nobody would tell what becomes of the actor.
    const isKnown = [...this.#clients.values()].includes(client) || this.#aliases.get(client.actorId)?.has(client) === true;
    if (!isKnown && client.death === null) this.#failAll(client.died({ message: "no handle of it is left here", reason: "outOfScope", creation: null, refusal: null }));
    if (client.death !== null) return this.#env.fail(call, client.death);
    client.addAgain(call);
    this.#watch(client);
    this.wake(client);
  }

  argsSettled(call: PendingTask): void {
    const client = clientOf(call);
    client.argsSettled(call);
    this.wake(client);
  }

  /** Something that its first waiting call needed may be there now. */
  wake(client: ActorClient<PendingTask>): void {
    this.#dirty.add(client);
    if (client.waiting.length % SEND_EARLY_AT_CALLS === 0 || this.#dirty.size >= SEND_EARLY_AT_CALLS) return this.flush();
    if (this.#isFlushScheduled) return;
    this.#isFlushScheduled = true;
    afterThis(() => {
      this.#isFlushScheduled = false;
      this.flush();
    });
  }

  flush(): void {
    for (const client of this.#withDone) client.dropDone();
    this.#withDone.clear();
    let calls: PendingTask[] = [];
    let peer: Peer | null = null;
    for (const client of this.#dirty) {
      if (client.workerId === null || client.waiting.length === 0) continue;
      const target = this.#env.peer(client.workerId);
      if (target.isLost) {
        // It has ended before the GCS's word that the actor is there came; the next one says where it goes from here.
        client.workerLost(target.workerId, [], "");
        continue;
      }
      if (target !== peer && calls.length > 0) {
        this.#env.sender.send(peer as Peer, 0, calls);
        calls = [];
      }
      peer = target;
      // Of many actors in one worker, calls travel in one frame.
      client.takeSendable(calls);
      if (client.isShared) this.#env.callWatch.sent(target);
    }
    if (calls.length > 0) this.#env.sender.send(peer as Peer, 0, calls);
    this.#dirty.clear();
  }

  finished(call: PendingTask): void {
    const client = clientOf(call);
    client.inFlight--;
    if (client.waiting.length > 0) this.wake(client);
  }

  #watch(client: ActorClient<PendingTask>): void {
    if (client.isWatched) return;
    client.isWatched = true;
    this.#env.sendToNode({ type: "watchActor", actorId: client.actorId, ownerId: client.ownerId });
  }

  /** A call that threw runs again: in its turn if its worker is there, so that those after it still come after it. */
  runAgain(call: PendingTask): void {
    const client = clientOf(call);
    const workerId = client.turnKeptAt;
    if (workerId === null) {
      this.#failAll(client.runsElsewhere(call));
      return this.wake(client);
    }
    call.slot = TURN_KEPT;
    this.#env.sender.send(this.#env.peer(workerId), 0, [call]);
  }

  /** A call that threw does not run again after all. */
  giveUpTurn(call: PendingTask): void {
    const client = clientOf(call);
    if (client.turnKeptAt !== null) this.#env.peer(client.turnKeptAt).sendMessage({ type: "turnGivenUp", actorId: client.actorId, taskSequence: call.sequence });
  }

  /** The calls that have not been sent. */
  *waiting(): Iterable<PendingTask> {
    for (const client of this.#clients.values()) yield* client.unsent();
  }

  /** Actors whose beginning somebody here waits for. */
  *awaited(): Iterable<ActorId> {
    for (const client of this.#clients.values()) if (client.isAwaited) yield client.actorId;
  }

  /** Some of its calls have their outcome before they could be sent. They are taken out together, at the end of the turn. */
  doneInQueue(client: ActorClient<PendingTask>): void {
    this.#withDone.add(client);
    this.wake(client);
  }

  /** The calls that have not been sent, taken out. Who waits for the beginning or end of an actor gets the failure. */
  takeWaiting(failure: Failure): PendingTask[] {
    for (const client of this.#clients.values()) client.stopWatching(failure);
    return [...this.#clients.values()].flatMap((client) => client.takeUnsent());
  }

  whenDead(client: ActorClient<PendingTask>, callback: (failure: Failure | null) => void): void {
    this.#watch(client);
    client.whenDead(callback);
  }

  whenReady(client: ActorClient<PendingTask>, callback: (failure: Failure | null) => void): void {
    this.#watch(client);
    client.whenReady(callback);
  }

  // ------------------------------------------------------------------ news

  stateChanged(state: ActorStateRecord): void {
    for (const alias of this.#aliases.get(state.actorId) ?? []) this.#clientStateChanged(alias, state);
    const client = this.#clients.get(state.actorId);
    if (client !== undefined) this.#clientStateChanged(client, state);
  }

  #clientStateChanged(client: ActorClient<PendingTask>, state: ActorStateRecord): void {
    const provisionalId = client.actorId;
    this.#failAll(client.stateChanged(state));
    if (client.actorId !== provisionalId) this.#aliased(client, state.aliasOf as FoundActor);
    if (client.workerId !== null) this.wake(client);
  }

  /** The name belonged to an actor already: from now on this worker counts as one of its holders. */
  #aliased(client: ActorClient<PendingTask>, { className, methods, rules }: FoundActor): void {
    client.standsForOneOf(this.#types.of(className, methods, rules));
    this.#methods.delete(client);
    const aliases = this.#aliases.get(client.actorId);
    if (aliases === undefined) this.#aliases.set(client.actorId, new Set([client]));
    else aliases.add(client);
    if (!client.isDetached) this.#env.references.holdHandle(client, client.actorId, client.ownerId);
  }

  /** The creation was refused before there was an actor. */
  creationFailed(actorId: ActorId, failure: Failure): void {
    this.#uncreated.delete(actorId);
    // For those who got a handle from us.
    this.#env.sendToNode({ type: "actorNotCreated", actorId, death: { message: failure.error.message, reason: "notCreated", creation: failure.kind === "taskError" ? failure.error : null, refusal: null } });
    const client = this.#clients.get(actorId);
    if (client === undefined) return;
    this.#failAll(client.failed(failure));
  }

  /** Its worker ended. What becomes of the calls that were there, and of later ones, depends on what the GCS says: dead, or restarted elsewhere. */
  workerLost(peer: Peer, death: WorkerDeath): void {
    const lost = new Map<ActorClient<PendingTask>, PendingTask[]>();
    const done: PendingTask[] = [];
    for (const call of [...peer.tasksInFlight()]) {
      if (call.queue !== null) continue;
      peer.releaseSlot(call.slot);
      if (call.isDone) {
        done.push(call);
        continue;
      }
      const client = clientOf(call);
      const calls = lost.get(client);
      if (calls === undefined) lost.set(client, [call]);
      else calls.push(call);
    }
    for (const client of this.#clients.values()) if (client.workerId === peer.workerId && !lost.has(client)) lost.set(client, []);
    for (const [client, calls] of lost) {
      // It has said so: what it has not answered has not run. Nor has what waits for a channel that never opened: it was not even sent.
      if (peer.isLeaving || peer.channel === null) for (const call of calls.splice(0)) this.#failAll(client.runsElsewhere(call));
      this.#failAll(client.workerLost(peer.workerId, calls, `${death.reason} ${whichWorker(peer.workerId, death)}`, death.isOutOfMemory === true));
      this.wake(client);
    }
    // Last: this may send what waits behind them, and not to this worker.
    for (const call of done) this.#env.dropped(call);
  }

  /** Of a shared actor that has left its worker and may start again elsewhere. */
  callLost(call: PendingTask, reason: string): void {
    const client = clientOf(call);
    if (call.isDone) {
      client.leftWorker();
      this.#env.dropped(call);
    } else {
      this.#failAll(client.callLost(call, reason));
    }
    this.wake(client);
  }

  /** It goes where the actor is next, at no cost. */
  callNotRun(call: PendingTask): void {
    const client = clientOf(call);
    client.leftWorker();
    if (call.isDone) this.#env.dropped(call);
    else this.#failAll(client.runsElsewhere(call));
    this.wake(client);
  }

  #failAll(failed: readonly FailedCall<PendingTask>[]): void {
    for (const { call, failure } of failed) this.#env.fail(call, failure);
  }
}

/** Calls queued in one turn before the first ones are sent without waiting for the end of the turn. */
const SEND_EARLY_AT_CALLS = 256;


import { forgetOldest, invariant, type Clock, type NodeKey, systemErrorOf, type SystemErrorRecord, type Timer, type WorkerId } from "../base/mod.ts";
import type { FromNode, HandOverRefusal, NetworkAddress, StoredRecord, ToStore } from "../protocol/mod.ts";
import { HeldObjects } from "./held-objects.ts";
import { type Copy, NodeCopies } from "./node-copies.ts";
import type { NodeObjects } from "./node-objects.ts";
import type { Asker, Target } from "./object-askers.ts";
import { type Lane, ObjectTransferClient } from "./object-transfer-client.ts";
import type { ObjectTransferServer } from "./object-transfer-server.ts";
import { nodeLostRecord, type PullInstruction, type PullPriority } from "./pull-instructions.ts";
import { PullState } from "./pull-state.ts";
import { CHUNK_BYTES, chunkPlace, type RemoteObject, remoteKey } from "./remote-object.ts";
import { type ShareInstruction, ShareState } from "./share-state.ts";
import type { StoreService } from "./store-service.ts";
import type { ToHolder, ToReceiver } from "./transfer-messages.ts";

/** How often the state machines look at the clock while something is on its way. */
const TICK_MS = 250;
/** After the connection to a node whose objects are kept here was lost, until it is asked which of them it still has. */
const REATTACH_AFTER_MS = 1_000;
/** Objects that wait to be brought here ahead; beyond it they come when they are read. */
const PREFETCHES_WAITING_MAX = 1_000;
/** Nodes that have ended; a node that starts again has another key. */
const LOST_NODES_REMEMBERED_MAX = 1_000;
const ID_DIGITS = 12;

export interface ObjectManagerEnvironment {
  readonly clock: Clock;
  readonly nodeKey: NodeKey;
  /** The cluster's: who does not know it is not served. */
  readonly token: string;
  readonly store: StoreService;
  readonly capacityBytes: number;
  /** Where other nodes come in; from now on this one's. */
  readonly server: ObjectTransferServer;
  /** Where that node's server listens. Rejects if there is no such node. */
  addressOf(node: NodeKey): Promise<NetworkAddress>;
  /** To a worker of this node. */
  send(workerId: WorkerId, message: FromNode): void;
}

/**
 * Brings objects of other nodes into the store of this one, and gives them those of this one. Carries out what PullState and
 * ShareState say, over sockets of its own. Embedded runtimes have none.
 */
export class ObjectManager {
  readonly #env: ObjectManagerEnvironment;
  readonly #objects: NodeObjects;
  readonly #client: ObjectTransferClient;
  readonly #server: ObjectTransferServer;
  readonly #pulls: PullState;
  readonly #shares: ShareState;
  readonly #copies: NodeCopies;
  readonly #held: HeldObjects;
  readonly #askers = new Map<number, Asker>();
  /** Of chunks whose bytes are awaited, by request. */
  readonly #targets = new Map<number, Target>();
  /** The same of requests that were cancelled while bytes were being read. */
  readonly #cancelledTargets = new Map<number, Target>();
  /** Why they were lost. */
  readonly #lostNodes = new Map<NodeKey, string>();
  #lastAskId = 0;
  #isSettling = false;
  #isClosed = false;
  #tickTimer: Timer | null = null;
  readonly #reattaching = new Map<NodeKey, Timer>();

  constructor(environment: ObjectManagerEnvironment) {
    const { nodeKey, token, capacityBytes, store } = environment;
    this.#env = environment;
    this.#objects = store.objectsOfNode(nodeKey + "0".repeat(ID_DIGITS));
    this.#copies = new NodeCopies(this.#objects);
    this.#held = new HeldObjects(this.#objects);
    this.#pulls = new PullState({ ownNode: nodeKey, roomBytes: capacityBytes });
    this.#shares = new ShareState({
      ownNode: nodeKey,
      has: (key, chunk) => this.#pulls.has(key, chunk) || this.#copies.get(key)?.isComplete === true,
      isComing: (key) => this.#pulls.isPulling(key),
    });
    this.#client = new ObjectTransferClient({
      nodeKey, token,
      addressOf: (node) => this.#env.addressOf(node),
      onMessage: (node, message) => this.#fromHolder(node, message),
      target: (requestId, byteLength) => this.#targetOf(requestId, byteLength),
      received: (requestId) => {
        this.#targets.delete(requestId);
        this.#endCancelled(requestId);
        this.#pulls.received(requestId);
        this.#settle();
      },
      progressed: (node) => this.#pulls.progressed(node),
      unreachable: (node) => this.#unreachable(node),
    });
    this.#server = environment.server;
    this.#server.events = {
      onMessage: (peer, node, message) => this.#fromReceiver(peer, node, message),
      peerLost: (peer) => {
        this.#shares.peerLost(peer);
        this.#settle();
      },
    };
    this.#objects.events = {
      held: (id, bytes) => {
        this.#held.add(id, bytes);
        this.#shares.held(id);
        this.#settle();
      },
      holdFailed: (id, failure) => {
        this.#shares.holdFailed(id, failure);
        this.#settle();
      },
      gone: (id, failure) => {
        this.#shares.primaryGone(id, failure);
        this.#settle();
      },
      copyRoom: (copyId, bytes) => this.#copyRoom(copyId, bytes),
      copyRefused: (copyId, failure) => {
        const copy = this.#copies.withId(copyId);
        if (copy === undefined) return;
        this.#copies.forget(copy);
        this.#pulls.failed(copy.key, failure);
        this.#settle();
      },
      copyDropped: (copyId) => {
        const copy = this.#copies.withId(copyId);
        if (copy === undefined) return;
        this.#copies.forget(copy);
        this.#tellClosed(copy.object);
      },
    };
  }

  // ------------------------------------------------------------------ who wants objects

  /** Brings a copy here, where it stays while there is room. Rejects with ObjectLostError, ObjectFreedError, ObjectStoreFullError or the signal's reason. */
  pull(object: RemoteObject, priority: PullPriority, signal?: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      if (signal?.aborted === true) return reject(signal.reason as Error);
      const askId = this.#ask(object, priority, null, () => resolve(), (failure) => reject(systemErrorOf(failure)));
      signal?.addEventListener("abort", () => {
        if (!this.#askers.delete(askId)) return;
        this.#pulls.cancel(askId);
        this.#settle();
        reject(signal.reason as Error);
      }, { once: true });
    });
  }

  /** Brings the primary copy here, for that owner: where it is from now on, or why it cannot be. */
  keep(object: RemoteObject, ownerId: WorkerId): Promise<StoredRecord | HandOverRefusal> {
    return new Promise((resolve) => void this.#ask(object, "argument", null, (copy) => resolve(this.#keepCopy(copy, ownerId)), ({ kind }) => resolve(kind === "ObjectStoreFullError" || kind === "OutOfDiskError" ? "full" : "failed")));
  }

  #keepCopy(copy: Copy, ownerId: WorkerId): StoredRecord | HandOverRefusal {
    const row = this.#copies.keep(copy, ownerId);
    if (row === undefined) return "failed";
    this.#tellClosed(copy.object);
    return { node: this.#env.nodeKey, id: copy.copyId, row, byteLength: copy.object.byteLength };
  }

  /** A worker of this node is blocked until it can read the object. */
  onPull(workerId: WorkerId, message: ToStore & { readonly type: "storePull" }): void {
    const { requestId, node, id, byteLength } = message;
    const failed = (error: SystemErrorRecord): void => this.#env.send(workerId, { type: "reply", requestId, result: null, error });
    this.#ask({ node, id, byteLength }, "get", { workerId, requestId }, ({ copyId }) => {
      if (!this.#objects.deliver(workerId, requestId, copyId)) failed({ kind: "ObjectLostError", message: "the copy of this object was dropped at this moment; another attempt may succeed", subjectId: String(id) });
    }, failed);
  }

  /** It may read the object soon. Whatever becomes of it, reading says. */
  onPrefetch(workerId: WorkerId, { node, id, byteLength }: ToStore & { readonly type: "storePrefetch" }): void {
    if (this.#pulls.prefetchesWaiting < PREFETCHES_WAITING_MAX) this.#ask({ node, id, byteLength }, "prefetch", { workerId, requestId: null }, () => undefined, () => undefined);
  }

  /** It waits no more. If nobody else wants the object, no more of it is fetched. */
  pullCancelled(workerId: WorkerId, requestId: number): void {
    for (const [askId, { request, failed }] of this.#askers) {
      if (request?.workerId !== workerId || request.requestId !== requestId) continue;
      this.#askers.delete(askId);
      this.#pulls.cancel(askId);
      failed({ kind: "ObjectLostError", message: "nobody waits for this copy any more", subjectId: null });
    }
    this.#settle();
  }

  #ask(object: RemoteObject, priority: PullPriority, request: Asker["request"], done: (copy: Copy) => void, failed: (failure: SystemErrorRecord) => void): number {
    const key = remoteKey(object);
    const askId = ++this.#lastAskId;
    invariant(object.node !== this.#env.nodeKey, "an object of this node's own is pulled");
    const copy = this.#copies.get(key);
    if (copy?.isComplete === true) {
      done(copy);
      return askId;
    }
    const lossReason = this.#lostNodes.get(object.node);
    if (lossReason !== undefined) {
      failed(nodeLostRecord(object.id, lossReason));
      return askId;
    }
    this.#askers.set(askId, { key, request, done, failed });
    this.#pulls.ask(askId, object, priority, this.#env.clock.nowMs());
    this.#settle();
    return askId;
  }

  /** What it has asked for is not wanted any more. */
  workerLost(workerId: WorkerId): void {
    for (const [askId, asker] of [...this.#askers]) {
      if (asker.request?.workerId !== workerId) continue;
      this.#askers.delete(askId);
      this.#pulls.cancel(askId);
    }
    this.#settle();
  }

  /** The node has ended: its objects are lost, and copies of them of no use. */
  nodeLost(node: NodeKey, reason: string): void {
    forgetOldest(this.#lostNodes.set(node, reason), LOST_NODES_REMEMBERED_MAX);
    this.#pulls.nodeLost(node, reason);
    this.#shares.nodeLost(node);
    this.#settle();
    for (const copy of this.#copies.of(node)) this.#copies.drop(copy);
    this.#client.disconnect(node);
    this.#reattaching.get(node)?.cancel();
    this.#reattaching.delete(node);
  }

  // ------------------------------------------------------------------ copies

  #reserve(key: string, object: RemoteObject): void {
    const failure = this.#copies.add(key, object);
    if (failure !== null) this.#pulls.failed(key, failure);
  }

  #copyRoom(copyId: number, bytes: Uint8Array): void {
    const copy = this.#copies.withId(copyId);
    if (copy === undefined) return;
    copy.bytes = bytes;
    this.#pulls.roomGranted(copy.key);
    this.#settle();
  }

  #targetOf(requestId: number, byteLength: number): Uint8Array | null {
    const target = this.#targets.get(requestId);
    if (target === undefined || target.copy.bytes === null) return null;
    const place = chunkPlace(target.copy.object.byteLength, target.chunk);
    return place.byteLength === byteLength ? target.copy.bytes.subarray(place.offset, place.offset + byteLength) : null;
  }

  #complete(key: string, askIds: readonly number[]): void {
    const copy = this.#copies.get(key) as Copy;
    this.#copies.complete(copy);
    for (const askId of askIds) {
      const asker = this.#askers.get(askId);
      this.#askers.delete(askId);
      asker?.done(copy);
    }
    this.#copies.endUse(copy);
  }

  #endCancelled(requestId: number): void {
    const target = this.#cancelledTargets.get(requestId);
    if (target === undefined) return;
    this.#cancelledTargets.delete(requestId);
    this.#copies.endUse(target.copy);
  }

  /** The primary's node need not tell us of its end. */
  #tellClosed({ node, id }: RemoteObject): void {
    if (this.#client.isConnected(node)) this.#client.send(node, 0, { type: "closed", id });
  }

  #unreachable(node: NodeKey): void {
    for (const [requestId, target] of [...this.#targets]) if (target.node === node) this.#targets.delete(requestId);
    for (const [requestId, target] of [...this.#cancelledTargets]) if (target.node === node) this.#endCancelled(requestId);
    this.#pulls.unreachable(node);
    this.#settle();
    if (this.#isClosed || this.#reattaching.has(node) || this.#copiesOf(node).length === 0) return;
    // It may have freed objects in the meantime.
    this.#reattaching.set(node, this.#env.clock.after(REATTACH_AFTER_MS, () => {
      this.#reattaching.delete(node);
      const ids = this.#copiesOf(node);
      if (ids.length > 0) this.#client.send(node, 0, { type: "holding", ids });
    }));
  }

  #copiesOf(node: NodeKey): number[] {
    return Array.from(this.#copies.of(node)).flatMap(({ object, isComplete }) => (isComplete ? [object.id] : []));
  }

  // ------------------------------------------------------------------ messages

  #fromHolder(node: NodeKey, message: Exclude<ToReceiver, { readonly type: "bytes" }>): void {
    switch (message.type) {
      case "opened":
        this.#pulls.opened(remoteKey({ node, id: message.id }));
        break;
      case "openFailed":
        this.#pulls.failed(remoteKey({ node, id: message.id }), message.failure);
        break;
      case "redirect":
        this.#targets.delete(message.requestId);
        this.#pulls.redirected(message.requestId, message.node);
        break;
      case "ready":
        this.#pulls.ready(message.requestId);
        break;
      case "refuse":
        this.#targets.delete(message.requestId);
        this.#pulls.refused(message.requestId);
        break;
      case "coming":
        this.#pulls.coming(message.key, node);
        break;
      case "freed": {
        const key = remoteKey({ node, id: message.id });
        this.#pulls.failed(key, { kind: "ObjectFreedError", message: "this object was freed: no reference to it was counted any more", subjectId: String(message.id) });
        const copy = this.#copies.get(key);
        if (copy?.isComplete === true) this.#copies.drop(copy);
        break;
      }
    }
    this.#settle();
  }

  #fromReceiver(peer: number, node: NodeKey, message: ToHolder): void {
    switch (message.type) {
      case "open":
        this.#shares.open(peer, node, message.id);
        break;
      case "chunk":
      case "awaitChunk": {
        const asker = { peer, node, requestId: message.requestId, chunk: message.chunk };
        const key = remoteKey(message);
        if (message.type === "awaitChunk") this.#shares.awaitChunk(asker, key);
        else this.#shares.chunk(asker, key, message.node === this.#env.nodeKey ? message.id : null, message.insists);
        break;
      }
      case "cancel":
        this.#shares.cancel(peer, message.requestId);
        this.#server.cancel(peer, message.requestId);
        break;
      case "closed":
        this.#shares.closed(node, message.id);
        break;
      case "holding":
        this.#shares.holding(node, message.ids);
        break;
    }
    this.#settle();
  }

  // ------------------------------------------------------------------ what the state machines say

  #settle(): void {
    if (this.#isSettling || this.#isClosed) return;
    this.#isSettling = true;
    for (;;) {
      const pulls = this.#pulls.takeInstructions();
      const shares = this.#shares.takeInstructions();
      if (pulls.length + shares.length === 0) break;
      for (const instruction of pulls) this.#pull(instruction);
      for (const instruction of shares) this.#share(instruction);
    }
    this.#isSettling = false;
    if (this.#tickTimer === null && (this.#pulls.isActive || this.#shares.isHolding)) this.#tickLater();
  }

  #tickLater(): void {
    this.#tickTimer = this.#env.clock.after(TICK_MS, () => {
      this.#tickTimer = null;
      const nowMs = this.#env.clock.nowMs();
      this.#pulls.tick(nowMs);
      this.#shares.tick(nowMs);
      this.#settle();
    });
  }

  #pull(instruction: PullInstruction): void {
    switch (instruction.type) {
      case "reserve":
        return this.#reserve(instruction.key, instruction.object);
      case "open":
        return this.#client.send(instruction.object.node, 0, { type: "open", id: instruction.object.id });
      case "request": {
        const { requestId, node, key, object, chunk, insists } = instruction;
        this.#targets.set(requestId, { node, copy: this.#copies.get(key) as Copy, chunk });
        return this.#client.send(node, laneOf(object), { type: "chunk", requestId, node: object.node, id: object.id, chunk, insists });
      }
      case "awaitChunk": {
        const { requestId, node, object, chunk } = instruction;
        return this.#client.send(node, 0, { type: "awaitChunk", requestId, node: object.node, id: object.id, chunk });
      }
      case "cancelRequest":
        return this.#cancelRequest(instruction.node, instruction.requestId);
      case "arrived":
        return this.#shares.arrived(instruction.key, instruction.chunk);
      case "completed":
        return this.#complete(instruction.key, instruction.askIds);
      case "askFailed":
        for (const askId of instruction.askIds) {
          const asker = this.#askers.get(askId);
          this.#askers.delete(askId);
          asker?.failed(instruction.failure);
        }
        return undefined;
      case "abandon": {
        const copy = this.#copies.get(instruction.key);
        if (copy !== undefined) this.#copies.drop(copy);
        this.#shares.copyEnded(instruction.key);
        return this.#tellClosed(instruction.object);
      }
      case "disconnect":
        return this.#client.disconnect(instruction.node);
    }
  }

  #cancelRequest(node: NodeKey, requestId: number): void {
    const target = this.#targets.get(requestId);
    this.#targets.delete(requestId);
    if (target !== undefined && this.#client.isReading(node, requestId)) {
      // The system has been told where the next bytes go: they are let come.
      target.copy.uses++;
      this.#cancelledTargets.set(requestId, target);
    } else if (this.#client.isConnected(node)) {
      this.#client.send(node, target === undefined ? 0 : laneOf(target.copy.object), { type: "cancel", requestId });
    }
  }

  #share(instruction: ShareInstruction): void {
    switch (instruction.type) {
      case "hold":
        if (this.#held.hold(instruction.id)) this.#shares.held(instruction.id);
        return undefined;
      case "letGo":
        return this.#held.letGo(instruction.id);
      case "unwatch":
        return this.#objects.unwatch(instruction.id);
      case "opened":
        return this.#server.send(instruction.peer, { type: "opened", id: idOf(instruction.key) });
      case "openFailed":
        return this.#server.send(instruction.peer, { type: "openFailed", id: idOf(instruction.key), failure: instruction.failure });
      case "send":
        return this.#send(instruction);
      case "redirect":
        return this.#server.send(instruction.peer, { type: "redirect", requestId: instruction.requestId, node: instruction.node });
      case "ready":
      case "refuse":
        return this.#server.send(instruction.peer, { type: instruction.type, requestId: instruction.requestId });
      case "coming":
        return this.#server.send(instruction.peer, { type: "coming", key: instruction.key });
      case "tellFreed":
        return this.#server.sendToNode(instruction.node, { type: "freed", id: instruction.id });
    }
  }

  #send({ peer, node, requestId, key, chunk }: ShareInstruction & { readonly type: "send" }): void {
    const copy = this.#copies.get(key);
    if (copy !== undefined) return this.#sendCopy(copy, peer, requestId, chunk);
    const id = idOf(key);
    const held = this.#held.get(id);
    if (held === undefined) return this.#server.send(peer, { type: "refuse", requestId });
    const { offset, byteLength } = chunkPlace(held.bytes.byteLength, chunk);
    held.uses++;
    this.#server.sendBytes(peer, requestId, held.bytes.subarray(offset, offset + byteLength), () => {
      this.#shares.sent(node, id);
      this.#held.endUse(held);
    });
  }

  #sendCopy(copy: Copy, peer: number, requestId: number, chunk: number): void {
    if (copy.bytes === null || !this.#copies.tryUse(copy)) return this.#server.send(peer, { type: "refuse", requestId });
    const { offset, byteLength } = chunkPlace(copy.object.byteLength, chunk);
    this.#server.sendBytes(peer, requestId, copy.bytes.subarray(offset, offset + byteLength), () => this.#copies.endUse(copy));
  }

  // ------------------------------------------------------------------ end

  /** Before the store's. Who still waits gets no answer: its node has ended. */
  async close(): Promise<void> {
    this.#isClosed = true;
    this.#server.events = null;
    this.#tickTimer?.cancel();
    for (const timer of this.#reattaching.values()) timer.cancel();
    this.#objects.events = null;
    this.#client.close();
    await this.#server.close();
  }
}

/** What is small does not wait for what is large. */
function laneOf({ byteLength }: RemoteObject): Lane {
  return byteLength > CHUNK_BYTES ? 1 : 0;
}

function idOf(key: string): number {
  return Number(key.slice(key.indexOf("/") + 1));
}

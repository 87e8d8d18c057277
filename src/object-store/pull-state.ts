import type { NodeKey, SystemErrorRecord } from "../base/mod.ts";
import { PullChunks } from "./pull-chunks.ts";
import { nodeLostRecord, type PullInstruction, type PullPriority } from "./pull-instructions.ts";
import { CHUNK_BYTES, chunkPlace, type RemoteObject, remoteKey } from "./remote-object.ts";

/** Asked of one node and not here yet: enough to keep a fast network busy, so little that what is urgent is soon served. */
export const NODE_BYTES_IN_FLIGHT_MAX = 4 * CHUNK_BYTES;
export const BYTES_IN_FLIGHT_MAX = 16 * CHUNK_BYTES;
/** Chunks of one object that other holders have been asked to say when they have them. */
const AWAITED_MAX = 64;
/** Pulls of one class, and of more urgent ones, that have memory or wait for it; the rest wait for these. */
export const ACTIVE_PULLS_MAX = 64;
/** Of the store's memory, for objects on their way, by class; what is blocked may have all. */
const ROOM_SHARES: Readonly<Record<PullPriority, number>> = { get: Number.POSITIVE_INFINITY, argument: 0.5, prefetch: 0.25 };
/** A connection from which nothing came for so long, though bytes were asked for, is given up. */
export const STALL_MS_MAX = 5_000;
/** The same before the object is known to be there: it may have to be read from disk, see RESTORE_MS_MAX. */
const OPEN_MS_MAX = 15_000;
/** When nothing else is left to ask for, what another holder still owes is asked of the primary's node, after it was silent for so long. */
export const SILENT_MS_MAX = 1_000;
/** The same for those that send, but slowly: after so long, and no sooner than all that before has taken. On a slow network all is slow while it goes well. */
export const SLOW_MS_MAX = 2_000;
/** Between two attempts to reach the primary's node. */
const REOPEN_AFTER_MS = 500;
/** Since its node was reached last, or a chunk came from anywhere: then the object is lost. */
export const UNREACHABLE_MS_MAX = 30_000;

const CLASSES = ["get", "argument", "prefetch"] as const satisfies readonly PullPriority[];

interface Request {
  readonly pull: Pull;
  readonly chunk: number;
  readonly byteLength: number;
  readonly id: number;
  readonly node: NodeKey;
  stage: "asked" | "awaited" | "ready";
  readonly sinceMs: number;
}

interface Pull {
  readonly key: string;
  readonly object: RemoteObject;
  readonly askers: Map<number, PullPriority>;
  priority: PullPriority;
  hasRoom: boolean;
  primary: "closed" | "opening" | "open";
  /** When it was asked to open, or is to be asked again. */
  primaryMs: number;
  /** Since when its primary's node cannot be reached and nothing came from others; null while all is well. */
  troubleMs: number | null;
  readonly chunks: PullChunks;
  readonly requests: Set<Request>;
  awaited: number;
  /** When other holders have answered last, for those that owe chunks. */
  readonly heardMs: Map<NodeKey, number>;
  /** When the first chunk was asked for. */
  firstMs: number;
  /** Since when nobody but other holders owes any; null before. */
  restMs: number | null;
}

interface Flow {
  readonly requests: Set<Request>;
  bytes: number;
  /** When something came last, or was asked for after a pause. */
  activeMs: number;
}

/**
 * Which objects of other nodes are copied to this one, and whom each chunk is asked of. Pure: events in, instructions out. Time
 * is that of the last `ask` or `tick`.
 *
 * A pull; all that ask for an object share one:
 *
 * ```
 *   asked (1)          its turn (2)            opened and room (3)             last chunk (8)
 *  ──────────▶ WAITING ────────────▶ OPENING ─────────────────────▶ RECEIVING ───────────────▶ complete
 *                 │                     │  ▲       primary's node not   │
 *                 │                     │  └────── reached (4) ─────────┤
 *                 └─────────────────────┴───────────────────────────────┴──▶ over: nobody asks (5), lost (6), no room (7)
 * ```
 *
 * A chunk:
 *
 * ```
 *              (9) asked of the primary's node                      bytes (8)
 *   MISSING ──────────────────────────────────▶ ASKED ─────────────────────────▶ HERE
 *      ▲                                         │  ▲
 *      │                          redirected (10)│  │(12) its turn
 *      │                                         ▼  │
 *      └───(13) refused, not reached, slow──── AWAITED, then READY (11)
 * ```
 *
 * (2) The most urgent class first, the oldest first in it; bounded in number and in bytes, see the constants.
 * (3) Memory is asked for and the primary's node told at the same time.
 * (4) What was asked of it is missing again; others are asked on. It is opened again after a while. So it is if it knows us no longer.
 * (6) Freed, its node has ended, or cannot be reached for long.
 * (9) Bytes in flight are bounded for each node and in all.
 * (10) A node that sends the object to others already names one that has the chunk, or will have it soon.
 * (11) That one says so, and until then now and then that it waits itself: no bytes are in flight meanwhile, so that receivers who wait for
 *      each other hold up nobody.
 * (13) Asked of the primary's node again, which then does not redirect. Slow is who has not sent for long after nothing else was left
 *      to ask for.
 */
export class PullState {
  readonly #ownNode: NodeKey;
  readonly #roomBytes: number;
  readonly #pulls = new Map<string, Pull>();
  readonly #keyOfAsk = new Map<number, string>();
  readonly #waiting: Readonly<Record<PullPriority, Set<Pull>>> = { get: new Set(), argument: new Set(), prefetch: new Set() };
  readonly #active: Readonly<Record<PullPriority, Set<Pull>>> = { get: new Set(), argument: new Set(), prefetch: new Set() };
  #activeBytes = 0;
  readonly #requests = new Map<number, Request>();
  readonly #flows = new Map<NodeKey, Flow>();
  #bytesInFlight = 0;
  #lastRequestId = 0;
  #nowMs = 0;
  #instructions: PullInstruction[] = [];

  /** `roomBytes`: of the whole store. */
  constructor(setting: { readonly ownNode: NodeKey; readonly roomBytes: number }) {
    this.#ownNode = setting.ownNode;
    this.#roomBytes = setting.roomBytes;
  }

  #emit(instruction: PullInstruction): void {
    this.#instructions.push(instruction);
  }

  /** What is to be done after the last events. */
  takeInstructions(): PullInstruction[] {
    const instructions = this.#instructions;
    this.#instructions = [];
    return instructions;
  }

  /** Whether `tick` is to be called now and then. */
  get isActive(): boolean {
    return this.#pulls.size > 0;
  }

  /** Of those that nobody needs yet. */
  get prefetchesWaiting(): number {
    return this.#waiting.prefetch.size;
  }

  /** For whoever wants the chunk from here. */
  has(key: string, chunk: number): boolean {
    return this.#pulls.get(key)?.chunks.isHere(chunk) ?? false;
  }

  isPulling(key: string): boolean {
    return this.#pulls.has(key);
  }

  // ------------------------------------------------------------------ who asks

  /** (1) `askId` is answered once, by `completed` or `askFailed`, unless it is cancelled. */
  ask(askId: number, object: RemoteObject, priority: PullPriority, nowMs: number): void {
    this.#nowMs = nowMs;
    const key = remoteKey(object);
    this.#keyOfAsk.set(askId, key);
    let pull = this.#pulls.get(key);
    if (pull === undefined) {
      const chunks = new PullChunks(object.byteLength);
      pull = { key, object, askers: new Map(), priority, hasRoom: false, primary: "closed", primaryMs: nowMs, troubleMs: null, chunks, requests: new Set(), awaited: 0, heardMs: new Map(), firstMs: nowMs, restMs: null };
      this.#pulls.set(key, pull);
      this.#waiting[priority].add(pull);
    }
    pull.askers.set(askId, priority);
    this.#prioritize(pull);
    this.#schedule();
  }

  /** (5) */
  cancel(askId: number): void {
    const key = this.#keyOfAsk.get(askId);
    const pull = key === undefined ? undefined : this.#pulls.get(key);
    this.#keyOfAsk.delete(askId);
    if (pull === undefined) return;
    pull.askers.delete(askId);
    if (pull.askers.size === 0) this.#abandon(pull);
    else this.#prioritize(pull);
    this.#schedule();
  }

  /** It is as urgent as the most urgent of those that ask for it. */
  #prioritize(pull: Pull): void {
    const asked = new Set(pull.askers.values());
    const priority = CLASSES.find((each) => asked.has(each)) ?? pull.priority;
    if (priority === pull.priority) return;
    for (const sets of [this.#waiting, this.#active]) if (sets[pull.priority].delete(pull)) sets[priority].add(pull);
    pull.priority = priority;
  }

  #end(pull: Pull): readonly number[] {
    for (const request of [...pull.requests]) this.#cancel(request);
    this.#pulls.delete(pull.key);
    this.#waiting[pull.priority].delete(pull);
    if (this.#active[pull.priority].delete(pull)) this.#activeBytes -= pull.object.byteLength;
    const askIds = [...pull.askers.keys()];
    for (const askId of askIds) this.#keyOfAsk.delete(askId);
    return askIds;
  }

  #abandon(pull: Pull): readonly number[] {
    const isActive = this.#active[pull.priority].has(pull);
    const askIds = this.#end(pull);
    if (isActive) this.#emit({ type: "abandon", key: pull.key, object: pull.object });
    return askIds;
  }

  #fail(pull: Pull, failure: SystemErrorRecord): void {
    this.#emit({ type: "askFailed", askIds: this.#abandon(pull), failure });
  }

  // ------------------------------------------------------------------ the whole object

  /** (3) */
  roomGranted(key: string): void {
    const pull = this.#pulls.get(key);
    if (pull === undefined) return;
    pull.hasRoom = true;
    this.#schedule();
  }

  /** (3) */
  opened(key: string): void {
    const pull = this.#pulls.get(key);
    if (pull?.primary !== "opening") return;
    pull.primary = "open";
    this.#schedule();
  }

  /** (6), (7) */
  failed(key: string, failure: SystemErrorRecord): void {
    const pull = this.#pulls.get(key);
    if (pull === undefined) return;
    this.#fail(pull, failure);
    this.#schedule();
  }

  /** (6) */
  nodeLost(node: NodeKey, reason: string): void {
    for (const pull of [...this.#pulls.values()]) if (pull.object.node === node) this.#fail(pull, nodeLostRecord(pull.object.id, reason));
    this.unreachable(node);
  }

  /** (4), (13) The connection has broken, or there is none. */
  unreachable(node: NodeKey): void {
    for (const pull of this.#pulls.values()) {
      if (pull.object.node === node && this.#active[pull.priority].has(pull)) this.#close(pull);
      for (const request of [...pull.requests]) if (request.node === node) this.#giveBack(request, node !== pull.object.node);
    }
    this.#flows.delete(node);
    this.#schedule();
  }

  #close(pull: Pull): void {
    pull.primary = "closed";
    pull.primaryMs = this.#nowMs + REOPEN_AFTER_MS;
    pull.troubleMs ??= this.#nowMs;
  }

  // ------------------------------------------------------------------ chunks

  /** (8) All bytes of the chunk have been written. */
  received(requestId: number): void {
    const request = this.#requests.get(requestId);
    if (request?.stage !== "asked") return;
    const { pull, chunk } = request;
    (this.#flows.get(request.node) as Flow).activeMs = this.#nowMs;
    this.#forget(request);
    this.#heard(request);
    pull.chunks.arrived(chunk);
    pull.troubleMs = pull.primary === "closed" ? this.#nowMs : null;
    this.#emit({ type: "arrived", key: pull.key, chunk });
    if (pull.chunks.isComplete) this.#emit({ type: "completed", key: pull.key, object: pull.object, askIds: this.#end(pull) });
    else if (pull.restMs !== null && pull.primary === "open") this.#steal(pull);
    this.#schedule();
  }

  /** Some bytes have come from there. */
  progressed(node: NodeKey): void {
    const flow = this.#flows.get(node);
    if (flow !== undefined) flow.activeMs = this.#nowMs;
  }

  /** (10) */
  redirected(requestId: number, node: NodeKey): void {
    const request = this.#requests.get(requestId);
    if (request?.stage !== "asked") return;
    const { pull, chunk } = request;
    if (node === this.#ownNode || node === pull.object.node) {
      this.#giveBack(request, true);
    } else {
      this.#forget(request);
      const { id } = this.#add(pull, chunk, node, "awaited");
      this.#emit({ type: "awaitChunk", requestId: id, node, key: pull.key, object: pull.object, chunk });
    }
    this.#schedule();
  }

  /** (11) */
  ready(requestId: number): void {
    const request = this.#requests.get(requestId);
    if (request?.stage !== "awaited") return;
    request.stage = "ready";
    this.#heard(request);
    this.#schedule();
  }

  /** (11) It still waits for what it was asked for. */
  coming(key: string, node: NodeKey): void {
    this.#pulls.get(key)?.heardMs.set(node, this.#nowMs);
  }

  #heard({ pull, node }: Request): void {
    if (node !== pull.object.node) pull.heardMs.set(node, this.#nowMs);
  }

  /** (13) That node does not have it. */
  refused(requestId: number): void {
    const request = this.#requests.get(requestId);
    if (request === undefined) return;
    this.#giveBack(request, true);
    // (4) The primary's node has forgotten us.
    if (request.node === request.pull.object.node) this.#close(request.pull);
    this.#schedule();
  }

  #add(pull: Pull, chunk: number, node: NodeKey, stage: "asked" | "awaited"): Request {
    const request: Request = { pull, chunk, byteLength: chunkPlace(pull.object.byteLength, chunk).byteLength, id: ++this.#lastRequestId, node, stage, sinceMs: this.#nowMs };
    this.#requests.set(request.id, request);
    pull.requests.add(request);
    if (stage === "asked") this.#enterFlow(request);
    else pull.awaited++;
    return request;
  }

  #enterFlow(request: Request): void {
    const flow = this.#flows.get(request.node) ?? { requests: new Set(), bytes: 0, activeMs: this.#nowMs };
    if (flow.requests.size === 0) flow.activeMs = this.#nowMs;
    this.#flows.set(request.node, flow);
    flow.requests.add(request);
    flow.bytes += request.byteLength;
    this.#bytesInFlight += request.byteLength;
  }

  #forget(request: Request): void {
    this.#requests.delete(request.id);
    request.pull.requests.delete(request);
    if (request.stage !== "asked") {
      request.pull.awaited--;
      return;
    }
    const flow = this.#flows.get(request.node) as Flow;
    flow.requests.delete(request);
    flow.bytes -= request.byteLength;
    this.#bytesInFlight -= request.byteLength;
    if (flow.requests.size === 0) this.#flows.delete(request.node);
  }

  #cancel(request: Request): void {
    this.#forget(request);
    this.#emit({ type: "cancelRequest", requestId: request.id, node: request.node });
  }

  /** It has been answered, or nobody is there to answer it. */
  #giveBack(request: Request, insists: boolean): void {
    this.#forget(request);
    request.pull.chunks.giveBack(request.chunk, insists);
  }

  // ------------------------------------------------------------------ what is next

  #schedule(): void {
    for (const priority of CLASSES) for (const pull of this.#waiting[priority]) {
      if (!this.#mayStart(pull)) break;
      this.#waiting[priority].delete(pull);
      this.#active[priority].add(pull);
      this.#activeBytes += pull.object.byteLength;
      this.#emit({ type: "reserve", key: pull.key, object: pull.object });
      this.#open(pull);
    }
    for (const priority of CLASSES) for (const pull of this.#active[priority]) {
      if (this.#bytesInFlight >= BYTES_IN_FLIGHT_MAX) return;
      if (pull.hasRoom) this.#request(pull);
    }
  }

  /** (2) */
  #mayStart({ priority, object }: Pull): boolean {
    let count = 0;
    for (const each of CLASSES) {
      count += this.#active[each].size;
      if (each === priority) break;
    }
    if (count >= ACTIVE_PULLS_MAX) return false;
    return this.#activeBytes === 0 || this.#activeBytes + object.byteLength <= ROOM_SHARES[priority] * this.#roomBytes;
  }

  #open(pull: Pull): void {
    pull.primary = "opening";
    pull.primaryMs = this.#nowMs;
    this.#emit({ type: "open", key: pull.key, object: pull.object });
  }

  #request(pull: Pull): void {
    if (pull.awaited > 0) {
      for (const request of pull.requests) if (request.stage === "ready" && this.#hasRoom(request.node, request.byteLength)) this.#askHolder(request);
    }
    const { node } = pull.object;
    if (!pull.chunks.isBegun) pull.firstMs = this.#nowMs;
    while (pull.primary === "open" && pull.chunks.hasMissing && pull.awaited < AWAITED_MAX && this.#hasRoom(node, CHUNK_BYTES)) {
      const { chunk, insists } = pull.chunks.take();
      const request = this.#add(pull, chunk, node, "asked");
      this.#emit({ type: "request", requestId: request.id, node, key: pull.key, object: pull.object, chunk, insists });
    }
  }

  /** (12) */
  #askHolder(ready: Request): void {
    const { pull, chunk, node } = ready;
    this.#forget(ready);
    const request = this.#add(pull, chunk, node, "asked");
    this.#emit({ type: "request", requestId: request.id, node, key: pull.key, object: pull.object, chunk, insists: false });
  }

  #hasRoom(node: NodeKey, byteLength: number): boolean {
    const inFlight = this.#flows.get(node)?.bytes ?? 0;
    return inFlight + byteLength <= NODE_BYTES_IN_FLIGHT_MAX && this.#bytesInFlight + byteLength <= BYTES_IN_FLIGHT_MAX;
  }

  /** Time has passed. */
  tick(nowMs: number): void {
    this.#nowMs = nowMs;
    for (const [node, { activeMs }] of [...this.#flows]) if (nowMs - activeMs > STALL_MS_MAX) this.#emit({ type: "disconnect", node });
    const silent = new Set<NodeKey>();
    for (const pull of [...this.#pulls.values()]) {
      if (pull.troubleMs !== null && nowMs - pull.troubleMs > UNREACHABLE_MS_MAX) {
        const { node, id } = pull.object;
        this.#fail(pull, { kind: "ObjectLostError", message: `node ${node}, which has this object, could not be reached for ${UNREACHABLE_MS_MAX / 1000} s`, subjectId: String(id) });
      } else if (!this.#active[pull.priority].has(pull)) {
        continue;
      } else if (pull.primary === "closed" && nowMs >= pull.primaryMs) {
        this.#open(pull);
      } else if (pull.primary === "opening" && nowMs - pull.primaryMs > OPEN_MS_MAX) {
        silent.add(pull.object.node);
      } else if (pull.primary === "open" && pull.hasRoom && !pull.chunks.hasMissing) {
        this.#steal(pull);
      }
    }
    for (const node of silent) this.#emit({ type: "disconnect", node });
    this.#schedule();
  }

  /** (13) Of those that only are slow one at a time: the primary's node has much to do while they all have. */
  #steal(pull: Pull): void {
    const { node } = pull.object;
    let ofPrimary = 0;
    for (const request of pull.requests) if (request.node === node) ofPrimary++;
    if (ofPrimary === 0) pull.restMs ??= this.#nowMs;
    const isSlow = pull.restMs !== null && this.#nowMs - pull.restMs >= Math.max(SLOW_MS_MAX, pull.restMs - pull.firstMs);
    let room = NODE_BYTES_IN_FLIGHT_MAX - (this.#flows.get(node)?.bytes ?? 0);
    for (const request of [...pull.requests]) {
      if (room < CHUNK_BYTES) return;
      if (request.node === node || (this.#nowMs - this.#heardMs(request) < SILENT_MS_MAX && (!isSlow || ofPrimary > 0))) continue;
      this.#cancel(request);
      pull.chunks.giveBack(request.chunk, true);
      ofPrimary++;
      room -= CHUNK_BYTES;
    }
  }

  #heardMs({ pull, node, stage, sinceMs }: Request): number {
    const activeMs = stage === "asked" ? (this.#flows.get(node) as Flow).activeMs : 0;
    return Math.max(sinceMs, activeMs, pull.heardMs.get(node) ?? 0);
  }
}

import type { NodeKey, SystemErrorRecord } from "../base/mod.ts";
import { remoteKey } from "./remote-object.ts";

/** A node that has asked for so many chunks of an object since another did is alone. */
const ALONE_AFTER_CHUNKS = 64;
/** Receivers of one chunk that are remembered in the order in which they asked. */
const RECEIVERS_MAX = 64;
/** An object that nobody has asked for so long need not stay in memory for others. */
export const HOLD_IDLE_MS = 2_000;

export type ShareInstruction =
  /** Keep an object of this node in memory, and say when its primary is freed; answered by `held` or `holdFailed`. */
  | { readonly type: "hold"; readonly id: number }
  | { readonly type: "letGo"; readonly id: number }
  /** Nobody else has it any more: its end need not be told. */
  | { readonly type: "unwatch"; readonly id: number }
  | { readonly type: "opened"; readonly peer: number; readonly key: string }
  | { readonly type: "openFailed"; readonly peer: number; readonly key: string; readonly failure: SystemErrorRecord }
  /** Answered by `sent`, also if the peer has gone. */
  | { readonly type: "send"; readonly peer: number; readonly node: NodeKey; readonly requestId: number; readonly key: string; readonly chunk: number }
  | { readonly type: "redirect"; readonly peer: number; readonly requestId: number; readonly node: NodeKey }
  | { readonly type: "ready" | "refuse"; readonly peer: number; readonly requestId: number }
  | { readonly type: "coming"; readonly peer: number; readonly key: string }
  | { readonly type: "tellFreed"; readonly node: NodeKey; readonly id: number };

interface Asker {
  readonly peer: number;
  readonly node: NodeKey;
  readonly requestId: number;
  readonly chunk: number;
}

/** An object of this node's that others have, or are getting. */
interface Primary {
  readonly id: number;
  readonly key: string;
  memory: "none" | "asked" | "held";
  readonly holders: Set<NodeKey>;
  /** Who wants to begin. */
  opening: { readonly peer: number; readonly node: NodeKey }[];
  /** Who asked while it was not in memory. */
  parked: Asker[];
  /** By chunk: who has asked for it, in this order. The first has it from here. */
  readonly receivers: (NodeKey[] | undefined)[];
  /** How many chunks others have been sent to each holder for. */
  readonly redirected: Map<NodeKey, number>;
  /** Who has asked last, and how often without another in between. */
  lastNode: NodeKey;
  askedInRow: number;
  hasOthers: boolean;
  /** Chunks that are being sent, by receiver. */
  readonly sending: Map<NodeKey, number>;
  idleSinceMs: number;
}

/**
 * Whom this node sends chunks of objects to, and whom it sends elsewhere. Pure: events in, instructions out.
 *
 * An object of this node's own:
 *
 * ```
 *              a node opens it (1)              it is in memory (2)            no request for a while (3)
 *   unshared ──────────────────────▶ asked for ────────────────────▶ in memory ──────────────────────────▶ known
 *      ▲                                  ▲                               │                                  │
 *      │                                  └────────────── asked for a chunk (4) ────────────────────────────┤
 *      └───────── no holder is left (5), or it is freed, which all holders are told (6) ─────────────────────┘
 * ```
 *
 * (1) From now on that node is a holder, also of a part, until it says that it is not or ends.
 * (4) Sent from here, unless others ask for the object at the same time and one of them has been given this chunk before: then
 *     the receiver is redirected. Of those that asked for the chunk first it is the one to which the fewest have been redirected, so that a
 *     broadcast costs each of them about as much as the object, and this node little more; and what all wait for comes in few steps.
 * (7) A copy, or a part of one, is sent to whoever was redirected here; who asks for a chunk that is still to come is told when it is here, and
 *     until then now and then that it is coming: on a slow network that may take long, and silence means trouble.
 */
export class ShareState {
  readonly #ownNode: NodeKey;
  /** Whether this node has the chunk of an object of another. */
  readonly #has: (key: string, chunk: number) => boolean;
  /** Whether it is getting the object. */
  readonly #isComing: (key: string) => boolean;
  readonly #primaries = new Map<number, Primary>();
  /** By key and chunk: who waits for it to arrive here. */
  readonly #awaited = new Map<string, Map<number, Asker[]>>();
  #nowMs = 0;
  #instructions: ShareInstruction[] = [];

  constructor(setting: { readonly ownNode: NodeKey; readonly has: (key: string, chunk: number) => boolean; readonly isComing: (key: string) => boolean }) {
    this.#ownNode = setting.ownNode;
    this.#has = setting.has;
    this.#isComing = setting.isComing;
  }

  #emit(instruction: ShareInstruction): void {
    this.#instructions.push(instruction);
  }

  /** What is to be done after the last events. */
  takeInstructions(): ShareInstruction[] {
    const instructions = this.#instructions;
    this.#instructions = [];
    return instructions;
  }

  /** Whether `tick` is to be called now and then. */
  get isHolding(): boolean {
    for (const { memory } of this.#primaries.values()) if (memory !== "none") return true;
    return false;
  }

  // ------------------------------------------------------------------ objects of this node

  /** (1) */
  open(peer: number, node: NodeKey, id: number): void {
    const primary = this.#primaries.get(id) ?? this.#add(id);
    if (primary.memory === "held") return this.#begin(primary, peer, node);
    primary.opening.push({ peer, node });
    this.#hold(primary);
  }

  #add(id: number): Primary {
    const key = remoteKey({ node: this.#ownNode, id });
    const primary: Primary = { id, key, memory: "none", holders: new Set(), opening: [], parked: [], receivers: [], redirected: new Map(), lastNode: "", askedInRow: 0, hasOthers: false, sending: new Map(), idleSinceMs: this.#nowMs };
    this.#primaries.set(id, primary);
    return primary;
  }

  #begin(primary: Primary, peer: number, node: NodeKey): void {
    primary.holders.add(node);
    primary.idleSinceMs = this.#nowMs;
    this.#emit({ type: "opened", peer, key: primary.key });
  }

  #hold(primary: Primary): void {
    if (primary.memory !== "none") return;
    primary.memory = "asked";
    this.#emit({ type: "hold", id: primary.id });
  }

  /** (2) */
  held(id: number): void {
    const primary = this.#primaries.get(id);
    if (primary?.memory !== "asked") return this.#emit({ type: "letGo", id });
    primary.memory = "held";
    primary.idleSinceMs = this.#nowMs;
    for (const { peer, node } of primary.opening.splice(0)) this.#begin(primary, peer, node);
    for (const asker of primary.parked.splice(0)) this.#answer(primary, asker, false);
  }

  /** It cannot be had now, or never again: in that case `primaryGone` comes too. */
  holdFailed(id: number, failure: SystemErrorRecord): void {
    const primary = this.#primaries.get(id);
    if (primary?.memory !== "asked") return;
    primary.memory = "none";
    const peers = new Set([...primary.opening.splice(0), ...primary.parked.splice(0)].map(({ peer }) => peer));
    for (const peer of peers) this.#emit({ type: "openFailed", peer, key: primary.key, failure });
    this.#forgetUnshared(primary);
  }

  /** (6) */
  primaryGone(id: number, failure: SystemErrorRecord): void {
    const primary = this.#primaries.get(id);
    if (primary === undefined) return;
    this.#primaries.delete(id);
    for (const { peer } of primary.opening) this.#emit({ type: "openFailed", peer, key: primary.key, failure });
    for (const node of primary.holders) this.#emit({ type: "tellFreed", node, id });
    if (primary.memory === "held") this.#emit({ type: "letGo", id });
  }

  /** (5) That node has no copy any more. */
  closed(node: NodeKey, id: number): void {
    const primary = this.#primaries.get(id);
    if (primary === undefined) return;
    primary.holders.delete(node);
    this.#forgetUnshared(primary);
  }

  #forgetUnshared(primary: Primary): void {
    if (primary.holders.size > 0 || primary.opening.length > 0 || primary.parked.length > 0) return;
    this.#primaries.delete(primary.id);
    if (primary.memory === "held") this.#emit({ type: "letGo", id: primary.id });
    this.#emit({ type: "unwatch", id: primary.id });
  }

  /** A node that was out of reach has copies of these: it may have missed that they were freed. */
  holding(node: NodeKey, ids: readonly number[]): void {
    for (const id of ids) if (this.#primaries.get(id)?.holders.has(node) !== true) this.#emit({ type: "tellFreed", node, id });
  }

  // ------------------------------------------------------------------ chunks

  chunk(asker: Asker, key: string, id: number | null, insists: boolean): void {
    if (id === null) {
      // (7)
      const { peer, node, requestId, chunk } = asker;
      this.#emit(this.#has(key, chunk) ? { type: "send", peer, node, requestId, key, chunk } : { type: "refuse", peer, requestId });
      return;
    }
    const primary = this.#primaries.get(id);
    if (primary === undefined || !primary.holders.has(asker.node)) return this.#emit({ type: "refuse", peer: asker.peer, requestId: asker.requestId });
    primary.idleSinceMs = this.#nowMs;
    this.#noteAsker(primary, asker.node);
    this.#answer(primary, asker, insists);
  }

  #noteAsker(primary: Primary, node: NodeKey): void {
    if (node !== primary.lastNode) {
      primary.hasOthers = primary.lastNode !== "";
      primary.askedInRow = 0;
      primary.lastNode = node;
    } else if (++primary.askedInRow >= ALONE_AFTER_CHUNKS) {
      primary.hasOthers = false;
    }
  }

  /** (4) */
  #answer(primary: Primary, asker: Asker, insists: boolean): void {
    const { peer, node, requestId, chunk } = asker;
    const receivers = (primary.receivers[chunk] ??= []);
    const parent = insists || receivers.includes(node) ? null : this.#parentOf(primary, receivers, node);
    if (receivers.length < RECEIVERS_MAX && !receivers.includes(node)) receivers.push(node);
    if (parent !== null) return this.#emit({ type: "redirect", peer, requestId, node: parent });
    if (primary.memory !== "held") {
      primary.parked.push(asker);
      return this.#hold(primary);
    }
    primary.sending.set(node, (primary.sending.get(node) ?? 0) + 1);
    this.#emit({ type: "send", peer, node, requestId, key: primary.key, chunk });
  }

  /** Null: this node itself. */
  #parentOf(primary: Primary, receivers: readonly NodeKey[], node: NodeKey): NodeKey | null {
    if (!primary.hasOthers || receivers.length === 0) return null;
    let parent: NodeKey | null = null;
    let fewest = Number.POSITIVE_INFINITY;
    for (let index = Math.floor(receivers.length / 2); index >= 0; index--) {
      const candidate = receivers[index] as NodeKey;
      const count = primary.redirected.get(candidate) ?? 0;
      if (count > fewest || candidate === node || !primary.holders.has(candidate)) continue;
      parent = candidate;
      fewest = count;
    }
    if (parent !== null) primary.redirected.set(parent, fewest + 1);
    return parent;
  }

  /** The bytes have been handed to the network, or nobody wants them any more. */
  sent(node: NodeKey, id: number): void {
    const primary = this.#primaries.get(id);
    const sending = primary?.sending.get(node);
    if (primary === undefined || sending === undefined) return;
    primary.idleSinceMs = this.#nowMs;
    if (sending > 1) primary.sending.set(node, sending - 1);
    else primary.sending.delete(node);
  }

  /** (7) */
  awaitChunk(asker: Asker, key: string): void {
    const { peer, requestId, chunk } = asker;
    if (this.#has(key, chunk)) return this.#emit({ type: "ready", peer, requestId });
    if (!this.#isComing(key)) return this.#emit({ type: "refuse", peer, requestId });
    let chunks = this.#awaited.get(key);
    if (chunks === undefined) this.#awaited.set(key, (chunks = new Map()));
    const askers = chunks.get(chunk);
    if (askers === undefined) chunks.set(chunk, [asker]);
    else askers.push(asker);
  }

  /** (7) */
  arrived(key: string, chunk: number): void {
    const chunks = this.#awaited.get(key);
    for (const { peer, requestId } of chunks?.get(chunk) ?? []) this.#emit({ type: "ready", peer, requestId });
    chunks?.delete(chunk);
    if (chunks?.size === 0) this.#awaited.delete(key);
  }

  /** This node does not get the object any more. */
  copyEnded(key: string): void {
    for (const askers of this.#awaited.get(key)?.values() ?? []) for (const { peer, requestId } of askers) this.#emit({ type: "refuse", peer, requestId });
    this.#awaited.delete(key);
  }

  // ------------------------------------------------------------------ who goes

  cancel(peer: number, requestId: number): void {
    this.#removeAskers((asker) => asker.peer === peer && asker.requestId === requestId);
  }

  peerLost(peer: number): void {
    this.#removeAskers((asker) => asker.peer === peer);
    for (const primary of [...this.#primaries.values()]) {
      primary.opening = primary.opening.filter((each) => each.peer !== peer);
      this.#forgetUnshared(primary);
    }
  }

  #removeAskers(isGone: (asker: Asker) => boolean): void {
    for (const primary of this.#primaries.values()) if (primary.parked.length > 0) primary.parked = primary.parked.filter((asker) => !isGone(asker));
    for (const [key, chunks] of this.#awaited) {
      for (const [chunk, askers] of chunks) {
        const left = askers.filter((asker) => !isGone(asker));
        if (left.length === 0) chunks.delete(chunk);
        else if (left.length < askers.length) chunks.set(chunk, left);
      }
      if (chunks.size === 0) this.#awaited.delete(key);
    }
  }

  /** (5) */
  nodeLost(node: NodeKey): void {
    for (const primary of [...this.#primaries.values()]) {
      primary.sending.delete(node);
      this.closed(node, primary.id);
    }
  }

  /** (3), (7) */
  tick(nowMs: number): void {
    this.#nowMs = nowMs;
    for (const [key, chunks] of this.#awaited) {
      for (const peer of new Set([...chunks.values()].flat().map((asker) => asker.peer))) this.#emit({ type: "coming", peer, key });
    }
    for (const primary of this.#primaries.values()) {
      if (primary.memory !== "held" || primary.sending.size > 0 || nowMs - primary.idleSinceMs < HOLD_IDLE_MS) continue;
      primary.memory = "none";
      this.#emit({ type: "letGo", id: primary.id });
    }
  }
}

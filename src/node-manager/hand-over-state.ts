import type { NodeKey, WorkerId } from "../base/mod.ts";
import type { HandedObject } from "../object-store/mod.ts";
import type { HandOverRefusal } from "../protocol/mod.ts";

/** Objects that other nodes have been asked to take and have not answered for, and how large they are together, beyond the first. */
const OFFERS_MAX = 64;
export const OFFERED_BYTES_MAX = 64 * 1024 ** 2;
/** A node that has not answered for an object by then is taken to refuse it. That it has it after all does no harm: its owner frees one of two. */
const ANSWER_MS_MAX = 60_000;
/** After another node has taken it, until the owner has heard of it and freed what was here. An owner that is busy hears of it later, in its turn. */
const CONFIRMED_MS_MAX = 5_000;

/** That node is asked to have this object from now on. */
export interface HandOverOffer {
  readonly node: NodeKey;
  readonly id: number;
  readonly byteLength: number;
  readonly ownerId: WorkerId;
}

export interface LeftBehind {
  readonly objects: number;
  readonly bytes: number;
}

interface Offer {
  readonly node: NodeKey;
  readonly byteLength: number;
  readonly untilMs: number;
}

/**
 * Which objects of a node that drains go to which of the others. Pure.
 *
 *                    ┌──────────── refused, or that node is lost ────────────┐
 *                    ▼                                                       │
 *   here, adopted ──offer──▶ offered ──taken──▶ taken ──freed by its owner──▶ (gone)
 *        │
 *        └── no node is left that has not refused it ──▶ left behind
 *
 * The copy here is given up by nobody but its owner, which frees it when it has heard of the other one: whoever dies in between, the
 * object is where its owner believes it to be. One that is not adopted yet is waited for; the store ends it if nobody ever adopts it.
 */
export class HandOverState {
  readonly #offers = new Map<number, Offer>();
  /** Until when the owner may take to free what is here. */
  readonly #taken = new Map<number, number>();
  readonly #refusedBy = new Map<number, Set<NodeKey>>();
  /** Nodes that are full, and the smallest object for which they had no room. */
  readonly #fullFrom = new Map<NodeKey, number>();
  /** What each has been given, so that all get about the same. */
  readonly #given = new Map<NodeKey, number>();
  #offeredBytes = 0;
  #leftBehind: LeftBehind = { objects: 0, bytes: 0 };
  #isOver = false;

  /** `objects`: the primary copies that are here now, in memory or on disk, of owners on other nodes. `nodes`: those that take what they have room for. */
  plan(objects: Iterable<HandedObject>, nodes: readonly NodeKey[], nowMs: number): HandOverOffer[] {
    const here = new Map(Array.from(objects, (object) => [object.id, object]));
    this.#forgetGone(here, nowMs);
    const offers: HandOverOffer[] = [];
    let isOver = true;
    let [leftObjects, leftBytes] = [0, 0];
    for (const { id, byteLength, ownerId, isAdopted } of here.values()) {
      const takenUntilMs = this.#taken.get(id);
      if (takenUntilMs !== undefined) {
        if (nowMs < takenUntilMs) isOver = false;
        continue;
      }
      const isOffered = this.#offers.has(id);
      const node = isOffered || !isAdopted ? undefined : this.#nodeFor(id, byteLength, nodes);
      const isLeft = isAdopted && !isOffered && node === undefined;
      isOver &&= isLeft;
      // Until another has it, it is here.
      leftObjects++;
      leftBytes += byteLength;
      if (node === undefined || ownerId === null || !this.#hasRoomForOffer(byteLength)) continue;
      this.#offers.set(id, { node, byteLength, untilMs: nowMs + ANSWER_MS_MAX });
      this.#offeredBytes += byteLength;
      this.#given.set(node, (this.#given.get(node) ?? 0) + byteLength);
      offers.push({ node, id, byteLength, ownerId });
    }
    this.#isOver = isOver;
    this.#leftBehind = { objects: leftObjects, bytes: leftBytes };
    return offers;
  }

  #hasRoomForOffer(byteLength: number): boolean {
    return this.#offers.size === 0 || (this.#offers.size < OFFERS_MAX && this.#offeredBytes + byteLength <= OFFERED_BYTES_MAX);
  }

  /** Of those that may have room, the one that was given least. */
  #nodeFor(id: number, byteLength: number, nodes: readonly NodeKey[]): NodeKey | undefined {
    const refusedBy = this.#refusedBy.get(id);
    let best: NodeKey | undefined;
    for (const node of nodes) {
      if (refusedBy?.has(node) === true || byteLength >= (this.#fullFrom.get(node) ?? Infinity)) continue;
      if (best === undefined || (this.#given.get(node) ?? 0) < (this.#given.get(best) ?? 0)) best = node;
    }
    return best;
  }

  #forgetGone(here: ReadonlyMap<number, HandedObject>, nowMs: number): void {
    for (const [id, { node, untilMs }] of [...this.#offers]) {
      if (!here.has(id)) this.#endOffer(id);
      else if (nowMs >= untilMs) this.refused(id, node, "failed");
    }
    for (const id of [...this.#taken.keys()]) if (!here.has(id)) this.#taken.delete(id);
    for (const id of [...this.#refusedBy.keys()]) if (!here.has(id)) this.#refusedBy.delete(id);
  }

  #endOffer(id: number): void {
    this.#offeredBytes -= this.#offers.get(id)?.byteLength ?? 0;
    this.#offers.delete(id);
  }

  /** That node has it, and has told the owner. */
  taken(id: number, nowMs: number): void {
    this.#endOffer(id);
    this.#taken.set(id, nowMs + CONFIRMED_MS_MAX);
  }

  /** Of an offer that has been given up before, nothing follows but what is known of the node. */
  refused(id: number, node: NodeKey, refusal: HandOverRefusal): void {
    const offer = this.#offers.get(id);
    if (offer?.node !== node) return;
    this.#endOffer(id);
    if (refusal === "full") this.#fullFrom.set(node, Math.min(offer.byteLength, this.#fullFrom.get(node) ?? Infinity));
    const refusedBy = this.#refusedBy.get(id) ?? new Set();
    this.#refusedBy.set(id, refusedBy.add(node));
  }

  nodeLost(node: NodeKey): void {
    for (const [id, offer] of [...this.#offers]) if (offer.node === node) this.#endOffer(id);
    this.#given.delete(node);
    this.#fullFrom.delete(node);
  }

  /** Whoever had no room before may have some now. */
  tryAllAgain(): void {
    this.#refusedBy.clear();
    this.#fullFrom.clear();
  }

  /** After the last plan: nothing is left here but what stays. */
  get isOver(): boolean { return this.#isOver; }

  /** After the last plan: what no other node has. */
  get leftBehind(): LeftBehind { return this.#leftBehind; }
}

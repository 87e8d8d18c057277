import { invariant, type WorkerId } from "../base/mod.ts";

/**
 * Who still needs what. Pure: events in, instructions out. Only objects and actors that were shared with another worker
 * (or came from one) are here; an object that never left its owner lives and dies with its ObjectRef, by JavaScript's own
 * garbage collection.
 *
 *   own, never shared ── share (1) ──▶ owned: pins > 0 or borrowers ── last one gone (4) ──▶ freed
 *                                         ▲    │ addBorrower (2), removeBorrower (3)
 *                                         └────┘
 *   unknown ── borrow (5) ──▶ borrowed: pins > 0 ── last pin gone (6) ──▶ the owner is told, forgotten
 *
 * A *pin* is one local reason to keep it: a live ObjectRef or handle, an argument of a task that has not finished, a
 * stored value that contains it, or a message on its way (a *transit*, dropped when the receiver confirms).
 * (1) The first time a ref is written into a value. (2) A receiver registers itself before the sender drops the pin that
 * the message held, so that the count never touches zero in between. (3) Or the borrower's channel is lost.
 * (4) Instruction `free`. (5) Instruction `register` for the owner. (6) Instruction `unregister`.
 */
export type ReferenceInstruction =
  | { readonly type: "free"; readonly id: string }
  | { readonly type: "register"; readonly ownerId: WorkerId; readonly id: string }
  | { readonly type: "unregister"; readonly ownerId: WorkerId; readonly id: string };

/** Of a call on an actor each pin and unpin has it. */
const NOTHING: readonly ReferenceInstruction[] = [];

interface Tracked {
  readonly ownerId: WorkerId;
  pins: number;
  borrowers: Set<WorkerId> | null;
}

export class ReferenceState {
  readonly #selfId: WorkerId;
  readonly #tracked = new Map<string, Tracked>();

  constructor(selfId: WorkerId) {
    this.#selfId = selfId;
  }

  has(id: string): boolean {
    return this.#tracked.has(id);
  }

  /** Whether another worker uses something of this one's. */
  isNeeded(): boolean {
    for (const { ownerId, borrowers } of this.#tracked.values()) if (ownerId === this.#selfId && borrowers !== null && borrowers.size > 0) return true;
    return false;
  }

  /** One more local reason to keep it. The first one for somebody else's object registers this worker with the owner. */
  pin(id: string, ownerId: WorkerId): readonly ReferenceInstruction[] {
    const tracked = this.#tracked.get(id);
    if (tracked !== undefined) {
      tracked.pins++;
      return NOTHING;
    }
    this.#tracked.set(id, { ownerId, pins: 1, borrowers: null });
    return ownerId === this.#selfId ? NOTHING : [{ type: "register", ownerId, id }];
  }

  unpin(id: string): readonly ReferenceInstruction[] {
    const tracked = this.#tracked.get(id);
    invariant(tracked !== undefined && tracked.pins > 0, () => `${id} was unpinned more often than pinned`);
    tracked.pins--;
    return this.#collect(id, tracked);
  }

  addBorrower(id: string, borrowerId: WorkerId): ReferenceInstruction[] {
    const tracked = this.#tracked.get(id);
    if (tracked === undefined) return [];
    (tracked.borrowers ??= new Set()).add(borrowerId);
    return [];
  }

  removeBorrower(id: string, borrowerId: WorkerId): readonly ReferenceInstruction[] {
    const tracked = this.#tracked.get(id);
    if (tracked === undefined || tracked.borrowers === null || !tracked.borrowers.delete(borrowerId)) return [];
    return this.#collect(id, tracked);
  }

  /**
   * A worker ended: what it owned is nobody's to free. Answers what is lost with it. Pins are counted on: of an actor that ends with its
   * owner, the news must reach whoever still has a handle or a call there.
   */
  ownerLost(workerId: WorkerId): string[] {
    return Array.from(this.#tracked).filter(([, { ownerId }]) => ownerId === workerId).map(([id]) => id);
  }

  /** A worker ended: it borrows nothing any more. */
  borrowerLost(workerId: WorkerId): ReferenceInstruction[] {
    return [...this.#tracked.keys()].flatMap((id) => this.removeBorrower(id, workerId));
  }

  #collect(id: string, tracked: Tracked): readonly ReferenceInstruction[] {
    if (tracked.pins > 0 || (tracked.borrowers !== null && tracked.borrowers.size > 0)) return NOTHING;
    this.#tracked.delete(id);
    return [tracked.ownerId === this.#selfId ? { type: "free", id } : { type: "unregister", ownerId: tracked.ownerId, id }];
  }

  /** Why it is kept here, and by whom elsewhere. */
  reasons(id: string): { readonly pins: number; readonly borrowerIds: readonly WorkerId[] } {
    const tracked = this.#tracked.get(id);
    return { pins: tracked?.pins ?? 0, borrowerIds: [...(tracked?.borrowers ?? [])] };
  }

  /** For state queries and tests. */
  snapshot(): { id: string; ownerId: WorkerId; pins: number; borrowers: number }[] {
    return [...this.#tracked].map(([id, { ownerId, pins, borrowers }]) => ({ id, ownerId, pins, borrowers: borrowers?.size ?? 0 }));
  }
}

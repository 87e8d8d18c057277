import { Deque, FREED_WHILE_WAITING, type AcceleratorIds, type ResourceAmounts, type WorkerId } from "../base/mod.ts";
import type { BundleRecord, LeaseEvent } from "../protocol/mod.ts";

/** A lease that others wait for ends after its running task once it was asked back so long ago. */
export const TIME_SLICE_MS = 20;

/**
 * One lease as the worker holds it: which of its tasks may run now. Pure; what must be told to the node manager comes
 * out as events, in order. The diagram of a lease is above node-manager's LeaseState; this is its other half.
 */
export class HeldLease<T = unknown> {
  readonly leaseId: number;
  ownerId: WorkerId;
  resources: ResourceAmounts = {};
  acceleratorIds: AcceleratorIds | null = null;
  /** Its tasks run in this placement group. */
  bundle: BundleRecord | null = null;
  /** It holds what a task keeps while it waits: no other may run then. */
  #isForOne = false;
  readonly queue = new Deque<T>();
  /** Rights to run one task that is not waiting; 0 before the node manager's word has arrived. */
  slots = 0;
  running = 0;
  blocked = 0;
  isOpen = false;
  isClosed = false;
  /** The lease ends with the tasks that have started: nobody waits for results any more, or this worker is to end. */
  isEnding = false;
  #wantsSlot = false;
  #revokedAtMs: number | null = null;
  /** Since then others wait that want it only when it is idle. */
  #recalledAtMs: number | null = null;
  /** Whether a task has come. Until then the owner may just be sending the first: taking the lease back would be in vain. */
  #isUsed = false;
  readonly #emit: (leaseId: number, event: LeaseEvent) => void;

  constructor(leaseId: number, ownerId: WorkerId, emit: (leaseId: number, event: LeaseEvent) => void) {
    this.leaseId = leaseId;
    this.ownerId = ownerId;
    this.#emit = emit;
  }

  opened(resources: ResourceAmounts, acceleratorIds: AcceleratorIds | null, bundle: BundleRecord | null = null): void {
    this.isOpen = true;
    this.bundle = bundle;
    this.resources = resources;
    this.acceleratorIds = acceleratorIds;
    for (const name in resources) if (name !== FREED_WHILE_WAITING) this.#isForOne = true;
    this.slots++;
  }

  slotGranted(): void {
    this.#wantsSlot = false;
    this.slots++;
  }

  canRun(): boolean {
    return this.running < this.slots && (this.blocked === 0 || !this.#isForOne);
  }

  taskStarted(): void {
    this.#isUsed = true;
    this.running++;
  }

  /** `isBlocked`: what it has begun to wait for is not there yet, and it does not await it. */
  taskEnded(isBlocked = false): void {
    if (isBlocked) this.blocked--;
    else this.running--;
    // An unblocked task took a slot back while another ran: only one is kept.
    while (this.slots > Math.max(1, this.running)) this.#returnSlot();
  }

  /** The slot stays for the moment: what the task waits for may come to this very lease. See `returnUnusedSlots`. */
  taskBlocked(): void {
    this.running--;
    this.blocked++;
  }

  taskUnblocked(): void {
    this.blocked--;
    this.running++;
    if (this.running <= this.slots) return;
    this.slots++;
    this.#emit(this.leaseId, "slotTaken");
  }

  /** Nothing else is here to run: if tasks wait, the resources go to whoever makes what they wait for; else one slot stays for the next. */
  returnUnusedSlots(): void {
    if (this.queue.length > 0) return;
    const kept = Math.max(this.running, this.blocked === 0 ? 1 : 0);
    while (this.slots > kept) this.#returnSlot();
  }

  #returnSlot(): void {
    this.slots--;
    if (this.slots === 0) this.#forgetWaiting();
    this.#emit(this.leaseId, "slotReturned");
  }

  /** Asks for a slot when there is work and none is left. */
  wantSlotIfNeeded(): void {
    if (!this.isOpen || this.slots > 0 || this.queue.length === 0 || this.#wantsSlot || this.isClosed) return;
    this.#wantsSlot = true;
    this.#emit(this.leaseId, "wantSlot");
  }

  revoke(nowMs: number): void {
    this.#revokedAtMs ??= nowMs;
  }

  /** As `revoke`, but never while there is anything to run. */
  recall(nowMs: number): void {
    this.#recalledAtMs ??= nowMs;
  }

  #forgetWaiting(): void {
    this.#revokedAtMs = null;
    this.#recalledAtMs = null;
  }

  /** Whether the lease must go back now: it was asked for, and is idle or has had its time. */
  mustYield(nowMs: number): boolean {
    if (this.isClosed || this.running > 0) return false;
    if (this.isEnding) return true;
    if (this.#revokedAtMs !== null && nowMs - this.#revokedAtMs >= TIME_SLICE_MS) return true;
    const askedAtMs = this.#revokedAtMs ?? this.#recalledAtMs;
    return askedAtMs !== null && this.queue.length === 0 && (this.#isUsed || nowMs - askedAtMs >= TIME_SLICE_MS);
  }

  /** Whether the queue must be handed back even though a task still runs or waits: its time is over, or what it needs is in use. */
  mustReject(nowMs: number): boolean {
    if (this.#isForOne && this.blocked > 0 && this.queue.length > 0) return true;
    return this.#revokedAtMs !== null && this.queue.length > 0 && nowMs - this.#revokedAtMs >= TIME_SLICE_MS;
  }

  /** Gives back what it holds. Waiting tasks keep the lease itself alive; without them it is gone. */
  yieldSlots(): void {
    this.#forgetWaiting();
    if (this.blocked === 0) return this.close();
    while (this.slots > this.running) this.#returnSlot();
  }

  close(): void {
    if (this.isClosed) return;
    this.isClosed = true;
    this.slots = 0;
    this.#emit(this.leaseId, "closed");
  }
}

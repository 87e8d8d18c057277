import type { WorkerId } from "../base/mod.ts";
import { FRAME_MESSAGE, TASK_SLOTS_MAX, type CodeUnitRecord, type PeerMessage } from "../protocol/mod.ts";
import type { Channel } from "../transport/mod.ts";
import type { BegunTasks } from "./begun-tasks.ts";
import type { Callable, PendingTask } from "./task.ts";
import type { IncomingCallable } from "./incoming-callable.ts";
import type { ResultWriter } from "./result-writer.ts";
import { packMessage } from "../clients/mod.ts";

/** States of a task slot in shared memory. */
export const CLAIM_OPEN = 0;
export const CLAIM_STARTED = 1;
export const CLAIM_RECALLED = 2;

/**
 * Another core worker (or this one itself), with the channel to it. The roles are symmetric: it may run tasks for us, we
 * may run tasks for it, and each may own objects that the other uses.
 */
export class Peer {
  readonly workerId: WorkerId;
  channel: Channel | null = null;
  isLost = false;
  /** It has said that what it has not answered has not run. */
  isLeaving = false;
  /** Everything that it sent has been read. */
  isDrained = false;
  whenDrained: (() => void) | null = null;
  /** What waits for the channel to open, in order. */
  #outbox: (Uint8Array | readonly Uint8Array[])[] = [];
  /** What goes before the next frame, see `sendSoon`. */
  #soon: (() => PeerMessage)[] | null = null;

  // As the owner of tasks that run there.
  readonly slots: (PendingTask | null)[] = [];
  readonly freeSlots: number[] = [];
  readonly outgoing: PendingTask[] = [];
  readonly callableNumbers = new Map<Callable, number>();
  readonly unitsSent = new Set<string>();
  /** Shared with the worker's thread, or null between processes: who may still take a sent task, see CLAIM_…. */
  outgoingClaims: Int32Array | null = null;

  // As the one that runs its tasks.
  readonly incomingCallables = new Map<number, IncomingCallable>();
  results: ResultWriter | null = null;
  incomingClaims: Int32Array | null = null;
  /** Which of its tasks have begun, for when this worker is killed. Between threads it has the claims for that. */
  begun: BegunTasks | null = null;

  constructor(workerId: WorkerId) {
    this.workerId = workerId;
  }

  opened(channel: Channel): void {
    this.channel = channel;
    const waiting = this.#outbox;
    this.#outbox = [];
    for (const item of waiting) {
      if (item instanceof Uint8Array) channel.send(item);
      else channel.sendParts(item);
    }
  }

  /** `frame` is copied. False when the peer is gone; whoever waits for it learns so from `workerDied`. */
  send(frame: Uint8Array): boolean {
    if (this.isLost) return false;
    if (this.#soon !== null) this.#sendWaiting();
    if (this.channel !== null) return this.channel.send(frame);
    this.#outbox.push(new Uint8Array(frame));
    return true;
  }

  sendParts(parts: readonly Uint8Array[]): boolean {
    if (this.isLost) return false;
    if (this.#soon !== null) this.#sendWaiting();
    if (this.channel !== null) return this.channel.sendParts(parts);
    this.#outbox.push(parts.map((part) => new Uint8Array(part)));
    return true;
  }

  sendMessage(message: PeerMessage): boolean {
    return this.sendParts([MESSAGE_KIND, packMessage(message)]);
  }

  /**
   * For what nobody waits for: it goes with the next frame, before it, at the latest when the event loop turns. A message of its own
   * would wake the peer, which may take this thread's processor for itself. The message is built when it goes.
   */
  sendSoon(build: () => PeerMessage): boolean {
    if (this.isLost) return false;
    if (this.#soon !== null) {
      this.#soon.push(build);
      return true;
    }
    this.#soon = [build];
    setImmediate(() => this.#sendWaiting());
    return true;
  }

  #sendWaiting(): void {
    const waiting = this.#soon;
    this.#soon = null;
    for (const build of waiting ?? []) this.sendMessage(build());
  }

  /** Sends code that the peer has not had from us, dependencies included. */
  sendCode(units: readonly CodeUnitRecord[]): void {
    const missing = units.filter((unit) => !this.unitsSent.has(unit.id));
    if (missing.length === 0) return;
    for (const unit of missing) this.unitsSent.add(unit.id);
    this.sendMessage({ type: "code", units: missing });
  }

  takeSlot(task: PendingTask): number {
    const slot = this.freeSlots.pop() ?? this.slots.length;
    this.slots[slot] = task;
    task.slot = slot;
    if (this.outgoingClaims !== null && slot < TASK_SLOTS_MAX) Atomics.store(this.outgoingClaims, slot, CLAIM_OPEN);
    return slot;
  }

  releaseSlot(slot: number): PendingTask | null {
    const task = this.slots[slot] ?? null;
    if (task === null) return null;
    this.slots[slot] = null;
    this.freeSlots.push(slot);
    task.slot = -1;
    return task;
  }

  get hasTasksInFlight(): boolean {
    return this.slots.length > this.freeSlots.length;
  }

  *tasksInFlight(): Iterable<PendingTask> {
    for (const task of this.slots) if (task !== null) yield task;
  }
}

const MESSAGE_KIND = Uint8Array.of(FRAME_MESSAGE);

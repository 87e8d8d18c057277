import type { WorkerId } from "../base/mod.ts";
import { SERVICE_SLOT } from "./extent-rows.ts";
import { SLOTS_MAX } from "./extent-table.ts";

/** Which worker has which slot of the extent table. */
export class WorkerSlots {
  /** By slot; the first is the service's own. */
  readonly holders: (WorkerId | null)[] = [null];
  readonly #slotOf = new Map<WorkerId, number>();

  /** A slot for the worker, or undefined if all are taken. */
  attach(workerId: WorkerId): number | undefined {
    const known = this.#slotOf.get(workerId);
    if (known !== undefined) return known;
    let slot = this.holders.findIndex((holder, index) => index !== SERVICE_SLOT && holder === null);
    if (slot < 0) slot = this.holders.length;
    if (slot >= SLOTS_MAX) return undefined;
    this.holders[slot] = workerId;
    this.#slotOf.set(workerId, slot);
    return slot;
  }

  of(workerId: WorkerId): number | undefined {
    return this.#slotOf.get(workerId);
  }

  workers(): IterableIterator<WorkerId> {
    return this.#slotOf.keys();
  }

  release(workerId: WorkerId, slot: number): void {
    this.holders[slot] = null;
    this.#slotOf.delete(workerId);
  }
}

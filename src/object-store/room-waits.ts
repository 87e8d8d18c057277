import { megabytes, type WorkerId } from "../base/mod.ts";
import type { RoomOrigin, RoomWaitRecord } from "../protocol/mod.ts";
import { PAGE_BYTES } from "./arena-state.ts";
import { type ExtentTable, FREE } from "./extent-table.ts";

/** For messages: what an object is and where it comes from. */
export function roomWanted(byteLength: number, origin: RoomOrigin | null): string {
  const made = [origin?.callSite == null ? "" : `at ${origin.callSite}`, origin?.runs == null ? "" : `in ${origin.runs}()`].filter((part) => part !== "").join(" ");
  return `an object of ${megabytes(byteLength)}${made === "" ? "" : ` that is made ${made}`}`;
}

/** For messages: what a store that has no room is full of. Looks at every row. */
export function describeFullStore(table: ExtentTable, slot: number, capacityPages: number): string {
  const pages = { used: 0, viewed: 0, viewedHere: 0 };
  for (let row = 0; row < table.rowsMax; row++) {
    if (table.state(row) === FREE) continue;
    const size = table.pages(row);
    pages.used += size;
    if (table.isPinned(row)) pages.viewed += size;
    if (table.isPinnedBy(row, slot)) pages.viewedHere += size;
  }
  const size = (count: number): string => megabytes(count * PAGE_BYTES);
  return `${size(pages.used)} of ${size(capacityPages)} are in use, and views are left of ${size(pages.viewed)}, ${size(pages.viewedHere)} of these in this worker`;
}

interface RoomWait {
  readonly pages: number;
  readonly sinceMs: number;
  readonly origin: RoomOrigin | null;
}

/** Who sleeps until there is room, for who asks; each worker waits for one thing at a time. Pure. */
export class RoomWaits {
  readonly #waits = new Map<WorkerId, RoomWait>();

  begin(workerId: WorkerId, pages: number, origin: RoomOrigin | null, nowMs: number): void {
    this.#waits.set(workerId, { pages, sinceMs: nowMs, origin });
  }

  end(workerId: WorkerId): void {
    this.#waits.delete(workerId);
  }

  list(nowMs: number, { usedPages, capacityPages }: { readonly usedPages: number; readonly capacityPages: number }): RoomWaitRecord[] {
    return Array.from(this.#waits, ([workerId, { pages, sinceMs, origin }]) => ({
      workerId, byteLength: pages * PAGE_BYTES, waitedMs: nowMs - sinceMs, usedBytes: usedPages * PAGE_BYTES, capacityBytes: capacityPages * PAGE_BYTES, origin,
    }));
  }
}

import { invariant } from "../base/mod.ts";
import type { ArenaRange, ArenaState } from "./arena-state.ts";
import { CACHED, DOOMED, EVICTING, type ExtentTable, FREE, SEALED } from "./extent-table.ts";

/** The slot of the service itself, for objects that it brings back from disk. */
export const SERVICE_SLOT = 0;

/**
 * The memory behind the arena: asks the file system for the first `pages` of a segment, and answers how many it has; fewer when
 * it is full.
 */
export type Backing = (segment: number, pages: number) => number;

/** Gives rows of the extent table their memory and takes it back: the only one that changes what is FREE. */
export class ExtentRows {
  readonly #arena: ArenaState;
  readonly #table: ExtentTable;
  readonly #back: Backing;
  /** Rows that a worker has for its next objects, or fills. */
  readonly #granted = new Set<number>();
  /** Rows that nobody needs and somebody still looks at. */
  readonly #doomed = new Set<number>();
  readonly #free: number[] = [];
  #used = 0;

  constructor(arena: ArenaState, table: ExtentTable, back: Backing) {
    this.#arena = arena;
    this.#table = table;
    this.#back = back;
  }

  /** Rows that were ever in use are below this. */
  get used(): number {
    return this.#used;
  }
  get grantedCount(): number {
    return this.#granted.size;
  }
  get doomedCount(): number {
    return this.#doomed.size;
  }

  // ------------------------------------------------------------------ giving

  /** A row that is the service's, CACHED, or undefined if there is no room, though unused memory of workers was taken back. */
  allocate(pages: number): number | undefined {
    return this.allocateFree(pages) ?? (this.#takeBackUnused() ? this.allocateFree(pages) : undefined);
  }

  /** The same, from what is free already. */
  allocateFree(pages: number): number | undefined {
    const row = this.#free.pop() ?? (this.#used < this.#table.rowsMax ? this.#used++ : undefined);
    if (row === undefined) return undefined;
    const place = this.#backedRange(pages);
    if (place === null) {
      this.#free.push(row);
      return undefined;
    }
    this.#table.grant(row, place, SERVICE_SLOT);
    return row;
  }

  #backedRange(pages: number): ArenaRange | null {
    for (;;) {
      const range = this.#arena.allocate(pages);
      if (range === null) return null;
      const backedPages = this.#back(range.segment, range.offset + range.size);
      if (backedPages >= range.offset + range.size) return range;
      // The file system is smaller than it said: so is the store from now on.
      this.#arena.free(range);
      this.#arena.limitSegment(range.segment, backedPages);
    }
  }

  grant(row: number, slot: number): void {
    const isDone = this.#table.change(row, CACHED, SERVICE_SLOT, CACHED, slot);
    invariant(isDone, "fresh memory was taken by somebody else");
    this.#granted.add(row);
  }

  /** An owner has taken the extent of an object of its own for its next one. */
  reused(row: number): void {
    this.#granted.add(row);
  }

  /** It holds an object now. */
  filled(row: number): void {
    this.#granted.delete(row);
  }

  // ------------------------------------------------------------------ taking

  /** Extents that workers keep for reuse, and doomed ones whose last reader did not say that it let go. */
  #takeBackUnused(): boolean {
    let isAny = false;
    for (const row of this.#doomed) {
      if (this.#table.isPinned(row)) continue;
      this.release(row);
      isAny = true;
    }
    for (const row of this.#granted) if (this.#table.state(row) === CACHED && this.#tryRelease(row)) isAny = true;
    return isAny;
  }

  /** Nobody needs the object any more: the memory goes back as soon as nobody looks at it. */
  doom(row: number, id: number): void {
    const table = this.#table;
    if (table.id(row) !== id) return;
    // Its owner may have begun to free it, and died.
    if (table.state(row) === CACHED) return this.release(row);
    if (!table.changeState(row, SEALED, DOOMED)) table.changeState(row, EVICTING, DOOMED);
    if (table.isPinned(row)) this.#doomed.add(row);
    else this.release(row);
  }

  /** False if somebody looks at the object, which then stays. */
  tryDrop(row: number, id: number): boolean {
    const table = this.#table;
    if (!table.changeState(row, SEALED, DOOMED) && !table.changeState(row, EVICTING, DOOMED)) return false;
    if (table.id(row) !== id || table.isPinned(row)) {
      table.changeState(row, DOOMED, SEALED);
      return false;
    }
    this.release(row);
    return true;
  }

  unpinned(row: number): void {
    if (this.#doomed.has(row) && !this.#table.isPinned(row)) this.release(row);
  }

  /** A worker has ended: its pins go, and the memory that it had for objects to come. */
  clearSlot(slot: number): void {
    for (let row = 0; row < this.#used; row++) {
      this.#table.clearPin(row, slot);
      if (this.#granted.has(row) && this.#table.slot(row) === slot) this.release(row);
      else this.unpinned(row);
    }
  }

  /** The worker had given up when it was granted. */
  refused(row: number): void {
    if (this.#granted.has(row)) this.release(row);
  }

  release(row: number): void {
    const isDone = this.#tryRelease(row);
    invariant(isDone, "memory that goes back was taken at the same time");
  }

  #tryRelease(row: number): boolean {
    const state = this.#table.state(row);
    if (state === FREE || !this.#table.change(row, state, this.#table.slot(row), FREE, 0)) return false;
    this.#granted.delete(row);
    this.#doomed.delete(row);
    this.#arena.free(this.#table.place(row));
    this.#free.push(row);
    return true;
  }
}

import { invariant } from "../base/mod.ts";
import type { ArenaRange, ArenaState } from "./arena-state.ts";
import { CACHED, DOOMED, EVICTING, type ExtentState, type ExtentTable, FREE, SEALED, WRITING } from "./extent-table.ts";

/** The slot of the service itself, for objects that it brings back from disk. */
export const SERVICE_SLOT = 0;

/**
 * The memory behind the arena: asks the file system for the first `pages` of a segment, and answers how many it has; fewer when
 * it is full.
 */
export type Backing = (segment: number, pages: number) => number;

/**
 * Gives rows of the extent table their memory and takes it back: the only one that changes what is FREE. Besides the table, where
 * workers may be a step ahead, it notes what the service has been told: a row in use is held by an object, doomed, or granted.
 */
export class ExtentRows {
  readonly #arena: ArenaState;
  readonly #table: ExtentTable;
  readonly #back: Backing;
  /** Rows of the objects that the service knows, and the ids of these. */
  readonly #held = new Map<number, number>();
  /** Rows that a worker has for its next objects, fills, or has filled with an object that the service has not heard of. */
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
  doomed(): Iterable<number> {
    return this.#doomed;
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

  /** To fill at once, or to keep for later: only that can be taken back, lest a worker wakes and finds nothing. */
  grant(row: number, slot: number, state: typeof CACHED | typeof WRITING): void {
    const isDone = this.#table.change(row, CACHED, SERVICE_SLOT, state, slot);
    invariant(isDone, "fresh memory was taken by somebody else");
    this.#granted.add(row);
  }

  /** It holds an object now; unless the owner of that one has freed it already, and the extent is somebody else's. */
  filled(row: number, id: number): void {
    const state = this.#table.state(row);
    if (this.#table.id(row) !== id || state === FREE || state === CACHED || state === WRITING) return;
    this.#granted.delete(row);
    this.#doomed.delete(row);
    this.#held.set(row, id);
  }

  /** The owner of the object has taken its extent for its next one. That one may be known already, if others made and freed objects in it. */
  reused(row: number, id: number): void {
    if (this.#held.get(row) !== id) return;
    this.#held.delete(row);
    this.#granted.add(row);
  }

  // ------------------------------------------------------------------ taking

  /** Extents that workers keep for reuse, and doomed ones whose last reader did not say that it let go. */
  #takeBackUnused(): boolean {
    let isAny = false;
    for (const row of this.#doomed) if (this.#releaseDoomed(row)) isAny = true;
    for (const row of this.#granted) if (this.#tryRelease(row, CACHED)) isAny = true;
    return isAny;
  }

  /** Nobody needs the object any more: the memory goes back as soon as nobody looks at it. */
  doom(row: number, id: number): void {
    if (this.#held.get(row) !== id) return;
    this.#held.delete(row);
    const table = this.#table;
    const isDoomed = table.changeState(row, SEALED, DOOMED) || table.changeState(row, EVICTING, DOOMED);
    // Its owner has taken the extent for its next object, and has not been heard of yet.
    if (isDoomed && table.id(row) !== id) table.changeState(row, DOOMED, SEALED);
    this.#nobodyNeeds(row);
  }

  #nobodyNeeds(row: number): void {
    this.#granted.delete(row);
    this.#doomed.add(row);
    this.#releaseDoomed(row);
  }

  #releaseDoomed(row: number): boolean {
    if (this.#table.state(row) !== DOOMED) {
      // Its owner freed it at the same time as the service did, and was first: it has the extent now.
      this.#doomed.delete(row);
      this.#granted.add(row);
      return false;
    }
    return !this.#table.isPinned(row) && this.#tryRelease(row, DOOMED);
  }

  /** False if somebody looks at the object, which then stays. */
  tryDrop(row: number, id: number): boolean {
    const table = this.#table;
    if (!table.changeState(row, SEALED, DOOMED) && !table.changeState(row, EVICTING, DOOMED)) return false;
    if (table.id(row) !== id || table.isPinned(row)) {
      table.changeState(row, DOOMED, SEALED);
      return false;
    }
    this.release(row, DOOMED);
    return true;
  }

  unpinned(row: number): void {
    if (this.#doomed.has(row)) this.#releaseDoomed(row);
  }

  /**
   * A worker has ended: its pins go, and the memory that it had for objects to come. Answers the rows with objects that it has made
   * and nobody has told the service of.
   */
  clearSlot(slot: number): number[] {
    const table = this.#table;
    const unheard: number[] = [];
    for (let row = 0; row < this.#used; row++) {
      table.clearPin(row, slot);
      if (this.#doomed.has(row)) this.#releaseDoomed(row);
      if (table.slot(row) !== slot) continue;
      const state = table.state(row);
      if (state === CACHED || state === WRITING) this.release(row, state);
      else if (state === SEALED && this.#held.get(row) !== table.id(row)) unheard.push(row);
      else if (state === DOOMED && this.#granted.has(row)) this.#nobodyNeeds(row);
    }
    return unheard;
  }

  /** The row of an object that a worker has made, and the service has not been told of. */
  sealedUnheard(id: number): number | undefined {
    for (let row = 0; row < this.#used; row++) {
      if (this.#table.id(row) === id && this.#table.state(row) === SEALED && this.#held.get(row) !== id) return row;
    }
    return undefined;
  }

  /** The worker had given up when it was granted. */
  refused(row: number): void {
    if (this.#granted.has(row) && !this.#tryRelease(row, WRITING)) this.#tryRelease(row, CACHED);
  }

  /** What is in this state cannot be changed by anybody else. */
  release(row: number, state: ExtentState): void {
    const isDone = this.#tryRelease(row, state);
    invariant(isDone, "memory that goes back was taken at the same time");
  }

  #tryRelease(row: number, state: ExtentState): boolean {
    if (this.#table.state(row) !== state || !this.#table.change(row, state, this.#table.slot(row), FREE, 0)) return false;
    this.#held.delete(row);
    this.#granted.delete(row);
    this.#doomed.delete(row);
    this.#arena.free(this.#table.place(row));
    this.#free.push(row);
    return true;
  }
}

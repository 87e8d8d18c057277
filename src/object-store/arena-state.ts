import { invariant } from "../base/mod.ts";

/** The unit in which memory is handed out. */
export const PAGE_BYTES = 4096;

/** Sizes up to so many pages are exact; above, each doubling has so many size classes, and those with one page more. */
const CLASSES_PER_DOUBLING = 8;

/** Page numbers stay within 31 bits: 8 TiB in one segment. */
const SEGMENT_PAGES_MAX = 2 ** 31 - 1;

/** Pages of one segment that belong to one object. */
export interface ArenaRange {
  readonly segment: number;
  /** In pages from the segment's start. */
  readonly offset: number;
  /** In pages. */
  readonly size: number;
}

/**
 * The pages for so many bytes, rounded up to a size class, so that the range of one object fits the next of about the
 * same size. Wastes less than 1/8 beyond the last page. One page more than a class is a class too: buffers mostly have a round size,
 * and their headers take a little more. Null if no segment is that large.
 */
export function classPages(bytes: number, segmentPages: number): number | null {
  invariant(Number.isSafeInteger(bytes) && bytes >= 0, () => `an object of ${bytes} bytes was to be stored`);
  const pages = Math.max(1, Math.ceil(bytes / PAGE_BYTES));
  if (pages > segmentPages) return null;
  if (pages <= CLASSES_PER_DOUBLING) return pages;
  const highestPowerOfTwo = 2 ** (31 - Math.clz32(pages));
  const step = highestPowerOfTwo / CLASSES_PER_DOUBLING;
  return (pages - 1) % step === 0 ? pages : Math.min(Math.ceil(pages / step) * step, segmentPages);
}

/**
 * Which pages of the arena's segments are whose. Pure: no memory is touched here. Ranges that were used before come
 * first, because the first touch of a page costs several times as much as any later one.
 *
 *   fresh ── allocate (3) ──▶ used ── free (4) ──▶ free ── allocate (1) (2) ──▶ used
 *     │                        │                    │
 *     └──── limit (6) ─────────┴─── free (7) ───────┴─── limit (6) ──▶ lost
 *
 * (1) The free range of exactly this size that was freed last. (2) Else the smallest free one that is large enough; what
 * is left of it stays free. If there is none, neighbours are merged (5) and (2) is tried once more. (3) Else fresh pages,
 * of the first segment with room; a free range just below them becomes part of it. (4) A freed range is not merged with
 * its neighbours at once, or a program that puts and drops equal sizes would split and merge for ever. (5) Only ranges
 * freed since the last time are looked at, so merging costs no more than freeing did. (6) Memory behind a segment has
 * ended early: what is free or fresh beyond the limit is not handed out any more. (7) So is a range beyond it, once freed.
 */
export class ArenaState {
  readonly #segments: Segment[] = [];
  readonly #free = new FreeBlocks();
  /** Free blocks whose neighbours may be free too. */
  readonly #unmerged = new Set<Block>();
  #usedPages = 0;
  #freePages: number;

  /** Segments of `segmentPagesMax`; the last one has what remains of the capacity. */
  constructor(options: { readonly capacityPages: number; readonly segmentPagesMax: number }) {
    const { capacityPages, segmentPagesMax } = options;
    invariant(isCount(capacityPages), () => `an arena of ${capacityPages} pages was asked for`);
    invariant(isCount(segmentPagesMax) && segmentPagesMax > 0 && segmentPagesMax <= SEGMENT_PAGES_MAX, () => `segments of ${segmentPagesMax} pages were asked for`);
    for (let pages = capacityPages; pages > 0; pages -= segmentPagesMax) {
      this.#segments.push({ index: this.#segments.length, limit: Math.min(pages, segmentPagesMax), top: null, used: new Map() });
    }
    this.#freePages = capacityPages;
  }

  get segmentCount(): number {
    return this.#segments.length;
  }

  /** More than this cannot be allocated at once even when the arena is empty. */
  get largestSegmentPages(): number {
    return this.#segments.reduce((largest, { limit }) => Math.max(largest, limit), 0);
  }

  get usedPages(): number {
    return this.#usedPages;
  }

  /** Free and fresh pages together, in however many pieces. */
  get freePages(): number {
    return this.#freePages;
  }

  /** Falls only by `limitSegment`: for a range in use beyond the limit, when it is freed. */
  get capacityPages(): number {
    return this.#usedPages + this.#freePages;
  }

  /** `pages` as `classPages` gives them. Null if no free range is large enough now. */
  allocate(pages: number): ArenaRange | null {
    invariant(isCount(pages) && pages > 0, () => `a range of ${pages} pages was asked for`);
    const block = this.#takeFree(pages) ?? this.#takeFresh(pages);
    if (block === null) return null;
    block.state = "used";
    block.segment.used.set(block.offset, block);
    this.#usedPages += pages;
    this.#freePages -= pages;
    return { segment: block.segment.index, offset: block.offset, size: block.size };
  }

  free(range: ArenaRange): void {
    const segment = this.#segments[range.segment];
    const block = segment?.used.get(range.offset);
    invariant(segment !== undefined && block !== undefined && block.size === range.size, () => {
      const known = block === undefined ? "no allocated range begins there" : `the allocated range there has ${block.size} pages`;
      return `pages ${range.offset} to ${range.offset + range.size} of segment ${range.segment} were freed, but ${known}`;
    });
    segment.used.delete(range.offset);
    this.#usedPages -= block.size;
    this.#release(block);
    dropLostTop(segment);
  }

  /** The most pages that `allocate` would give at once. Merges neighbours (5), so ask when room is short and not for every object. */
  largestFree(): number {
    this.#mergeNeighbours();
    return this.#segments.reduce((largest, segment) => Math.max(largest, segment.limit - freshStart(segment)), this.#free.largestPages);
  }

  /** How many pages of a segment must be backed by memory: all that were ever handed out. Falls only by `limitSegment`. */
  highWater(segment: number): number {
    return endOf(this.#segment(segment));
  }

  /** Nothing beyond the first `pages` pages of a segment is handed out any more. A limit once set is never raised. */
  limitSegment(segment: number, pages: number): void {
    const limited = this.#segment(segment);
    invariant(isCount(pages), () => `segment ${segment} was to be limited to ${pages} pages`);
    if (pages >= limited.limit) return;
    this.#freePages -= Math.max(0, limited.limit - Math.max(pages, endOf(limited)));
    limited.limit = pages;
    for (let block = limited.top; block !== null && block.offset + block.size > pages; ) {
      const { below } = block;
      if (block.state === "free") {
        this.#removeFree(block);
        this.#freePages -= block.size;
        this.#release(block);
      }
      block = below;
    }
    dropLostTop(limited);
  }

  #segment(index: number): Segment {
    const segment = this.#segments[index];
    invariant(segment !== undefined, () => `there is no segment ${index}: the arena has ${this.#segments.length}`);
    return segment;
  }

  #takeFree(pages: number): Block | null {
    let block = this.#free.smallest(pages);
    if (block === null && this.#mergeNeighbours()) block = this.#free.smallest(pages);
    if (block === null) return null;
    this.#removeFree(block);
    if (block.size > pages) this.#addFree(splitOff(block, pages));
    return block;
  }

  #takeFresh(pages: number): Block | null {
    for (const segment of this.#segments) {
      const offset = freshStart(segment);
      if (segment.limit - offset < pages) continue;
      const { top } = segment;
      if (top === null || top.state !== "free") return pushBlock(segment, offset, pages);
      this.#removeFree(top);
      top.size = pages;
      return top;
    }
    return null;
  }

  /** Makes a block free that is neither used nor among the free ones: as far as it lies below the limit. */
  #release(block: Block): void {
    const pagesBelowLimit = Math.max(0, Math.min(block.size, block.segment.limit - block.offset));
    if (pagesBelowLimit < block.size) {
      const beyond = pagesBelowLimit === 0 ? block : splitOff(block, pagesBelowLimit);
      beyond.state = "lost";
      if (beyond === block) return;
    }
    block.state = "free";
    this.#freePages += block.size;
    this.#addFree(block);
  }

  /** Whether there was anything to merge. */
  #mergeNeighbours(): boolean {
    let merged = false;
    for (const block of this.#unmerged) {
      let lowest = block;
      while (lowest.below?.state === "free") lowest = lowest.below;
      if (lowest.above?.state !== "free") continue;
      this.#free.remove(lowest);
      while (lowest.above?.state === "free") {
        const absorbed = lowest.above;
        this.#removeFree(absorbed);
        absorbAbove(lowest, absorbed);
      }
      this.#free.add(lowest);
      merged = true;
    }
    this.#unmerged.clear();
    return merged;
  }

  #addFree(block: Block): void {
    this.#free.add(block);
    this.#unmerged.add(block);
  }

  #removeFree(block: Block): void {
    this.#free.remove(block);
    this.#unmerged.delete(block);
  }
}

// ------------------------------------------------------------------ blocks of a segment

/** A segment's blocks lie side by side from page 0 to the high-water mark. */
interface Segment {
  readonly index: number;
  /** In pages: the segment's size, or less once its memory turned out to be less. */
  limit: number;
  /** The block that ends at the high-water mark. */
  top: Block | null;
  /** By offset. */
  readonly used: Map<number, Block>;
}

interface Block {
  readonly segment: Segment;
  readonly offset: number;
  size: number;
  state: "used" | "free" | "lost";
  /** The neighbours in the segment. */
  below: Block | null;
  above: Block | null;
  /** The neighbours in the stack of free blocks of this size. */
  older: Block | null;
  newer: Block | null;
}

function isCount(value: number): boolean {
  return Number.isSafeInteger(value) && value >= 0;
}

function endOf({ top }: Segment): number {
  return top === null ? 0 : top.offset + top.size;
}

/** Where a range that takes fresh pages would begin. */
function freshStart(segment: Segment): number {
  const { top } = segment;
  return top !== null && top.state === "free" ? top.offset : endOf(segment);
}

function pushBlock(segment: Segment, offset: number, size: number): Block {
  const block: Block = { segment, offset, size, state: "used", below: segment.top, above: null, older: null, newer: null };
  if (segment.top !== null) segment.top.above = block;
  segment.top = block;
  return block;
}

/** Leaves `pages` in the block. Returns a free block of the others, which is above it. */
function splitOff(block: Block, pages: number): Block {
  const { segment, above } = block;
  const rest: Block = { segment, offset: block.offset + pages, size: block.size - pages, state: "free", below: block, above, older: null, newer: null };
  block.size = pages;
  block.above = rest;
  if (above === null) segment.top = rest;
  else above.below = rest;
  return rest;
}

function absorbAbove(block: Block, absorbed: Block): void {
  block.size += absorbed.size;
  block.above = absorbed.above;
  if (absorbed.above === null) block.segment.top = block;
  else absorbed.above.below = block;
}

function dropLostTop(segment: Segment): void {
  while (segment.top?.state === "lost") segment.top = segment.top.below;
  if (segment.top !== null) segment.top.above = null;
}

// ------------------------------------------------------------------ free blocks by size

/** A stack of the free blocks of each size, newest on top. */
class FreeBlocks {
  readonly #newestOfSize = new Map<number, Block>();
  /**
   * The keys of the stacks, ascending. They add up to at most the capacity, so there are at most √(2 × pages) of them
   * (1,448 for 4 GiB), which makes an array quicker than a tree.
   */
  readonly #sizes: number[] = [];

  get largestPages(): number {
    return this.#sizes.at(-1) ?? 0;
  }

  /** The newest of the smallest blocks that have so many pages. */
  smallest(pages: number): Block | null {
    const size = this.#sizes[this.#position(pages)];
    return size === undefined ? null : (this.#newestOfSize.get(size) as Block);
  }

  add(block: Block): void {
    const older = this.#newestOfSize.get(block.size) ?? null;
    if (older === null) this.#sizes.splice(this.#position(block.size), 0, block.size);
    else older.newer = block;
    block.older = older;
    this.#newestOfSize.set(block.size, block);
  }

  remove(block: Block): void {
    const { older, newer } = block;
    if (older !== null) older.newer = newer;
    if (newer !== null) newer.older = older;
    else if (older !== null) this.#newestOfSize.set(block.size, older);
    else {
      this.#newestOfSize.delete(block.size);
      this.#sizes.splice(this.#position(block.size), 1);
    }
    block.older = null;
    block.newer = null;
  }

  /** Of the first size that is not below `pages`. */
  #position(pages: number): number {
    let low = 0;
    let high = this.#sizes.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.#sizes[middle] as number) < pages) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}

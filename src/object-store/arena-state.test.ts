import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { InvariantError } from "../base/mod.ts";
import { type ArenaRange, ArenaState, classPages, PAGE_BYTES } from "./arena-state.ts";

const SEGMENT_PAGES = 2 ** 19;

/** Allocates what must have room. */
function take(arena: ArenaState, pages: number): ArenaRange {
  const range = arena.allocate(pages);
  assert.ok(range !== null, `no room for ${pages} pages`);
  return range;
}

function highWaters(arena: ArenaState): number[] {
  return Array.from({ length: arena.segmentCount }, (_, segment) => arena.highWater(segment));
}

describe("size classes", () => {
  test("up to 8 pages are exact, and nothing takes no page", () => {
    assert.equal(classPages(0, SEGMENT_PAGES), 1);
    for (let pages = 1; pages <= 8; pages++) {
      assert.equal(classPages(pages * PAGE_BYTES, SEGMENT_PAGES), pages);
      assert.equal(classPages((pages - 1) * PAGE_BYTES + 1, SEGMENT_PAGES), pages);
    }
  });

  test("each doubling has 8 classes, and those with one page more", () => {
    for (let low = 16; 2 * low < SEGMENT_PAGES; low *= 2) {
      const classes = new Set<number>();
      for (let pages = low + 1; pages <= 2 * low; pages += low > 4096 ? low / 4096 : 1) classes.add(classPages(pages * PAGE_BYTES, SEGMENT_PAGES) as number);
      const rounds = Array.from({ length: 8 }, (_, index) => low + ((index + 1) * low) / 8);
      for (const round of rounds) assert.equal(classPages((round + 1) * PAGE_BYTES, SEGMENT_PAGES), round + 1);
      assert.deepEqual([...classes].filter((pages) => rounds.includes(pages)), rounds);
      assert.ok([...classes].every((pages) => rounds.includes(pages) || rounds.includes(pages - 1) || pages === low + 1));
    }
  });

  test("what has a round size takes no more, and a buffer of one takes one page more for its header", () => {
    for (let pages = 8; pages < SEGMENT_PAGES; pages *= 2) {
      for (const factor of [1, 1.25, 1.5]) {
        assert.equal(classPages(factor * pages * PAGE_BYTES, SEGMENT_PAGES), factor * pages);
        assert.equal(classPages(factor * pages * PAGE_BYTES + 200, SEGMENT_PAGES), factor * pages + 1);
      }
    }
  });

  test("a class holds its bytes, wastes less than an eighth, and is its own class", () => {
    const anyBytes = fc.oneof(fc.integer({ min: 1, max: SEGMENT_PAGES * PAGE_BYTES }), fc.integer({ min: 1, max: 200 * PAGE_BYTES }));
    fc.assert(
      fc.property(anyBytes, (bytes) => {
        const pages = classPages(bytes, SEGMENT_PAGES) as number;
        const needed = Math.ceil(bytes / PAGE_BYTES);
        assert.ok(pages >= needed && (pages - needed) * 8 < needed, `${needed} pages became ${pages}`);
        assert.equal(classPages(pages * PAGE_BYTES, SEGMENT_PAGES), pages);
      }),
    );
  });

  test("what fits a segment gets a class that fits it too; what does not is refused", () => {
    assert.equal(classPages(990 * PAGE_BYTES, 1000), 1000, "the next class would be 1,024");
    assert.equal(classPages(1000 * PAGE_BYTES, 1000), 1000);
    assert.equal(classPages(1000 * PAGE_BYTES + 1, 1000), null);
    assert.equal(classPages(Number.MAX_SAFE_INTEGER, 1000), null);
    assert.equal(classPages(1, 0), null);
  });
});

describe("which pages are taken", () => {
  test("(1) of the free ranges of exactly this size, the one freed last", () => {
    const arena = new ArenaState({ capacityPages: 100, segmentPagesMax: 100 });
    const ranges = [1, 2, 3].map(() => {
      const range = take(arena, 4);
      take(arena, 1);
      return range;
    });
    for (const index of [2, 0, 1]) arena.free(ranges[index] as ArenaRange);
    assert.deepEqual([take(arena, 4), take(arena, 4), take(arena, 4)], [ranges[1], ranges[0], ranges[2]]);
  });

  test("(1) exactly this size comes before a larger one that was freed later", () => {
    const arena = new ArenaState({ capacityPages: 100, segmentPagesMax: 100 });
    const exact = take(arena, 4);
    take(arena, 1);
    const larger = take(arena, 5);
    take(arena, 1);
    arena.free(exact);
    arena.free(larger);
    assert.deepEqual(take(arena, 4), exact);
  });

  test("(2) the smallest that is large enough; the rest stays free", () => {
    const arena = new ArenaState({ capacityPages: 100, segmentPagesMax: 100 });
    const [large, middle, small] = [20, 10, 5].map((pages) => {
      const range = take(arena, pages);
      take(arena, 1);
      return range;
    }) as [ArenaRange, ArenaRange, ArenaRange];
    for (const range of [middle, small, large]) arena.free(range);
    assert.deepEqual(take(arena, 7), { ...middle, size: 7 });
    assert.deepEqual(take(arena, 3), { ...middle, offset: middle.offset + 7, size: 3 });
    assert.deepEqual(highWaters(arena), [38]);
  });

  test("(5) neighbours are merged before fresh pages are touched", () => {
    const arena = new ArenaState({ capacityPages: 100, segmentPagesMax: 100 });
    const ranges = [take(arena, 4), take(arena, 4), take(arena, 4)] as const;
    take(arena, 1);
    for (const index of [0, 2, 1] as const) arena.free(ranges[index]);
    assert.deepEqual(take(arena, 12), { segment: 0, offset: 0, size: 12 });
    assert.deepEqual(highWaters(arena), [13]);
  });

  test("(4) freed neighbours of equal sizes are used again as they were", () => {
    const arena = new ArenaState({ capacityPages: 100, segmentPagesMax: 100 });
    const ranges = [take(arena, 4), take(arena, 4), take(arena, 4)];
    for (const range of ranges) arena.free(range);
    assert.deepEqual([take(arena, 4), take(arena, 4), take(arena, 4)], ranges.toReversed());
  });

  test("(3) a free range just below the fresh pages becomes part of what takes them", () => {
    const arena = new ArenaState({ capacityPages: 100, segmentPagesMax: 100 });
    take(arena, 10);
    const freed = [take(arena, 3), take(arena, 4)];
    for (const range of freed) arena.free(range);
    assert.deepEqual(take(arena, 20), { segment: 0, offset: 10, size: 20 });
    assert.deepEqual(highWaters(arena), [30]);
    assert.deepEqual(take(arena, 70), { segment: 0, offset: 30, size: 70 }, "nothing was lost between");
  });

  test("(3) fresh pages are those of the first segment with room", () => {
    const arena = new ArenaState({ capacityPages: 25, segmentPagesMax: 10 });
    assert.equal(arena.segmentCount, 3);
    assert.deepEqual(take(arena, 6), { segment: 0, offset: 0, size: 6 });
    assert.deepEqual(take(arena, 6), { segment: 1, offset: 0, size: 6 });
    assert.deepEqual(take(arena, 4), { segment: 0, offset: 6, size: 4 });
    assert.deepEqual(take(arena, 5), { segment: 2, offset: 0, size: 5 }, "the last segment has what remains");
    assert.equal(arena.largestFree(), 4);
    assert.equal(arena.allocate(5), null, "4 pages of another segment are no neighbours");
    assert.deepEqual(take(arena, 4), { segment: 1, offset: 6, size: 4 });
    assert.deepEqual([arena.usedPages, arena.freePages, arena.capacityPages], [25, 0, 25]);
    assert.equal(arena.allocate(1), null);
  });

  test("more than a segment never fits, and an arena of nothing has room for nothing", () => {
    const arena = new ArenaState({ capacityPages: 25, segmentPagesMax: 10 });
    assert.equal(arena.largestSegmentPages, 10);
    assert.equal(arena.allocate(11), null);
    const nothing = new ArenaState({ capacityPages: 0, segmentPagesMax: 10 });
    assert.deepEqual([nothing.allocate(1), nothing.largestFree(), nothing.largestSegmentPages, nothing.segmentCount], [null, 0, 0, 0]);
  });
});

describe("a segment with less memory than promised", () => {
  test("(6) free and fresh pages beyond the limit are gone", () => {
    const arena = new ArenaState({ capacityPages: 150, segmentPagesMax: 100 });
    take(arena, 10);
    const freed = take(arena, 20);
    arena.free(freed);
    arena.limitSegment(0, 18);
    assert.deepEqual([arena.usedPages, arena.freePages, arena.capacityPages], [10, 58, 68]);
    assert.deepEqual(highWaters(arena), [18, 0]);
    assert.equal(arena.largestSegmentPages, 50);
    assert.deepEqual(take(arena, 9), { segment: 1, offset: 0, size: 9 });
    assert.deepEqual(take(arena, 8), { segment: 0, offset: 10, size: 8 });
  });

  test("(7) a range that was being allocated when the memory ended leaves nothing behind", () => {
    const arena = new ArenaState({ capacityPages: 100, segmentPagesMax: 100 });
    const backed = take(arena, 10);
    const unbacked = take(arena, 20);
    arena.limitSegment(0, 10);
    assert.deepEqual([arena.usedPages, arena.freePages, arena.capacityPages], [30, 0, 30], "it is in use until it is freed");
    assert.deepEqual(highWaters(arena), [30]);
    arena.free(unbacked);
    assert.deepEqual([arena.usedPages, arena.freePages, arena.capacityPages], [10, 0, 10]);
    assert.deepEqual(highWaters(arena), [10]);
    assert.equal(arena.allocate(1), null);
    arena.free(backed);
    assert.deepEqual(take(arena, 10), backed);
  });

  test("(7) the backed part of a range that ends beyond the limit is free again", () => {
    const arena = new ArenaState({ capacityPages: 100, segmentPagesMax: 100 });
    take(arena, 10);
    arena.free(take(arena, 6));
    const backedPages = arena.highWater(0);
    const unbacked = take(arena, 20);
    assert.equal(unbacked.offset, 10, "it took the free range along");
    arena.free(unbacked);
    arena.limitSegment(0, backedPages);
    assert.deepEqual([arena.usedPages, arena.freePages, highWaters(arena)], [10, 6, [16]]);
    assert.deepEqual(take(arena, 6), { segment: 0, offset: 10, size: 6 });
  });

  test("(7) below a range in use, pages beyond the limit are not handed out either", () => {
    const arena = new ArenaState({ capacityPages: 100, segmentPagesMax: 100 });
    const [first, second, third] = [take(arena, 10), take(arena, 10), take(arena, 10)] as const;
    arena.free(first);
    arena.limitSegment(0, 4);
    arena.free(second);
    assert.deepEqual([arena.usedPages, arena.freePages], [10, 4]);
    assert.equal(arena.largestFree(), 4);
    arena.free(third);
    assert.deepEqual(highWaters(arena), [4]);
    assert.deepEqual(take(arena, 4), { segment: 0, offset: 0, size: 4 });
  });

  test("a limit is not raised again", () => {
    const arena = new ArenaState({ capacityPages: 100, segmentPagesMax: 100 });
    arena.limitSegment(0, 40);
    arena.limitSegment(0, 60);
    assert.equal(arena.capacityPages, 40);
    assert.equal(arena.allocate(41), null);
  });
});

describe("misuse is a defect that says what was known", () => {
  const arena = new ArenaState({ capacityPages: 20, segmentPagesMax: 10 });
  const range = take(arena, 4);
  const cases: [string, () => unknown, RegExp][] = [
    ["a range freed twice", () => (arena.free(take(arena, 5)), arena.free({ segment: 0, offset: 4, size: 5 })), /pages 4 to 9 of segment 0 .* no allocated range begins there/],
    ["a part of a range", () => arena.free({ ...range, size: 3 }), /pages 0 to 3 of segment 0 .* has 4 pages/],
    ["the end of a range", () => arena.free({ ...range, offset: 1, size: 3 }), /no allocated range begins there/],
    ["a range of another segment", () => arena.free({ ...range, segment: 1 }), /segment 1 .* no allocated range begins there/],
    ["a range of no segment", () => arena.free({ ...range, segment: 7 }), /segment 7/],
    ["no pages", () => arena.allocate(0), /a range of 0 pages/],
    ["half a page", () => arena.allocate(1.5), /a range of 1.5 pages/],
    ["negative bytes", () => classPages(-1, 10), /-1 bytes/],
    ["the high water of no segment", () => arena.highWater(2), /no segment 2: the arena has 2/],
    ["a limit of no segment", () => arena.limitSegment(2, 0), /no segment 2/],
    ["a negative limit", () => arena.limitSegment(0, -1), /limited to -1 pages/],
    ["a negative arena", () => new ArenaState({ capacityPages: -1, segmentPagesMax: 10 }), /an arena of -1 pages/],
    ["segments without pages", () => new ArenaState({ capacityPages: 10, segmentPagesMax: 0 }), /segments of 0 pages/],
  ];
  for (const [name, act, message] of cases) {
    test(name, () => {
      assert.throws(act, (error) => error instanceof InvariantError && message.test(error.message));
      assert.deepEqual([arena.usedPages, arena.freePages], [4, 16], "nothing has changed");
    });
  }
});

// ------------------------------------------------------------------ random histories

/** What each page is, one by one. */
const FREE = 0;
const USED = 1;

interface ModelSegment {
  readonly pages: number[];
  limit: number;
  /** Pages that were handed out at some time. */
  touched: number;
}

class Model {
  readonly segments: ModelSegment[] = [];
  readonly live: ArenaRange[] = [];

  constructor(capacityPages: number, segmentPagesMax: number) {
    for (let left = capacityPages; left > 0; left -= segmentPagesMax) {
      const size = Math.min(left, segmentPagesMax);
      this.segments.push({ pages: Array.from({ length: size }, () => FREE), limit: size, touched: 0 });
    }
  }

  /** The longest run of free pages below `end` of any segment. */
  longestRun(end: (segment: ModelSegment) => number): number {
    let longest = 0;
    for (const segment of this.segments) {
      let run = 0;
      for (let page = 0; page < end(segment); page++) {
        run = segment.pages[page] === FREE ? run + 1 : 0;
        longest = Math.max(longest, run);
      }
    }
    return longest;
  }

  /** The first segment whose free end, fresh pages included, is that long. */
  firstWithRoom(pages: number): number {
    return this.segments.findIndex((segment) => {
      const lastUsed = segment.pages.lastIndexOf(USED);
      return segment.limit - (lastUsed + 1) >= pages;
    });
  }

  allocated(range: ArenaRange): void {
    const segment = this.segments[range.segment] as ModelSegment;
    assert.ok(range.offset >= 0 && range.offset + range.size <= segment.limit, "inside its segment");
    for (let page = range.offset; page < range.offset + range.size; page++) {
      assert.equal(segment.pages[page], FREE, "ranges do not overlap");
      segment.pages[page] = USED;
    }
    segment.touched = Math.max(segment.touched, range.offset + range.size);
    this.live.push(range);
  }

  freed(index: number): ArenaRange {
    const [range] = this.live.splice(index, 1) as [ArenaRange];
    const segment = this.segments[range.segment] as ModelSegment;
    segment.pages.fill(FREE, range.offset, range.offset + range.size);
    return range;
  }

  /** Of what was touched: all below the limit, and ranges in use beyond it. */
  highWater(segment: ModelSegment): number {
    return Math.max(Math.min(segment.touched, segment.limit), segment.pages.lastIndexOf(USED) + 1);
  }

  check(arena: ArenaState): void {
    const used = this.live.reduce((sum, { size }) => sum + size, 0);
    const free = this.segments.reduce((sum, { pages, limit }) => sum + pages.slice(0, limit).filter((page) => page === FREE).length, 0);
    assert.deepEqual([arena.usedPages, arena.freePages, arena.capacityPages], [used, free, used + free]);
    assert.deepEqual(
      highWaters(arena),
      this.segments.map((segment) => this.highWater(segment)),
    );
  }
}

type Step =
  | { readonly type: "allocate"; readonly pages: number }
  | { readonly type: "free"; readonly which: number }
  | { readonly type: "limit"; readonly which: number; readonly pages: number }
  | { readonly type: "largestFree" };

const anyArena = fc.record({ capacityPages: fc.integer({ min: 1, max: 80 }), segmentPagesMax: fc.integer({ min: 1, max: 40 }) });
const anyAllocate = fc.record({ type: fc.constant("allocate" as const), pages: fc.oneof(fc.integer({ min: 1, max: 6 }), fc.integer({ min: 1, max: 41 })) });
const anyFree = fc.record({ type: fc.constant("free" as const), which: fc.nat(1000) });
const anyLimit = fc.record({ type: fc.constant("limit" as const), which: fc.nat(10), pages: fc.nat(40) });
const anyStep: fc.Arbitrary<Step> = fc.oneof(
  { weight: 12, arbitrary: anyAllocate },
  { weight: 10, arbitrary: anyFree },
  { weight: 1, arbitrary: anyLimit },
  { weight: 1, arbitrary: fc.constant({ type: "largestFree" as const }) },
);

function checkAllocate(arena: ArenaState, model: Model, pages: number): void {
  const touchedBefore = highWaters(arena);
  const fitsTouched = model.longestRun((segment) => Math.min(segment.touched, segment.limit)) >= pages;
  const fits = model.longestRun(({ limit }) => limit) >= pages;
  const firstWithRoom = model.firstWithRoom(pages);
  const range = arena.allocate(pages);
  assert.equal(range !== null, fits, `${pages} pages`);
  if (range === null) return;
  assert.equal(range.size, pages);
  model.allocated(range);
  if (fitsTouched) assert.deepEqual(highWaters(arena), touchedBefore, "touched pages come before fresh ones");
  else assert.equal(range.segment, firstWithRoom);
}

function step(arena: ArenaState, model: Model, action: Step): void {
  if (action.type === "allocate") checkAllocate(arena, model, action.pages);
  else if (action.type === "free" && model.live.length > 0) arena.free(model.freed(action.which % model.live.length));
  else if (action.type === "largestFree") assert.equal(arena.largestFree(), model.longestRun(({ limit }) => limit));
  else if (action.type === "limit") {
    const which = action.which % model.segments.length;
    const segment = model.segments[which] as ModelSegment;
    segment.limit = Math.min(segment.limit, action.pages);
    arena.limitSegment(which, action.pages);
  }
  model.check(arena);
}

describe("random histories", () => {
  test("agree with a model that knows each page; once all is free, whole segments can be had", () => {
    fc.assert(
      fc.property(anyArena, fc.array(anyStep, { maxLength: 150, size: "max" }), ({ capacityPages, segmentPagesMax }, actions) => {
        const arena = new ArenaState({ capacityPages, segmentPagesMax });
        const model = new Model(capacityPages, segmentPagesMax);
        for (const action of actions) step(arena, model, action);
        while (model.live.length > 0) arena.free(model.freed(model.live.length >> 1));
        model.check(arena);
        const limits = model.segments.map(({ limit }) => limit).filter((limit) => limit > 0);
        assert.equal(arena.largestSegmentPages, Math.max(0, ...limits));
        for (const limit of limits.toSorted((a, b) => b - a)) assert.equal(take(arena, limit).offset, 0);
        assert.equal(arena.freePages, 0);
      }),
      { numRuns: 400 },
    );
  });

  test("a steady mix of sizes stays on the pages that it touched at first", () => {
    const anySizes = fc.array(fc.integer({ min: 1, max: 9 }), { minLength: 1, maxLength: 12 });
    const anyTurns = fc.array(fc.record({ drops: fc.boolean(), which: fc.nat(1000) }), { maxLength: 200, size: "max" });
    fc.assert(
      fc.property(anySizes, anyTurns, (sizes, turns) => {
        const arena = new ArenaState({ capacityPages: 400, segmentPagesMax: 50 });
        const live = sizes.map((pages) => take(arena, pages));
        const dropped: number[] = [];
        const ranges = new Set(live.map((range) => JSON.stringify(range)));
        const touched = highWaters(arena);
        for (const { drops, which } of turns) {
          if (drops && live.length > 0) {
            const [range] = live.splice(which % live.length, 1) as [ArenaRange];
            arena.free(range);
            dropped.push(range.size);
          } else if (dropped.length > 0) {
            const [pages] = dropped.splice(which % dropped.length, 1) as [number];
            live.push(take(arena, pages));
          }
        }
        assert.deepEqual(highWaters(arena), touched);
        for (const range of live) assert.ok(ranges.has(JSON.stringify(range)), "the same ranges again");
      }),
    );
  });

  test("tens of thousands of ranges in pieces come together again", () => {
    const count = 50_000;
    const arena = new ArenaState({ capacityPages: count * 3, segmentPagesMax: SEGMENT_PAGES });
    const ranges = Array.from({ length: count }, (_, index) => take(arena, 1 + (index % 5)));
    const touched = highWaters(arena);
    for (let index = 0; index < count; index += 2) arena.free(ranges[index] as ArenaRange);
    assert.equal(arena.allocate(6), null, "no two free ranges are neighbours");
    for (let index = 1; index < count; index += 2) arena.free(ranges[index] as ArenaRange);
    assert.deepEqual(take(arena, count * 3), { segment: 0, offset: 0, size: count * 3 });
    assert.deepEqual(highWaters(arena), touched);
  });
});

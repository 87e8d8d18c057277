import assert from "node:assert/strict";
import { test } from "node:test";
import { LoopSpinner } from "./loop-spinner.ts";
import { createSpinPermitMemory, SpinPermits } from "./spin-permits.ts";

/** How long a turn of the loop takes here. */
const TURN_MS = 0.01;
/** More than the window, and than what is quick. */
const LONG_MS = 1;

function setUp(spinnersMax = 1) {
  let nowMs = 0;
  let next: (() => void) | null = null;
  const memory = createSpinPermitMemory(spinnersMax);
  const spinner = new LoopSpinner({ nowMs: () => nowMs, spinPermits: new SpinPermits(memory, () => 1000), nextTurn: (callback) => { next = callback; } });
  spinner.isNeeded = true;
  const turn = (): boolean => {
    const callback = next;
    next = null;
    nowMs += TURN_MS;
    callback?.();
    return next !== null;
  };
  return {
    spinner, turn,
    passMs: (ms: number) => { nowMs += ms; },
    isSpinning: () => next !== null,
    isPermitFree: () => {
      const other = new SpinPermits(memory, () => 1000);
      const isFree = other.tryAcquire();
      other.release();
      return isFree;
    },
    /** Until it ends by itself; the turns that it took. */
    spinOut: () => {
      for (let turns = 0; turns < 1000; turns++) if (!turn()) return turns;
      assert.fail("it never ended");
    },
    /** An arrival long after all others, with what comes of it. */
    lateArrival(): boolean {
      nowMs += LONG_MS;
      spinner.arrived();
      return next !== null;
    },
    /** Those that come in time for a thread that waits. */
    quickArrivalsUntilSpin(): number {
      for (let count = 1; count < 1000; count++) {
        nowMs += TURN_MS;
        spinner.arrived();
        if (next !== null) return count;
      }
      assert.fail("it never spun");
    },
  };
}

test("after arrivals in a row the loop turns for a bounded time, with a permit, then it waits", () => {
  const { lateArrival, quickArrivalsUntilSpin, isSpinning, isPermitFree, spinOut } = setUp();
  assert.equal(lateArrival(), false, "one alone is nothing to wait after");
  assert.equal(quickArrivalsUntilSpin(), 2);
  assert.deepEqual([isSpinning(), isPermitFree()], [true, false]);
  const turns = spinOut();
  assert.ok(turns >= 10 && turns <= 20, `${turns} turns of 10 µs`);
  assert.deepEqual([isSpinning(), isPermitFree()], [false, true]);
});

test("each arrival while it spins begins the window again", () => {
  const { spinner, turn, isSpinning, quickArrivalsUntilSpin, spinOut } = setUp();
  quickArrivalsUntilSpin();
  for (let round = 0; round < 20; round++) {
    for (let turns = 0; turns < 8; turns++) turn();
    spinner.arrived();
    assert.equal(isSpinning(), true);
  }
  assert.ok(spinOut() >= 10);
});

test("the window begins when the message has been worked at, not when it came", () => {
  const { turn, passMs, quickArrivalsUntilSpin, spinOut } = setUp();
  quickArrivalsUntilSpin();
  passMs(LONG_MS);
  assert.equal(turn(), true);
  assert.ok(spinOut() >= 10);
});

test("each spin in vain doubles how many quick arrivals must be seen before the next, up to a bound", () => {
  const { spinOut, lateArrival, quickArrivalsUntilSpin } = setUp();
  const needed: number[] = [];
  for (let round = 0; round < 8; round++) {
    assert.equal(lateArrival(), false, "an arrival that nobody would have waited for");
    needed.push(quickArrivalsUntilSpin());
    spinOut();
  }
  assert.deepEqual(needed, [2, 4, 8, 16, 32, 64, 64, 64]);
});

test("a spin that catches many in a short time makes good for all before", () => {
  const { spinner, turn, spinOut, lateArrival, quickArrivalsUntilSpin } = setUp();
  for (let round = 0; round < 5; round++) {
    lateArrival();
    quickArrivalsUntilSpin();
    if (round === 4) for (let caught = 0; caught < 9; caught++, turn()) spinner.arrived();
    spinOut();
  }
  lateArrival();
  assert.equal(quickArrivalsUntilSpin(), 2);
});

test("arrivals that are far apart within the window do not make good", () => {
  const { spinner, turn, spinOut, lateArrival, quickArrivalsUntilSpin } = setUp();
  quickArrivalsUntilSpin();
  for (let caught = 0; caught < 10; caught++) {
    for (let turns = 0; turns < 10; turns++) turn();
    spinner.arrived();
  }
  spinOut();
  lateArrival();
  assert.equal(quickArrivalsUntilSpin(), 4, "that was one in vain");
});

test("a spin goes on for as long as much comes; where arrivals are far apart it ends as one in vain", () => {
  const { spinner, turn, isSpinning, spinOut, lateArrival, quickArrivalsUntilSpin } = setUp();
  quickArrivalsUntilSpin();
  const arrivals = (count: number, turnsBetween: number): void => {
    for (let caught = 0; caught < count && isSpinning(); caught++) {
      for (let turns = 0; turns < turnsBetween; turns++) turn();
      if (isSpinning()) spinner.arrived();
    }
  };
  arrivals(1000, 5);
  assert.equal(isSpinning(), true, "20,000 a second");
  arrivals(150, 12);
  assert.equal(isSpinning(), false, "8,000 a second");
  lateArrival();
  assert.equal(quickArrivalsUntilSpin(), 4);
  arrivals(1000, 5);
  spinOut();
  lateArrival();
  assert.equal(quickArrivalsUntilSpin(), 2);
});

test("it spins neither without a permit nor for a program that waits for nothing", () => {
  const none = setUp(0);
  for (let count = 0; count < 10; count++) none.spinner.arrived();
  assert.equal(none.isSpinning(), false);

  const { spinner, turn, isSpinning, isPermitFree } = setUp();
  spinner.isNeeded = false;
  for (let count = 0; count < 10; count++) spinner.arrived();
  assert.equal(isSpinning(), false);
  spinner.isNeeded = true;
  spinner.arrived();
  assert.equal(isSpinning(), true);
  spinner.isNeeded = false;
  assert.equal(turn(), false, "what it waited for has come or was given up");
  assert.equal(isPermitFree(), true);
});

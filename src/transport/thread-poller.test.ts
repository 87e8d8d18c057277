import assert from "node:assert/strict";
import { test } from "node:test";
import { createSpinPermitMemory, SpinPermits } from "./spin-permits.ts";
import { ThreadPoller } from "./thread-poller.ts";
import type { PolledSource } from "./thread-poller.ts";

/** Each look at the time takes a microsecond of it. */
const LOOK_MS = 0.001;

class FakeSource implements PolledSource {
  arrivals = 0;
  delivered = 0;
  looks = 0;
  isParked = false;
  onParked: () => void = () => undefined;
  onDelivery: () => void = () => undefined;

  hasArrivals(): boolean {
    this.looks++;
    return this.arrivals > 0;
  }

  deliverArrivals(): void {
    this.delivered += this.arrivals;
    this.arrivals = 0;
    this.onDelivery();
  }

  setParked(isParked: boolean): void {
    this.isParked = isParked;
    if (isParked) this.onParked();
  }
}

function setUp(spinnersMax: number): { poller: ThreadPoller; source: FakeSource; permits: SharedArrayBuffer; passMs: (ms: number) => void } {
  let nowMs = 0;
  const permits = createSpinPermitMemory(spinnersMax);
  const poller = new ThreadPoller({ nowMs: () => (nowMs += LOOK_MS), spinPermits: spinnersMax === 0 ? null : new SpinPermits(permits, () => 1000) });
  const source = new FakeSource();
  poller.register(source);
  poller.keepAlive(1);
  return { poller, source, permits, passMs: (ms) => (nowMs += ms) };
}

async function settled(source: FakeSource): Promise<void> {
  for (let turn = 0; turn < 1000; turn++) {
    await new Promise((resolve) => setImmediate(resolve));
    if (source.isParked) return;
  }
  assert.fail("the poller never parked");
}

test("a wake-up delivers at once, then the thread looks for more for a bounded time and parks", async () => {
  const { poller, source, permits } = setUp(1);
  assert.equal(source.isParked, true);
  source.arrivals = 3;
  poller.wake();
  assert.deepEqual([source.delivered, source.isParked], [3, false]);
  assert.equal(new SpinPermits(permits, () => 1000).tryAcquire(), false, "a spinning thread holds its permit");
  await settled(source);
  assert.ok(source.looks > 10 && source.looks < 5000, `${source.looks} looks`);
  assert.equal(new SpinPermits(permits, () => 1000).tryAcquire(), true, "a parked thread holds no permit");
});

test("what arrives while the thread spins needs no wake-up", async () => {
  const { poller, source } = setUp(1);
  let rounds = 0;
  source.onDelivery = () => {
    // The answer to what a continuation of the delivery has sent.
    if (++rounds < 500) void Promise.resolve().then(() => source.arrivals++);
  };
  source.arrivals = 1;
  poller.wake();
  await settled(source);
  assert.equal(source.delivered, 500);
});

test("without a permit the thread parks right after delivering", () => {
  for (const spinnersMax of [0, 1]) {
    const { poller, source, permits } = setUp(spinnersMax);
    if (spinnersMax === 1) assert.equal(new SpinPermits(permits, () => 1000).tryAcquire(), true, "taken by another thread");
    source.arrivals = 1;
    poller.wake();
    assert.deepEqual([source.delivered, source.isParked], [1, true]);
  }
});

test("what arrives between the last look and parking is not left behind", async () => {
  const { poller, source } = setUp(0);
  let isFirst = true;
  source.onParked = () => {
    if (isFirst) source.arrivals++;
    isFirst = false;
  };
  source.arrivals = 1;
  poller.wake();
  await settled(source);
  assert.deepEqual([source.delivered, source.isParked], [2, true]);
});

test("the thread spins less and less often when it is in vain, and never after slow arrivals", async () => {
  const { poller, source, passMs } = setUp(1);
  const spinsOf = async (wakes: number, gapMs: number): Promise<number> => {
    let spins = 0;
    for (let wake = 0; wake < wakes; wake++) {
      passMs(gapMs);
      source.arrivals = 1;
      poller.wake();
      if (!source.isParked) spins++;
      await settled(source);
    }
    return spins;
  };
  const quick = await spinsOf(200, 0.01);
  assert.ok(quick >= 2 && quick <= 10, `${quick} spins`);
  assert.ok((await spinsOf(200, 5)) <= 1);
});

test("channels may come and go while arrivals are delivered", async () => {
  const { poller, source } = setUp(0);
  const late = new FakeSource();
  const gone = new FakeSource();
  poller.register(gone);
  source.onDelivery = () => {
    poller.unregister(source);
    poller.register(late);
    late.arrivals = 1;
  };
  source.arrivals = 1;
  poller.wake();
  await settled(late);
  assert.equal(late.delivered, 1);
  source.arrivals = 1;
  poller.wake();
  assert.equal(source.delivered, 1);
});

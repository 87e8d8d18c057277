import assert from "node:assert/strict";
import { test } from "node:test";
import { createSpinPermitMemory, SpinPermits } from "./spin-permits.ts";

test("no more threads spin than there are permits, and a released one can be taken", () => {
  const memory = createSpinPermitMemory(2);
  const [first, second, third] = Array.from({ length: 3 }, () => new SpinPermits(memory, () => 1000)) as [SpinPermits, SpinPermits, SpinPermits];
  assert.deepEqual([first.tryAcquire(), second.tryAcquire(), third.tryAcquire()], [true, true, false]);
  assert.equal(first.tryAcquire(), true, "a thread keeps what it has");
  first.release();
  assert.equal(third.tryAcquire(), true);
  first.release();
  assert.equal(first.tryAcquire(), false, "a second release gives nobody else's permit away");
});

test("the permit of a thread that died lapses, one that is renewed does not", () => {
  const memory = createSpinPermitMemory(2);
  let nowMs = 2 ** 31 - 40; // The times in shared memory have 32 bits.
  const [dead, alive, waiting] = Array.from({ length: 3 }, () => new SpinPermits(memory, () => nowMs)) as [SpinPermits, SpinPermits, SpinPermits];
  assert.deepEqual([dead.tryAcquire(), alive.tryAcquire()], [true, true]);
  let waitedMs = 0;
  while (!waiting.tryAcquire()) {
    assert.ok(waitedMs++ < 1000, "the permit never lapsed");
    nowMs++;
    assert.equal(alive.tryAcquire(), true);
  }
  assert.ok(waitedMs > 0);
  assert.equal(dead.tryAcquire(), false);
});

test("without permits nobody spins", () => {
  assert.equal(new SpinPermits(createSpinPermitMemory(0), () => 0).tryAcquire(), false);
});

import assert from "node:assert/strict";
import { test } from "node:test";
import type { RandomSource } from "../base/mod.ts";
import { testChannelConformance } from "./channel-conformance.ts";
import { QuickClock } from "./fixtures/quick-clock.ts";
import { createSimulatedLink } from "./simulated-channel.ts";

/** A linear congruential generator. */
function seededRandom(seed: number): RandomSource {
  let state = seed;
  const below = (limit: number): number => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((state / 2 ** 32) * limit);
  };
  return { below, hex: (byteCount) => Array.from({ length: byteCount }, () => below(256).toString(16).padStart(2, "0")).join("") };
}

function link(seed: number): ReturnType<typeof createSimulatedLink> {
  return createSimulatedLink({ clock: new QuickClock(), random: seededRandom(seed), delayMsMin: 0, delayMsMax: 50, peerIds: ["first", "second"] });
}

testChannelConformance("simulated", { openPair: async () => link(1).ends });

test("a cut link loses what is on its way and both ends", async () => {
  const { ends, cut } = link(2);
  const [near, far] = ends;
  let count = 0;
  far.onFrame(() => count++);
  const reasons = Promise.all(ends.map((end) => new Promise((resolve) => end.onClose(resolve))));
  near.send(new Uint8Array(1));
  cut();
  assert.deepEqual(await reasons, ["lost", "lost"]);
  assert.equal(count, 0);
  assert.equal(near.send(new Uint8Array(1)), false);
});

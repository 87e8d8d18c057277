import { performance } from "node:perf_hooks";
import type { Clock } from "../base/mod.ts";

/** Node takes a longer delay for 1 ms. */
const DELAY_MS_MAX = 2 ** 31 - 1;

export const realClock: Clock = {
  nowMs: () => performance.now(),
  after(delayMs, callback) {
    const timer = setTimeout(callback, Math.min(delayMs, DELAY_MS_MAX));
    timer.unref();
    return { cancel: () => clearTimeout(timer) };
  },
};

import { performance } from "node:perf_hooks";
import type { Clock } from "../base/mod.ts";

export const realClock: Clock = {
  nowMs: () => performance.now(),
  after(delayMs, callback) {
    const timer = setTimeout(callback, delayMs);
    timer.unref();
    return { cancel: () => clearTimeout(timer) };
  },
};

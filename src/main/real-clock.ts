import { performance } from "node:perf_hooks";
import type { Clock } from "../base/mod.ts";

/** Node takes a longer delay for 1 ms: one that is longer is waited for in parts. */
const DELAY_MS_MAX = 2 ** 31 - 1;

export const realClock: Clock = {
  nowMs: () => performance.now(),
  after(delayMs, callback) {
    let timer: NodeJS.Timeout;
    const wait = (leftMs: number): void => {
      timer = leftMs > DELAY_MS_MAX ? setTimeout(() => wait(leftMs - DELAY_MS_MAX), DELAY_MS_MAX) : setTimeout(callback, leftMs);
      timer.unref();
    };
    wait(delayMs);
    return { cancel: () => clearTimeout(timer) };
  },
};

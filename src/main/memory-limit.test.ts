import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { Clock } from "../base/mod.ts";
import { MemoryWatch, processLimits, processProbe, threadLimits } from "./memory-limit.ts";

const MEBIBYTE = 2 ** 20;

describe("the watch over workers with a limit", () => {
  function watch(): { watch: MemoryWatch; ended: [string, number][]; tick(): Promise<boolean> } {
    const timers: (() => void)[] = [];
    const clock: Clock = { nowMs: () => 0, after: (_delayMs, callback) => { timers.push(callback); return { cancel: () => undefined }; } };
    const ended: [string, number][] = [];
    const tick = async (): Promise<boolean> => {
      const timer = timers.shift();
      timer?.();
      await new Promise((resolve) => setImmediate(resolve));
      return timer !== undefined;
    };
    return { watch: new MemoryWatch(clock, (workerId, usedBytes) => ended.push([workerId, usedBytes])), ended, tick };
  }

  test("ends one that is over its limit at two looks in a row, garbage allowed for, and once", async () => {
    const { watch: watching, ended, tick } = watch();
    let usedBytes = 0;
    watching.add("w", 100 * MEBIBYTE, () => usedBytes);
    for (const mebibytes of [200, 150, 200, 160, null, 165, 170, 300]) {
      usedBytes = (mebibytes ?? 0) * MEBIBYTE;
      await tick();
    }
    assert.deepEqual(ended, [["w", 170 * MEBIBYTE]]);
    assert.equal(await tick(), false, "nobody is left to look at");
  });

  test("does not wait for one that does not answer, nor asks it again meanwhile, nor ends what has ended by itself", async () => {
    const { watch: watching, ended, tick } = watch();
    let asked = 0;
    let answer = (_bytes: number | null): void => undefined;
    watching.add("slow", 1, () => { asked++; return new Promise((resolve) => { answer = resolve; }); });
    watching.add("over", 1, () => 200 * MEBIBYTE);
    for (let looks = 0; looks < 3; looks++) await tick();
    assert.equal(asked, 1);
    assert.deepEqual(ended, [["over", 200 * MEBIBYTE]]);
    answer(200 * MEBIBYTE);
    for (let looks = 0; looks < 2; looks++) await tick();
    assert.equal(asked, 2);
    watching.remove("slow");
    answer(200 * MEBIBYTE);
    await tick();
    assert.equal(ended.length, 1);
  });
});

test("V8 gets the limit and room for the worker itself, and a young generation that fits small ones", () => {
  assert.deepEqual(threadLimits(100 * MEBIBYTE), { maxOldGenerationSizeMb: 124, maxYoungGenerationSizeMb: 16 });
  assert.deepEqual(processLimits(4 * MEBIBYTE), ["--max-old-space-size=28", "--max-semi-space-size=2"]);
});

test("a process's own memory is known on Linux, and of one that is gone nothing is", () => {
  const bytes = processProbe(process.pid)();
  assert.equal(typeof bytes === "number", process.platform === "linux");
  assert.equal(processProbe(2 ** 22 + 1)(), null);
});

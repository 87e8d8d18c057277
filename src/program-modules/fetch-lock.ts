import { mkdir, rmdir, stat, utimes } from "node:fs/promises";
import { dirname } from "node:path";
import { setTimeout as delay } from "node:timers/promises";

/** Whoever has it says so again with each answer that comes; one that does not was ended, or waits for a program that is busy. */
const SILENT_MS_MAX = 10_000;
const LOOK_EVERY_MS = 20;

/**
 * Saves the workers of a machine from fetching the same files at the same time. No more than that: two that are past it do no harm,
 * since every file is written whole.
 */
export async function withFetchLock(lock: string, wallClockMs: () => number, action: (stillHere: () => Promise<void>) => Promise<void>): Promise<void> {
  await mkdir(dirname(lock), { recursive: true, mode: 0o700 });
  while (!(await mkdir(lock).then(() => true, () => false))) {
    const found = await stat(lock).catch(() => null);
    if (found !== null && wallClockMs() - found.mtimeMs > SILENT_MS_MAX) await rmdir(lock).catch(() => undefined);
    else await delay(LOOK_EVERY_MS);
  }
  try {
    await action(async () => {
      const now = wallClockMs() / 1000;
      await utimes(lock, now, now).catch(() => undefined);
    });
  } finally {
    await rmdir(lock).catch(() => undefined);
  }
}

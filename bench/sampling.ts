/** What can only be seen while something runs. */
import { readdirSync, statSync } from "node:fs";
import { join } from "node:path";

/** The largest of the samples taken while `work` runs. */
export async function peakWhile<T>(everyMs: number, sample: () => number, work: () => Promise<T>): Promise<{ result: T; peak: number }> {
  let peak = sample();
  const timer = setInterval(() => (peak = Math.max(peak, sample())), everyMs);
  try {
    const result = await work();
    return { result, peak: Math.max(peak, sample()) };
  } finally {
    clearInterval(timer);
  }
}

/** Of all files in a folder and the folders in it. */
export function bytesInFolder(folder: string): number {
  let bytes = 0;
  for (const entry of readdirSync(folder, { recursive: true, withFileTypes: true })) {
    try {
      if (entry.isFile()) bytes += statSync(join(entry.parentPath, entry.name)).size;
    } catch {
      // It was removed while we looked.
    }
  }
  return bytes;
}

/** Polls for something that nothing announces. False if it did not come in time. */
export async function comesTrue(timeoutMs: number, everyMs: number, condition: () => boolean | Promise<boolean>): Promise<boolean> {
  const deadlineMs = performance.now() + timeoutMs;
  while (!(await condition())) {
    if (performance.now() > deadlineMs) return false;
    await new Promise((resolve) => setTimeout(resolve, everyMs));
  }
  return true;
}

import { readdirSync, readFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { eventually } from "../conformance/both-isolations.ts";

/** Processes of the sessions of a process, its own ones apart, and its folders; of a program that has joined others, nothing. */
export function leftOf(pid: number): string[] {
  const name = `mantaray-${pid}-`;
  const folders = [tmpdir(), "/dev/shm"].flatMap((root) => readdirSync(root).filter((entry) => entry.startsWith(name)).map((entry) => `${root}/${entry}`));
  const processes = readdirSync("/proc").filter((entry) => /^\d+$/.test(entry) && Number(entry) !== pid && isOfSession(entry, name)).map((entry) => `process ${entry}`);
  return [...folders, ...processes];
}

function isOfSession(pid: string, name: string): boolean {
  try {
    return ["cmdline", "environ"].some((file) => readFileSync(`/proc/${pid}/${file}`, "latin1").includes(name));
  } catch {
    return false; // It has ended.
  }
}

/** Answers after how many milliseconds. */
export async function nothingIsLeftOf(pid: number): Promise<number> {
  const startedMs = performance.now();
  await eventually(`nothing to be left of ${pid}`, () => leftOf(pid).length === 0).catch((error: Error) => { throw new Error(`${error.message}: ${leftOf(pid).join(", ")}`); });
  return performance.now() - startedMs;
}

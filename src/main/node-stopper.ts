import { existsSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { performance } from "node:perf_hooks";
import { removeStaleFolders, startTicksOf, stateOfFolderOwner } from "../object-store/mod.ts";
import type { NodeReport } from "./node-process.ts";

/** A node that has been asked to end may take so long; its own limit is shorter. */
const END_MS_MAX = 10_000;
/** One that was killed needs no time of its own, but its workers hear of it, and a busy machine takes its time. */
const KILLED_MS_MAX = 10_000;
const LOOK_EVERY_MS = 10;

/** "ended" also when it had ended before; "hangs": it is still there. */
export type NodeStop = "ended" | "killed" | "hangs";

/** Ends a node of this machine in good order, or with `isForced` at once, with all that it has started; then what it leaves is removed from here. */
export async function stopNode({ sessionDir, pid }: Pick<NodeReport, "sessionDir" | "pid">, isForced: boolean): Promise<NodeStop> {
  const mayBeThere = presenceOf(pid);
  const ends = async (limitMs: number, isThere = mayBeThere): Promise<boolean> => {
    const deadlineMs = performance.now() + limitMs;
    while (isThere()) {
      if (performance.now() > deadlineMs) return false;
      await new Promise((resolve) => setTimeout(resolve, LOOK_EVERY_MS));
    }
    return true;
  };
  // It removes that last of all.
  if (!existsSync(sessionDir)) {
    await ends(KILLED_MS_MAX);
    return "ended";
  }
  if (stateOfFolderOwner(sessionDir) === "dead" || !mayBeThere()) return "ended";
  if (!isForced) {
    signal(pid, "SIGTERM");
    return (await ends(END_MS_MAX)) ? "ended" : "hangs";
  }
  // Its workers, and who sees to their end.
  const started = childrenOf(pid).map(presenceOf);
  signal(pid, "SIGKILL");
  const hasEnded = await ends(KILLED_MS_MAX);
  await ends(KILLED_MS_MAX, () => started.some((isThere) => isThere()));
  rmSync(sessionDir, { recursive: true, force: true });
  removeStaleFolders();
  return hasEnded ? "killed" : "hangs";
}

/** Whether the process is there: its id may be another one's later. */
function presenceOf(pid: number): () => boolean {
  const startTicks = startTicksOf(pid);
  return () => signal(pid, 0) && startTicksOf(pid) === startTicks;
}

/** Where the system tells. */
function childrenOf(pid: number): number[] {
  try {
    return readdirSync(`/proc/${pid}/task`).flatMap((task) => readFileSync(`/proc/${pid}/task/${task}/children`, "utf8").split(" ").filter((id) => id !== "").map(Number));
  } catch {
    return [];
  }
}

/** False if there is no such process. */
function signal(pid: number, name: NodeJS.Signals | 0): boolean {
  try {
    return process.kill(pid, name);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ESRCH") return false;
    throw error;
  }
}

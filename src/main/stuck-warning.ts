import { InvalidArgumentError } from "../base/mod.ts";
import { type CoreWorker, StuckWatch, type StuckWatchEnvironment, surveyWaits } from "../core-worker/mod.ts";
import { realClock } from "./real-clock.ts";

const VARIABLE = "MANTARAY_STUCK_WARNING_MS";
/** How long something may be pending without progress before the program is warned, with the reason. */
const STUCK_WARNING_MS = 10_000;
/** A worker that is busy with one computation for longer is left out. */
const ANSWER_MS_MAX = 2_000;

/** What a worker tells of at once. */
const KEYS_TOLD_MAX = 100;

/** Warns of what is stuck in a program; null where it wants no warnings. @throws InvalidArgumentError */
export function createStuckWatch(core: CoreWorker): StuckWatch | null {
  const afterMs = stuckWarningMs();
  return afterMs === 0 ? null : new StuckWatch(watchOver(core, afterMs));
}

/** Of a worker: its program is told of what it waits for, and warns. It warns itself where that has left. */
export function createWorkerStuckWatch(core: CoreWorker): StuckWatch | null {
  const afterMs = waitWarningMs();
  if (afterMs === 0) return null;
  return new StuckWatch({
    ...watchOver(core, afterMs),
    isLeftAlone: (keys) => core.requests.ask((requestId) => ({ type: "stuckHere", requestId, keys: keys.slice(0, KEYS_TOLD_MAX) })),
  });
}

function watchOver(core: CoreWorker, afterMs: number): StuckWatchEnvironment {
  return {
    clock: realClock, afterMs, isAnythingPending: () => core.isAwaiting, pending: () => core.pendingWork.sample(),
    survey: () => surveyWaits(core.requests, { jobId: core.env.jobId, objectId: null, timeoutMs: ANSWER_MS_MAX }),
    warn: (text) => core.env.warn(text),
  };
}

function stuckWarningMs(): number {
  const ms = chosenMs();
  if (ms === null) throw new InvalidArgumentError(`environment variable ${VARIABLE} must be a number of milliseconds from 0 (no warnings) to a day, but is ${JSON.stringify(process.env[VARIABLE])}`);
  return ms;
}

/** In a worker, which cannot refuse what its program was started with. */
export function waitWarningMs(): number {
  return chosenMs() ?? STUCK_WARNING_MS;
}

/** Null if it is nonsense. */
function chosenMs(): number | null {
  const text = process.env[VARIABLE];
  if (text === undefined || text === "") return STUCK_WARNING_MS;
  const ms = Number(text);
  return ms >= 0 && ms <= 86_400_000 ? ms : null;
}

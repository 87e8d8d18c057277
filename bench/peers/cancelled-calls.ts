import { durationMs } from "../measure.ts";

/** Each by itself, or all with one signal. */
export type CancelledBy = "each" | "oneSignal";

/** The milliseconds from the first cancellation until all calls have failed. */
export async function msUntilAllFailed(calls: readonly Promise<unknown>[], cancelAll: () => unknown): Promise<number> {
  const settled = Promise.allSettled(calls);
  let outcomes: PromiseSettledResult<unknown>[] = [];
  const elapsedMs = await durationMs(async () => {
    await cancelAll();
    outcomes = await settled;
  });
  const finished = outcomes.filter(({ status }) => status === "fulfilled").length;
  if (finished > 0) throw new Error(`${finished} of ${calls.length} calls were not cancelled`);
  return elapsedMs;
}

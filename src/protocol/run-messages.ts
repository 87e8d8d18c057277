import type { WorkerId } from "../base/mod.ts";

/** What has run in one worker, oldest first: `rows` has `RUN_COLUMNS` numbers for each run. */
export interface RunsReport {
  readonly workerId: WorkerId;
  readonly pid: number;
  /** Names of functions and ids of owners, each once. */
  readonly texts: readonly string[];
  readonly rows: Float64Array;
  /** Runs that came before them and were not kept. */
  readonly dropped: number;
}

export interface TimelineRecord {
  readonly reports: readonly RunsReport[];
  readonly dropped: number;
  /** Busy with one long computation: their newest runs are missing. */
  readonly unansweredWorkerIds: readonly WorkerId[];
}

/** Columns of a run. Texts are named by their index, times are milliseconds since 1970. */
export const RUN_NAME = 0;
export const RUN_OWNER = 1;
/** Of the task at its owner; with that, its id. */
export const RUN_SEQUENCE = 2;
export const RUN_KIND = 3;
/** It was taken up; then its code and its arguments were brought here. */
export const RUN_STARTED = 4;
/** They were here: the function was called. */
export const RUN_CALLED = 5;
export const RUN_ENDED = 6;
/** Milliseconds that it waited for objects, between call and end. */
export const RUN_WAITED = 7;
export const RUN_COLUMNS = 8;

export const RUN_IS_TASK = 0;
export const RUN_IS_CALL = 1;
export const RUN_IS_CREATION = 2;

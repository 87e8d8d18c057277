import type { WorkerId } from "../base/mod.ts";
import { RUN_CALLED, RUN_COLUMNS, RUN_ENDED, RUN_KIND, RUN_NAME, RUN_OWNER, RUN_SEQUENCE, RUN_STARTED, RUN_WAITED, type RunsReport } from "../protocol/mod.ts";

/** Runs kept here until the node asks or is told; newer ones take the place of older ones. */
const RUNS_KEPT_MAX = 16_384;
/** Room for so many at first; it doubles with need. */
const RUNS_KEPT_MIN = 256;
/** The node is told of runs so long after the first of them: what a worker has run is known also if it is killed later. */
const REPORT_AFTER_MS = 1_000;

export interface RunRecorderEnvironment {
  readonly workerId: WorkerId;
  readonly pid: number;
  /** Milliseconds since 1970 at which `performance.now()` was 0. */
  readonly timeOriginMs: number;
  after(delayMs: number, callback: () => void): void;
  report(report: RunsReport): void;
}

/** What has run here, for the timeline. Every task and call passes: to note one costs a few stores into memory that is there. */
export class RunRecorder {
  readonly #env: RunRecorderEnvironment;
  #names: string[] = [];
  #ownerIds: WorkerId[] = [];
  /** The columns but for the texts, which stand in the lists. */
  #rows = new Float64Array(0);
  #kept = 0;
  /** Where the next one goes. */
  #next = 0;
  #dropped = 0;
  #isReportDue = false;

  constructor(environment: RunRecorderEnvironment) {
    this.#env = environment;
  }

  /** Times as `performance.now()` tells them. */
  add(name: string, ownerId: WorkerId, sequence: number, kind: number, startedMs: number, calledMs: number, endedMs: number, waitedMs: number): void {
    if (this.#next === this.#names.length && !this.#grow()) this.#next = 0;
    const index = this.#next++;
    if (this.#kept < this.#names.length) this.#kept++;
    else this.#dropped++;
    this.#names[index] = name;
    this.#ownerIds[index] = ownerId;
    const rows = this.#rows;
    const row = index * RUN_COLUMNS;
    rows[row + RUN_SEQUENCE] = sequence;
    rows[row + RUN_KIND] = kind;
    rows[row + RUN_STARTED] = startedMs;
    rows[row + RUN_CALLED] = calledMs;
    rows[row + RUN_ENDED] = endedMs;
    rows[row + RUN_WAITED] = waitedMs;
    if (!this.#isReportDue) this.#reportSoon();
  }

  #grow(): boolean {
    const size = Math.min(RUNS_KEPT_MAX, Math.max(RUNS_KEPT_MIN, this.#names.length * 2));
    if (size === this.#names.length) return false;
    const rows = new Float64Array(size * RUN_COLUMNS);
    rows.set(this.#rows);
    this.#rows = rows;
    for (let index = this.#names.length; index < size; index++) {
      this.#names.push("");
      this.#ownerIds.push("");
    }
    return true;
  }

  #reportSoon(): void {
    this.#isReportDue = true;
    this.#env.after(REPORT_AFTER_MS, () => {
      this.#isReportDue = false;
      const report = this.take();
      if (report !== null) this.#env.report(report);
    });
  }

  /** What was noted since the last time, or null when that is nothing. */
  take(): RunsReport | null {
    const count = this.#kept;
    if (count === 0) return null;
    const { timeOriginMs, workerId, pid } = this.#env;
    const texts = new Map<string, number>();
    const indexOf = (text: string): number => {
      const known = texts.get(text);
      if (known !== undefined) return known;
      texts.set(text, texts.size);
      return texts.size - 1;
    };
    const rows = new Float64Array(count * RUN_COLUMNS);
    const size = this.#names.length;
    const oldest = (this.#next - count + size) % size;
    const atEnd = Math.min(count, size - oldest);
    rows.set(this.#rows.subarray(oldest * RUN_COLUMNS, (oldest + atEnd) * RUN_COLUMNS));
    rows.set(this.#rows.subarray(0, (count - atEnd) * RUN_COLUMNS), atEnd * RUN_COLUMNS);
    for (let position = 0, index = oldest, row = 0; position < count; position++, index = index + 1 === size ? 0 : index + 1, row += RUN_COLUMNS) {
      rows[row + RUN_NAME] = indexOf(this.#names[index] as string);
      rows[row + RUN_OWNER] = indexOf(this.#ownerIds[index] as string);
      rows[row + RUN_STARTED] = (rows[row + RUN_STARTED] as number) + timeOriginMs;
      rows[row + RUN_CALLED] = (rows[row + RUN_CALLED] as number) + timeOriginMs;
      rows[row + RUN_ENDED] = (rows[row + RUN_ENDED] as number) + timeOriginMs;
    }
    const report: RunsReport = { workerId, pid, texts: [...texts.keys()], rows, dropped: this.#dropped };
    this.#kept = 0;
    this.#next = 0;
    this.#dropped = 0;
    return report;
  }
}

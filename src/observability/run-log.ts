import type { WorkerId } from "../base/mod.ts";
import { RUN_COLUMNS, RUN_NAME, RUN_OWNER, type RunsReport } from "../protocol/mod.ts";

/** Runs of all workers that are kept, also of ended ones. */
const RUNS_MAX = 100_000;
/** Short reports cost more than their runs. */
const REPORTS_MAX = 10_000;
/** A report as short as this takes the next one of its worker in. */
const RUNS_JOINED_MAX = 1_000;

/** What has run on this machine, oldest first, as far as it is kept. Pure. */
export class RunLog {
  /** In the order in which they were begun. */
  readonly #reports = new Set<RunsReport>();
  readonly #newest = new Map<WorkerId, RunsReport>();
  #runs = 0;
  #dropped = 0;

  add(report: RunsReport): void {
    this.#dropped += report.dropped;
    this.#runs += runsIn(report);
    const before = this.#newest.get(report.workerId);
    const isJoined = before !== undefined && this.#reports.has(before) && runsIn(before) + runsIn(report) <= RUNS_JOINED_MAX;
    const added = isJoined ? joined(before, report) : report;
    if (isJoined) this.#reports.delete(before);
    this.#reports.add(added);
    this.#newest.set(report.workerId, added);
    while (this.#runs > RUNS_MAX || this.#reports.size > REPORTS_MAX) this.#dropOldest();
  }

  #dropOldest(): void {
    for (const oldest of this.#reports) {
      this.#reports.delete(oldest);
      this.#runs -= runsIn(oldest);
      this.#dropped += runsIn(oldest);
      if (this.#newest.get(oldest.workerId) === oldest) this.#newest.delete(oldest.workerId);
      return;
    }
  }

  get reports(): readonly RunsReport[] {
    return [...this.#reports];
  }

  /** Runs that were not kept, here or at their workers. */
  get dropped(): number {
    return this.#dropped;
  }
}

function runsIn(report: RunsReport): number {
  return report.rows.length / RUN_COLUMNS;
}

function joined(before: RunsReport, after: RunsReport): RunsReport {
  const texts = new Map(before.texts.map((text, index) => [text, index]));
  const indexes = after.texts.map((text) => {
    const known = texts.get(text) ?? texts.size;
    texts.set(text, known);
    return known;
  });
  const rows = new Float64Array(before.rows.length + after.rows.length);
  rows.set(before.rows);
  rows.set(after.rows, before.rows.length);
  for (let row = before.rows.length; row < rows.length; row += RUN_COLUMNS) {
    for (const column of [RUN_NAME, RUN_OWNER]) rows[row + column] = indexes[rows[row + column] as number] as number;
  }
  return { ...after, texts: [...texts.keys()], rows, dropped: 0 };
}

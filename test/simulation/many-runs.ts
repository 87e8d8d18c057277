import { type ChildProcess, fork } from "node:child_process";
import { fileURLToPath } from "node:url";
import type { FaultMix } from "./cluster/faults.ts";
import type { RunReport } from "./one-run.ts";
import { Trace } from "./world/trace.ts";

export interface ManySetting {
  readonly first: number;
  readonly count: number;
  readonly mix: FaultMix;
  /** Processes side by side. */
  readonly jobs: number;
}

/** To a process that runs seeds, which answers with a SeedsDone. */
export interface SeedsToRun {
  readonly seeds: readonly number[];
  readonly mix: FaultMix;
}

export interface SeedsDone {
  readonly reports: readonly RunReport[];
  readonly failures: readonly { readonly seed: number; readonly reason: string }[];
}

/** They collect garbage together: with more of them that costs less for each, and takes more memory. */
const SEEDS_AT_ONCE = 20;
const MAIN = fileURLToPath(new URL("./seed-runner.ts", import.meta.url));
/** Most of what a run makes is garbage soon. */
const FLAGS = ["--max-semi-space-size=32"];

/** Runs seeds in processes of their own, says what came of them, and returns whether all have passed. */
export async function runInProcesses(setting: ManySetting): Promise<boolean> {
  const { first, count, mix, jobs } = setting;
  const startedMs = performance.now();
  const reports: RunReport[] = [];
  const failed: number[] = [];
  let next = first;
  const size = Math.max(1, Math.min(SEEDS_AT_ONCE, Math.ceil(count / jobs)));
  const serve = async (): Promise<void> => {
    const runner = fork(MAIN, { execArgv: [...process.execArgv, ...FLAGS] });
    try {
      while (next < first + count) {
        const seeds = Array.from({ length: Math.min(size, first + count - next) }, (_, index) => next + index);
        next += seeds.length;
        const done = await ask(runner, { seeds, mix });
        reports.push(...done.reports);
        for (const { seed, reason } of done.failures) {
          failed.push(seed);
          console.log(`seed ${seed} fails: ${reason}`);
        }
      }
    } finally {
      runner.kill();
    }
  };
  await Promise.all(Array.from({ length: jobs }, serve));
  tell(reports.sort((one, other) => one.seed - other.seed), failed.sort((one, other) => one - other), count, (performance.now() - startedMs) / 1000);
  return failed.length === 0;
}

function ask(runner: ChildProcess, question: SeedsToRun): Promise<SeedsDone> {
  return new Promise((resolve, reject) => {
    const ended = (code: number | null): void => reject(new Error(`the process that ran seeds ${question.seeds[0]} to ${question.seeds.at(-1)} has ended with code ${code}`));
    runner.once("exit", ended);
    runner.once("message", (done) => {
      runner.off("exit", ended);
      resolve(done as SeedsDone);
    });
    runner.send(question);
  });
}

function tell(reports: readonly RunReport[], failed: readonly number[], count: number, seconds: number): void {
  const sum = (of: (report: RunReport) => number): number => reports.reduce((total, report) => total + of(report), 0);
  const all = new Trace(null);
  const losses = new Map<string, number>();
  for (const { seed, traceHash, losses: lost } of reports) {
    all.event(seed, traceHash, "");
    for (const [name, number] of lost) losses.set(name, (losses.get(name) ?? 0) + number);
  }
  const events = sum((report) => report.events);
  const faults = sum((report) => report.faults);
  console.log(`${count} seeds in ${seconds.toFixed(1)} s, ${(count / seconds).toFixed(1)} a second: ${events} events, ${(events / seconds).toFixed(0)} a second, ${(sum(({ simulatedMs }) => simulatedMs) / 3_600_000).toFixed(2)} simulated hours, traces ${all.hash}`);
  if (faults > 0) console.log(`${faults} faults; lost, as it may be: ${Array.from(losses, ([name, number]) => `${number} ${name}`).join(", ")}`);
  console.log(failed.length === 0 ? "none failed" : `${failed.length} failed: ${failed.join(", ")}`);
}

import { fork } from "node:child_process";
import { fileURLToPath } from "node:url";
import type { FaultMix } from "./cluster/faults.ts";
import { type RunReport, runSeeds } from "./one-run.ts";
import { Trace } from "./world/trace.ts";

export interface ManySetting {
  readonly first: number;
  readonly count: number;
  readonly mix: FaultMix;
  /** Processes side by side; one: this one. */
  readonly jobs: number;
  /** Each seed must be the same run both times. */
  readonly isTwice: boolean;
}

/** They collect garbage together: with more of them that costs less for each, and takes more memory. */
const SEEDS_AT_ONCE = 20;
const RUNNER = fileURLToPath(new URL("./seed-runner.ts", import.meta.url));
/** Most of what a run makes is garbage soon. */
const FLAGS = ["--max-semi-space-size=32"];

/** What has become of seeds. */
export interface SeedsDone {
  readonly reports: readonly RunReport[];
  readonly failures: readonly { readonly seed: number; readonly reason: string }[];
  /** What they took, whatever else the machine did. */
  readonly processorMs: number;
}

/** Runs seeds, says what came of them, and returns whether all have passed. */
export async function runMany(setting: ManySetting): Promise<boolean> {
  const { first, count, mix, jobs, isTwice } = setting;
  const startedMs = performance.now();
  const reports = new Map<number, RunReport>();
  let processorMs = 0;
  const failed: number[] = [];
  const fails = (seed: number, reason: string): void => {
    failed.push(seed);
    console.log(`seed ${seed} fails: ${reason}`);
  };
  let next = first;
  const size = Math.max(1, Math.min(SEEDS_AT_ONCE, Math.ceil(count / jobs)));
  const serve = async (run: (seeds: readonly number[]) => Promise<SeedsDone>): Promise<void> => {
    while (next < first + count) {
      const seeds = Array.from({ length: Math.min(size, first + count - next) }, (_, index) => next + index);
      next += seeds.length;
      const done = await run(isTwice ? [...seeds, ...seeds] : seeds);
      processorMs += done.processorMs;
      for (const { seed, reason } of done.failures) fails(seed, reason);
      for (const report of done.reports) {
        const other = reports.get(report.seed);
        if (other === undefined) reports.set(report.seed, report);
        else if (other.traceHash !== report.traceHash) fails(report.seed, "it is not the same run a second time");
      }
    }
  };
  await (jobs === 1 ? serve((seeds) => resultsOf(seeds, mix)) : Promise.all(Array.from({ length: jobs }, () => inProcess(mix, serve))));
  tell([...reports.values()].sort((one, other) => one.seed - other.seed), failed.sort((one, other) => one - other), { count, seconds: (performance.now() - startedMs) / 1000, processorMs: processorMs / (isTwice ? 2 : 1) });
  return failed.length === 0;
}

export async function resultsOf(seeds: readonly number[], mix: FaultMix): Promise<SeedsDone> {
  const before = process.cpuUsage();
  const results = await runSeeds(seeds, mix);
  const { user, system } = process.cpuUsage(before);
  return {
    processorMs: (user + system) / 1000,
    reports: results.flatMap((result) => (result.status === "fulfilled" ? [result.value] : [])),
    failures: results.flatMap((result, index) => (result.status === "fulfilled" ? [] : [{ seed: seeds[index] as number, reason: (result.reason as Error).stack ?? String(result.reason) }])),
  };
}

async function inProcess(mix: FaultMix, serve: (run: (seeds: readonly number[]) => Promise<SeedsDone>) => Promise<void>): Promise<void> {
  const runner = fork(RUNNER, [mix], { execArgv: [...process.execArgv, ...FLAGS] });
  try {
    await serve((seeds) => new Promise((resolve, reject) => {
      const ended = (code: number | null): void => reject(new Error(`the process that ran seeds ${seeds[0]} to ${seeds.at(-1)} has ended with code ${code}`));
      runner.once("exit", ended);
      runner.once("message", (done) => {
        runner.off("exit", ended);
        resolve(done as SeedsDone);
      });
      runner.send(seeds);
    }));
  } finally {
    runner.kill();
  }
}

function tell(reports: readonly RunReport[], failed: readonly number[], { count, seconds, processorMs }: { readonly count: number; readonly seconds: number; readonly processorMs: number }): void {
  const sum = (of: (report: RunReport) => number): number => reports.reduce((total, report) => total + of(report), 0);
  const all = new Trace(null);
  const losses = new Map<string, number>();
  for (const { seed, traceHash, losses: lost } of reports) {
    all.event(seed, traceHash, "");
    for (const [name, number] of lost) losses.set(name, (losses.get(name) ?? 0) + number);
  }
  const events = sum((report) => report.events);
  const faults = sum((report) => report.faults);
  console.log(`${count} seeds in ${seconds.toFixed(1)} s, ${(count / seconds).toFixed(1)} a second, ${(processorMs / count).toFixed(0)} ms of a processor each: ${events} events, ${(events / seconds).toFixed(0)} a second, ${(sum(({ simulatedMs }) => simulatedMs) / 3_600_000).toFixed(2)} simulated hours, traces ${all.hash}`);
  if (faults > 0) console.log(`${sum(({ programs }) => programs)} programs, ${faults} faults, ${sum(({ restarts }) => restarts)} actors started again, ${sum(({ moves }) => moves)} objects moved; lost, as it may be: ${Array.from(losses, ([name, number]) => `${number} ${name}`).join(", ")}`);
  console.log(failed.length === 0 ? "none failed" : `${failed.length} failed: ${failed.join(", ")}`);
}

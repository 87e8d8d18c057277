import { spawn } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { ContestantProcess } from "./contestant-process.ts";
import { whatIsLacking } from "./machine.ts";
import { measureInterleaved } from "./measure.ts";
import type { Figures, Outcome } from "./measure.ts";
import type { PeerId } from "./peers/registry.ts";
import type { Bench, Row } from "./rows/row.ts";

const PROGRAM_MS_MAX = 30_000;

export interface RunOptions {
  readonly rounds: number;
  readonly trialMs: number;
  readonly isQuick: boolean;
  readonly builtFolder: URL;
}

export interface RowResult {
  readonly row: Row;
  readonly outcomes: ReadonlyMap<PeerId, Outcome>;
  /** What the machine lacks for this row, which was left out. */
  readonly lacking?: string;
}

/** One row: a process for each contestant, turns in rounds, and no process left at the end. */
export async function runRow(row: Row, options: RunOptions): Promise<RowResult> {
  const lacking = row.needs === undefined ? undefined : whatIsLacking(row.needs(options.isQuick));
  if (lacking !== undefined) return { row, outcomes: new Map(), lacking };
  const residents = new Map<PeerId, ContestantProcess>();
  const bench: Bench = {
    isQuick: options.isQuick,
    trialMs: options.trialMs,
    async resident(peer) {
      let contestant = residents.get(peer);
      if (contestant === undefined) {
        contestant = await ContestantProcess.start(peer, options.builtFolder);
        residents.set(peer, contestant);
      }
      return contestant;
    },
    async fresh(peer, use, settings) {
      const contestant = await ContestantProcess.start(peer, options.builtFolder, settings);
      try {
        return await use(contestant);
      } finally {
        await contestant.close();
      }
    },
    firstResult: (program) => firstResult(fileURLToPath(new URL(`${program}.js`, options.builtFolder))),
  };
  try {
    const outcomes = await measureInterleaved({
      contestants: row.contestants,
      rounds: Math.min(options.rounds, row.roundsMax ?? options.rounds),
      measure: (peer) => row.measure(peer, bench),
    });
    return { row, outcomes };
  } finally {
    await Promise.all([...residents.values()].map((contestant) => contestant.close()));
  }
}

async function firstResult(file: string): Promise<Figures> {
  const startedAt = performance.now();
  const child = spawn(process.execPath, [file], { stdio: ["ignore", "pipe", "pipe"] });
  const exited = once(child, "exit");
  let errors = "";
  child.stderr.setEncoding("utf8").on("data", (text: string) => (errors += text));
  const deadline = setTimeout(() => child.kill("SIGKILL"), PROGRAM_MS_MAX);
  try {
    const printed = await Promise.race([once(child.stdout, "data"), exited.then(() => undefined)]);
    const ms = performance.now() - startedAt;
    const [exitCode] = await exited;
    if (printed === undefined || exitCode !== 0) throw new Error(`${file} ended with ${exitCode}: ${errors}`);
    const { value, memoryBytes } = JSON.parse(String(printed[0])) as { value: number; memoryBytes: number };
    if (typeof value !== "number") throw new Error(`${file} printed no result`);
    return { ms, memoryMib: memoryBytes / 2 ** 20 };
  } finally {
    clearTimeout(deadline);
  }
}

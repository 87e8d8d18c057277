/** The bench's command line. README.md beside it says what is measured, and how. */
import { writeFile } from "node:fs/promises";
import { parseArgs } from "node:util";
import { withBundledBench } from "./bundle.ts";
import { runsOnThisNode } from "./peers/registry.ts";
import { renderEnvironment, renderReport, resultsAsJson } from "./report.ts";
import { ALL_ROWS } from "./rows/all-rows.ts";
import type { Row } from "./rows/row.ts";
import { runRow } from "./run-rows.ts";
import type { RowResult } from "./run-rows.ts";

const USAGE = `Usage: npm run bench -- [options]

  --rows TEXT          only rows with the text in their name, title or group; can be repeated
  --contestants TEXT   only contestants with the text in their name; can be repeated
  --rounds N           rounds (5; with --quick 2)
  --quick              short trials and smaller amounts: to try out, not to report
  --json FILE          write all samples to a file
  --markdown           print the tables as Markdown
  --list               print the rows and stop`;

const { values } = parseArgs({
  options: {
    rows: { type: "string", multiple: true, default: [] },
    contestants: { type: "string", multiple: true, default: [] },
    rounds: { type: "string" },
    quick: { type: "boolean", default: false },
    json: { type: "string" },
    markdown: { type: "boolean", default: false },
    list: { type: "boolean", default: false },
    help: { type: "boolean", default: false, short: "h" },
  },
});

const includesOne = (texts: readonly string[], wanted: readonly string[]) =>
  wanted.length === 0 || wanted.some((part) => texts.some((text) => text.toLowerCase().includes(part.toLowerCase())));

function selectRows(): Row[] {
  return ALL_ROWS.filter((row) => includesOne([row.key, row.title, row.group], values.rows))
    .map((row) => ({
      ...row,
      contestants: row.contestants.filter((peer) => runsOnThisNode(peer) && includesOne([peer], values.contestants)),
    }))
    .filter((row) => row.contestants.length > 0);
}

async function runAll(rows: readonly Row[], rounds: number, builtFolder: URL): Promise<RowResult[]> {
  const results: RowResult[] = [];
  for (const [index, row] of rows.entries()) {
    process.stderr.write(`[${index + 1}/${rows.length}] ${row.key}: ${row.title}\n`);
    const result = await runRow(row, { rounds, trialMs: values.quick ? 200 : 1_000, isQuick: values.quick, builtFolder });
    if (result.lacking !== undefined) process.stderr.write(`  left out: ${result.lacking}\n`);
    for (const [peer, { failure }] of result.outcomes) {
      if (failure !== undefined) process.stderr.write(`  ${peer} failed: ${failure}\n`);
    }
    results.push(result);
  }
  return results;
}

async function main(): Promise<void> {
  const rounds = Number(values.rounds ?? (values.quick ? 2 : 5));
  if (values.help) return console.log(USAGE);
  if (!Number.isInteger(rounds) || rounds < 1) throw new Error(`--rounds is a whole number from 1, not "${values.rounds}"`);

  const rows = selectRows();
  if (rows.length === 0) throw new Error("no row has that text in its name, title or group; --list shows them all");
  if (values.list) {
    for (const row of rows) console.log(`${row.key.padEnd(46)} ${row.group}: ${row.title}`);
    return;
  }

  const results = await withBundledBench((builtFolder) => runAll(rows, rounds, builtFolder));
  const format = values.markdown ? "markdown" : "text";
  console.log(renderEnvironment(format, rounds));
  console.log(`\n${renderReport(results, format)}`);
  if (values.json !== undefined) await writeFile(values.json, resultsAsJson(results, rounds));
}

await main();

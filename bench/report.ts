/** From results to tables, for the terminal and for Markdown. */
import { readFileSync } from "node:fs";
import { arch, availableParallelism, cpus, platform, release, totalmem } from "node:os";
import type { Outcome, Statistics } from "./measure.ts";
import { PEERS, runsOnThisNode } from "./peers/registry.ts";
import type { PeerEntry, PeerId } from "./peers/registry.ts";
import type { RowResult } from "./run-rows.ts";
import type { Figure, Row } from "./rows/row.ts";

interface Table {
  readonly heading: string;
  readonly columns: readonly string[];
  readonly rows: readonly (readonly string[])[];
  readonly notes: readonly string[];
}

type Format = "text" | "markdown";

export function renderReport(results: readonly RowResult[], format: Format): string {
  const run = results.filter(({ lacking }) => lacking === undefined);
  const withoutPublished = run.filter(({ row }) => row.published === undefined);
  const published = run.filter(({ row }) => row.published !== undefined);
  const tables = withoutPublished.flatMap(tablesOf);
  if (published.length > 0) tables.push(publishedTable(published));
  const leftOut = results.flatMap(({ row, lacking }) => (lacking === undefined ? [] : [`${row.title}: left out, ${lacking}`]));
  return [...tables.map((table) => (format === "text" ? renderText(table) : renderMarkdown(table))), ...leftOut].join("\n\n");
}

/** Where and with what the figures were taken. */
export function renderEnvironment(format: Format, rounds: number): string {
  const lines = [
    `Node ${process.version}, ${platform()} ${release()} ${arch()}, ${cpus()[0]?.model.trim() ?? "unknown CPU"}, ` +
      `${availableParallelism()} cores, ${Math.round(totalmem() / 2 ** 30)} GiB, ${new Date().toISOString().slice(0, 10)}`,
    `Medians of up to ${rounds} rounds, in which the contestants of a row take turns; 2 workers each.`,
  ];
  const list = peerEntries().map(([id, peer]) => {
    const leftOut = runsOnThisNode(id) ? "" : ` (left out: it needs Node ${peer.nodeMajorMin})`;
    return `${peer.label}${versionOf(peer)}${leftOut}: ${peer.settings}`;
  });
  return [...lines, "", ...list.map((line) => (format === "text" ? `  ${line}` : `- ${line}`))].join("\n");
}

export function resultsAsJson(results: readonly RowResult[], rounds: number): string {
  const rows = results.map(({ row, outcomes, lacking }) => ({
    key: row.key,
    group: row.group,
    title: row.title,
    figures: row.figures,
    published: row.published ?? null,
    lacking: lacking ?? null,
    contestants: Object.fromEntries(
      [...outcomes].map(([peer, outcome]) => [
        peer,
        { label: labelIn(row, peer), figures: Object.fromEntries(outcome.figures), failure: outcome.failure ?? null },
      ]),
    ),
  }));
  const peers = Object.fromEntries(peerEntries().map(([id, peer]) => [id, { label: peer.label, version: versionOf(peer).trim(), settings: peer.settings }]));
  const environment = {
    node: process.version,
    platform: `${platform()} ${release()} ${arch()}`,
    cpu: cpus()[0]?.model.trim() ?? null,
    cores: availableParallelism(),
    memoryBytes: totalmem(),
    date: new Date().toISOString(),
    rounds,
  };
  return `${JSON.stringify({ environment, peers, rows }, null, 2)}\n`;
}

function tablesOf({ row, outcomes }: RowResult): Table[] {
  return row.figures.map((figure) => ({
    heading: figure.title === "" ? row.title : `${row.title} - ${figure.title}`,
    columns: ["", `median (${figure.unit})`, "min … max", ratioTitle(row, figure)],
    rows: [...outcomes].map(([peer, outcome]) => {
      const statistics = outcome.figures.get(figure.key);
      const baseline = outcomes.get(row.baseline)?.figures.get(figure.key);
      return [
        labelIn(row, peer),
        statistics === undefined ? "failed" : formatNumber(statistics.median),
        statistics === undefined ? "" : spread(statistics),
        statistics === undefined || baseline === undefined ? "" : ratio(row, figure, statistics, baseline),
      ];
    }),
    notes: failureNotes(row, outcomes),
  }));
}

/** Ray's rows are one table: few contestants, many rows. */
function publishedTable(results: readonly RowResult[]): Table {
  const peers = [...new Set(results.flatMap(({ row }) => row.contestants))];
  return {
    heading: "Ray's microbenchmark; Ray's own best published figures are of one machine with 64 virtual CPUs (AWS m5.16xlarge)",
    columns: ["row", "what", "unit", ...peers.flatMap((peer) => [PEERS[peer].label, "min … max"]), "Ray's best", "source", `${PEERS[peers[0]!].label} ÷ Ray's best`],
    rows: results.map(({ row, outcomes }) => {
      const figure = row.figures[0]!;
      const statistics = peers.map((peer) => outcomes.get(peer)?.figures.get(figure.key));
      const first = statistics[0];
      return [
        row.key,
        row.title,
        figure.unit,
        ...statistics.flatMap((of) => (of === undefined ? ["failed", ""] : [formatNumber(of.median), spread(of)])),
        formatNumber(row.published!.value),
        row.published!.source,
        first === undefined ? "" : formatRatio(first.median / row.published!.value),
      ];
    }),
    notes: results.flatMap(({ row, outcomes }) => failureNotes(row, outcomes)),
  };
}

function isMantaray(peer: PeerId): boolean {
  return peer.startsWith("mantaray");
}

/** Against Mantaray, a ratio above 1 says that Mantaray is better; against others it is the plain quotient. */
function ratioTitle(row: Row, figure: Figure): string {
  const label = labelIn(row, row.baseline);
  if (!isMantaray(row.baseline)) return `÷ ${label}`;
  return figure.better === "higher" ? `${label} ÷ it` : `it ÷ ${label}`;
}

function ratio(row: Row, figure: Figure, statistics: Statistics, baseline: Statistics): string {
  const quotient = statistics.median / baseline.median;
  return formatRatio(isMantaray(row.baseline) && figure.better === "higher" ? 1 / quotient : quotient);
}

function failureNotes(row: Row, outcomes: ReadonlyMap<PeerId, Outcome>): string[] {
  return [...outcomes]
    .filter(([, outcome]) => outcome.failure !== undefined)
    .map(([peer, outcome]) => `${row.key}: ${labelIn(row, peer)} failed: ${outcome.failure!.split("\n")[0]}`);
}

function labelIn(row: Row, peer: PeerId): string {
  return row.labels?.[peer] ?? PEERS[peer].label;
}

function peerEntries(): [PeerId, PeerEntry][] {
  return Object.entries(PEERS) as [PeerId, PeerEntry][];
}

/** Read from the package's folder: not every package exports its package.json. */
function versionOf(peer: PeerEntry): string {
  if (peer.packageName === undefined) return "";
  const file = new URL(`../node_modules/${peer.packageName}/package.json`, import.meta.url);
  return ` ${(JSON.parse(readFileSync(file, "utf8")) as { version: string }).version}`;
}

function spread({ min, max }: Statistics): string {
  return `${formatNumber(min)} … ${formatNumber(max)}`;
}

function formatNumber(value: number): string {
  if (Number.isNaN(value)) return "n/a";
  const digits = Math.abs(value) >= 1000 ? 0 : Math.abs(value) >= 100 ? 1 : 2;
  return value.toLocaleString("en-US", { minimumFractionDigits: digits, maximumFractionDigits: digits });
}

function formatRatio(value: number): string {
  return Number.isFinite(value) ? `${value.toFixed(2)} ×` : "n/a";
}

function renderText({ heading, columns, rows, notes }: Table): string {
  const widths = columns.map((column, index) => Math.max(column.length, ...rows.map((row) => row[index]!.length)));
  const line = (cells: readonly string[]) =>
    cells.map((cell, index) => (index === 0 ? cell.padEnd(widths[index]!) : cell.padStart(widths[index]!))).join("  ").trimEnd();
  return [heading, line(columns), ...rows.map(line), ...notes].join("\n");
}

function renderMarkdown({ heading, columns, rows, notes }: Table): string {
  const line = (cells: readonly string[]) => `| ${cells.join(" | ")} |`;
  const rule = columns.map((_, index) => (index === 0 ? "---" : "---:"));
  return [`### ${heading}`, "", line(columns), line(rule), ...rows.map(line), ...(notes.length > 0 ? ["", ...notes] : [])].join("\n");
}

import assert from "node:assert/strict";
import { it } from "node:test";
import { runExample } from "./run-example.ts";

it("the word count on three nodes counts the shipped text, and says what ran where", async () => {
  const run = await runExample("cluster-word-count");
  assert.equal(run.stderr, "");
  assert.equal(run.exitCode, 0);
  assert.match(run.stdout, /^ +63,919 {2}the\n +51,696 {2}and\n/m);
  assert.match(run.stdout, /^790,889 words, 12,768 of them distinct; counted again here: the same\.$/m);
  const rows = [...run.stdout.matchAll(/^127\.0\.0\.1:\d+ +(\d+) +([\d,]+) +(\d+)$/gm)];
  assert.equal(rows.length, 3);
  const sumOf = (column: number): number => rows.reduce((sum, row) => sum + Number(row[column]!.replaceAll(",", "")), 0);
  assert.deepEqual([sumOf(2), sumOf(3)], [790_889, 3]);
});

it("the word count on three nodes says which file it cannot read", async () => {
  const run = await runExample("cluster-word-count", ["no-such-file"]);
  assert.deepEqual([run.exitCode, run.stdout, run.stderr], [1, "", "cannot read no-such-file: there is no such file\n"]);
});

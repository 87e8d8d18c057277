import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { whatIsLacking } from "./machine.ts";
import { renderReport, resultsAsJson } from "./report.ts";
import { CALLS_PER_SECOND } from "./rows/row.ts";
import type { Row } from "./rows/row.ts";
import { runRow } from "./run-rows.ts";

const PLENTY = Number.MAX_VALUE;

describe("what a machine lacks", () => {
  it("is nothing for a row that takes nothing", () => {
    assert.equal(whatIsLacking({ memoryBytes: 0, sharedMemoryBytes: 0 }), undefined);
  });

  it("is named, all of it", () => {
    assert.match(whatIsLacking({ memoryBytes: PLENTY, sharedMemoryBytes: 0 })!, /^it takes .* GiB of memory, of which .* GiB are free$/);
    const lacking = whatIsLacking({ memoryBytes: 0, sharedMemoryBytes: PLENTY, diskBytes: PLENTY })!;
    assert.match(lacking, /of shared memory \(.*; it takes .* of disk \(/);
  });

  it("leaves out the row, and the report says so", async () => {
    const row: Row = {
      ...{ key: "too_large", group: "objects", title: "A row too large", figures: [CALLS_PER_SECOND], contestants: ["one-thread"], baseline: "one-thread" },
      needs: () => ({ memoryBytes: PLENTY, sharedMemoryBytes: 0 }),
      measure: () => Promise.reject(new Error("it was run")),
    };
    const result = await runRow(row, { rounds: 1, trialMs: 1, isQuick: true, builtFolder: new URL("file:///nowhere/") });
    assert.match(renderReport([result], "markdown"), /^A row too large: left out, it takes .* of memory/);
    assert.match(resultsAsJson([result], 1), /"lacking": "it takes /);
  });
});

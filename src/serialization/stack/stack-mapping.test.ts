import assert from "node:assert/strict";
import { EventEmitter } from "node:events";
import { test } from "node:test";
import { OWN_PACKAGE_URL } from "../own-package.ts";
import { displayName } from "../closure/source-positions.ts";
import { cleanStack, placesOf, programPlaces } from "./stack-mapping.ts";

test("what users see of a stack is their own code", () => {
  const own = displayName(OWN_PACKAGE_URL);
  const stack = [
    "RangeError: too large",
    "    at train (/home/u/app.ts:12:9)",
    `    at TaskExecutor.run (${own}core-worker/task-executor.ts:5:1)`,
    `    at async Worker.loop (file://${own}main/worker-thread.js:9:7)`,
    "    at process.processTicksAndRejections (node:internal/process/task_queues:95:5)",
    "    at Array.map (<anonymous>)",
    "    at node:fs:100:3",
    "    at async file:///home/u/app.ts:20:1",
  ];
  assert.deepEqual(cleanStack(stack.join("\n")).split("\n"), [stack[0], stack[1], stack[5], stack[6], stack[7]]);
});

test("a message is left alone, whatever it quotes", () => {
  const stack = `Error: path ${displayName(OWN_PACKAGE_URL)}x\n  and a second line\n    at f (/home/u/app.ts:1:1)`;
  assert.equal(cleanStack(stack), stack);
});

test("places of a captured stack are kept as plain data and shown later", () => {
  const captured: { stack?: string } = {};
  function capture(): void {
    Error.captureStackTrace(captured, capture);
  }
  function here(): void {
    capture();
  }
  new EventEmitter().on("now", here).emit("now");
  const before = Error.prepareStackTrace;
  const places = placesOf(captured);
  assert.equal(Error.prepareStackTrace, before);
  assert.deepEqual(JSON.parse(JSON.stringify(places)), places);
  const [first, second] = programPlaces(places).filter((place) => place.includes("stack-mapping"));
  assert.match(String(first), /^(?:EventEmitter\.)?here \(.*stack-mapping\.test\.ts:\d+:5\)$/);
  assert.match(String(second), /stack-mapping\.test\.ts/);
  assert.ok(!places.some(({ file }) => file === "node:events"), "frames that no user wants to see are not even kept");
});

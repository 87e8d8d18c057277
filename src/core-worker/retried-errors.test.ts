import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { GetTimeoutError, RayError, TaskError } from "../base/mod.ts";
import { classNamesOf, isNamedAsOneOf, isOneOf, retriedErrorsOf, retryDelayMs } from "./retried-errors.ts";

class Busy extends Error {}
class VeryBusy extends Busy {}
const thrownBy = (functionName: string, cause: unknown): TaskError => new TaskError(`${functionName}() failed`, { cause, functionName, taskId: "t", pid: 1 });

describe("errors that are worth another run", () => {
  test("are those of the classes, and of classes that extend them", () => {
    assert.ok(isOneOf(new Busy(), [RangeError, Busy]));
    assert.ok(isOneOf(new VeryBusy(), [Busy]));
    assert.ok(!isOneOf(new Busy(), [VeryBusy, RangeError]));
    assert.ok(isOneOf(new GetTimeoutError("late"), [RayError]));
    for (const thrown of ["text", 5, null, undefined]) assert.ok(!isOneOf(thrown, [Error]));
  });

  test("are also those of nested tasks, as what they are and as what was thrown there", () => {
    const nested = thrownBy("outer", thrownBy("inner", new VeryBusy()));
    for (const type of [TaskError, Busy, VeryBusy]) assert.ok(isOneOf(nested, [type]));
    assert.ok(!isOneOf(nested, [RangeError]));
    assert.ok(!isOneOf(new Error("with a cause", { cause: new Busy() }), [Busy]), "a cause that the program gave an error is not the error");
  });

  test("which were made to contain themselves are looked at to an end", () => {
    const endless = thrownBy("endless", null);
    Object.defineProperty(endless, "cause", { value: endless });
    assert.ok(!isOneOf(endless, [Busy]));
  });

  test("are known by name where they cannot be rebuilt", () => {
    assert.deepEqual(classNamesOf(new VeryBusy()), ["VeryBusy", "Busy", "Error"]);
    assert.deepEqual(classNamesOf("text"), []);
    assert.ok(isNamedAsOneOf(classNamesOf(new VeryBusy()), [Busy]));
    assert.ok(!isNamedAsOneOf(classNamesOf(new Busy()), [VeryBusy]));
    const Anonymous = (() => class extends Error {})();
    assert.ok(!isNamedAsOneOf(classNamesOf(new Anonymous()), [Anonymous]), "without a name there is nothing to compare");
  });

  test("false and an empty list are none", () => {
    for (const option of [undefined, false, []]) assert.equal(retriedErrorsOf(option), null);
    assert.equal(retriedErrorsOf(true), true);
    assert.deepEqual(retriedErrorsOf([Busy]), [Busy]);
  });

  test("are retried at once, then ever later, within a bound", () => {
    assert.deepEqual([0, 1, 2, 3, 7, 8, 100, 5_000].map(retryDelayMs), [0, 10, 20, 40, 640, 1_000, 1_000, 1_000]);
  });
});

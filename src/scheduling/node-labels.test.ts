import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { InvalidArgumentError } from "../base/mod.ts";
import { checkNodeLabels, labelsOfNode } from "./node-labels.ts";

describe("labels of a node", () => {
  test("are those given, and its own", () => {
    assert.deepEqual(labelsOfNode({ zone: "a" }, "0123", null), { "mantaray.io/node-id": "0123", zone: "a" });
    assert.deepEqual(labelsOfNode({}, "0123", "A100"), { "mantaray.io/node-id": "0123", "mantaray.io/accelerator-type": "A100" });
  });

  test("that no selector could name are refused, and those that are not the user's", () => {
    checkNodeLabels({ zone: "a", "example.com/rack": "7" }, "option 'labels' of init()");
    for (const labels of [{ "two words": "a" }, { zone: "two words" }, { zone: "" }, { "mantaray.io/zone": "a" }] as Record<string, string>[]) {
      assert.throws(() => checkNodeLabels(labels, "option 'labels' of init()"), (error: unknown) => error instanceof InvalidArgumentError && error.message.startsWith("option 'labels' of init(): "));
    }
  });
});

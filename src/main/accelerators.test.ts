import assert from "node:assert/strict";
import { test } from "node:test";
import { acceleratorTypeOf } from "./accelerators.ts";

test("the type of an accelerator is its model without its maker and its memory, as a label can have it", () => {
  const types = ["NVIDIA A100-SXM4-40GB", "Tesla V100-SXM2-16GB", "NVIDIA H100 80GB HBM3", "NVIDIA L40S", "Tesla T4", "NVIDIA GeForce RTX 3090", "NVIDIA RTX A6000", "  NVIDIA A10G\t"].map(acceleratorTypeOf);
  assert.deepEqual(types, ["A100", "V100", "H100", "L40S", "T4", "RTX-3090", "RTX-A6000", "A10G"]);
  assert.deepEqual(["Graphics Device", "", "Unknown"].map(acceleratorTypeOf), [null, null, null]);
});

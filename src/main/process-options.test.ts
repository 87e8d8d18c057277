import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { workerProcessOptions } from "./process-options.ts";

describe("the options of a worker process", () => {
  it("have one helper thread for V8, and the program's own options behind", () => {
    assert.deepEqual(workerProcessOptions(["--max-old-space-size=100"], "--no-warnings", null), ["--v8-pool-size=1", "--max-old-space-size=100"]);
  });

  it("leave the number of helpers to the program where it says one", () => {
    assert.deepEqual(workerProcessOptions(["--v8-pool-size=3"], undefined, null), ["--v8-pool-size=3"]);
    assert.deepEqual(workerProcessOptions([], "--no-warnings --v8_pool_size=2", null), []);
  });

  it("have a memory limit last, which counts before the program's own", () => {
    assert.deepEqual(workerProcessOptions(["--max-old-space-size=100"], undefined, 2 ** 20).slice(2).map((option) => option.split("=")[0]), ["--max-old-space-size", "--max-semi-space-size"]);
  });
});

import assert from "node:assert/strict";
import { readdirSync } from "node:fs";
import { test } from "node:test";
import { runProgram } from "./child-program.ts";

const skip = process.platform === "linux" ? false : "needs /dev/shm";
for (const [how, end] of [["by itself", ""], ["with process.exit()", "process.exit(0);"]] as const) {
  test(`a program that ends ${how}, without shutdown(), leaves no shared memory`, { skip }, async () => {
    const { stdout, exitCode } = await runProgram({ files: { "main.mjs": `import * as ray from "mantaray"; const ref = ray.put(new Float64Array(1e6)); console.log(process.pid, (await ray.get(ref)).length); ${end}` } });
    assert.equal(exitCode, 0);
    const [pid] = stdout.split(" ");
    assert.deepEqual(readdirSync("/dev/shm").filter((name) => name.startsWith(`mantaray-${pid}-`)), []);
  });
}

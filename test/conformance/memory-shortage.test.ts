import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { ISOLATIONS } from "./both-isolations.ts";
import { linesOf, runProgram, type ProgramRun } from "./child-program.ts";

const skip = process.platform === "linux" ? false : "only Linux tells how much memory processes have";
const MEBIBYTE = 1024 ** 2;
/** Not the machine's: the runtime is told that it has so much. One task of those below fits, two do not. */
const LIMIT_BYTES = 580 * MEBIBYTE;

const run = (isolation: string, body: string, environment = {}): Promise<ProgramRun> => runProgram({ environment: { MANTARAY_MEMORY_LIMIT_BYTES: String(LIMIT_BYTES), ...environment }, files: { "main.mjs": `
  import * as ray from "mantaray";
  import { existsSync, writeFileSync } from "node:fs";
  const folder = new URL(".", import.meta.url).pathname;
  const mark = (name) => writeFileSync(folder + name, "");
  const isMarked = (name) => existsSync(folder + name);
  const turn = () => new Promise((resolve) => setTimeout(resolve, 20));
  const warnings = [];
  process.on("warning", ({ message }) => void warnings.push(message));
  await ray.init({ numCpus: 3, objectStoreMemory: 64 * 2 ** 20, isolation: "${isolation}" });
  // Until somebody is ended for it: however late the second one starts, it finds the first.
  const hold = ray.remote(async function hold(number) {
    const bytes = new Uint8Array(300 * 2 ** 20).fill(number);
    mark("filled" + number);
    while (!isMarked("released")) await turn();
    return bytes[bytes.length - 1];
  });
  ${body}
  await ray.shutdown();
` } });

for (const isolation of ISOLATIONS) {
  describe(`a node whose memory runs short (${isolation})`, { skip }, () => {
    it("ends the newest work and runs it again later, at no cost of retries, and says what has how much", async () => {
      const [values, warning] = linesOf(await run(isolation, `
        process.on("warning", () => mark("released"));
        const once = hold.options({ maxRetries: 1 });
        console.log(JSON.stringify(await ray.get([once.remote(1), once.remote(2)])));
        console.log(warnings[0]);
      `));
      assert.equal(values, "[1,2]");
      assert.match(warning as string, /^worker \w+ was ended because memory runs short: \d+ MiB of the 580 MiB of this node \(MANTARAY_MEMORY_LIMIT_BYTES\) were in use, more than 95 %; most has .+\(pid \d+\) \d+ MiB.*; what it did runs again later\. Let less run at once/);
    });

    it("ends what cannot run again last, with OutOfMemoryError; an actor goes by maxRestarts", async () => {
      const lines = linesOf(await run(isolation, `
        class Keeper {
          constructor() { this.all = []; }
          /** It is ended within this call: between two calls nobody would hear of it. */
          async keepMore() {
            while (this.all.length < 10) {
              this.all.push(new Uint8Array(200 * 2 ** 20).fill(1));
              await new Promise((resolve) => setTimeout(resolve, 100));
            }
            await new Promise(() => {});
          }
          kept() { return this.all.length; }
        }
        // Not when its end is announced: it could still be the first to answer.
        const [outcome] = await Promise.allSettled([hold.options({ maxRetries: 0 }).remote(1), hold.options({ maxRetries: 0 }).remote(2)].map((ref) => ref.get().finally(() => mark("released")))).then((all) => all.filter(({ status }) => status === "rejected"));
        console.log(outcome.reason.name + ": " + outcome.reason.message);
        const keeper = ray.remote(Keeper, { maxRestarts: 1 }).remote();
        await keeper.keepMore.remote().get().catch((error) => console.log(error.name));
        await keeper.ready().get();
        let kept = null;
        while (kept === null) kept = await keeper.kept.remote().get().catch(() => null);
        console.log("restarted with", kept);
      `));
      assert.match(lines[0] as string, /^OutOfMemoryError: the worker that ran hold\(\) was ended because memory runs short: /);
      assert.deepEqual(lines.slice(1), ["OutOfMemoryError", "restarted with 0"]);
    });
  });
}

it("MANTARAY_MEMORY_MONITOR_REFRESH_MS=0 ends nothing; what is no number is refused", { skip }, async () => {
  const [value, count] = linesOf(await run("thread", `
    const both = [hold.remote(1), hold.remote(2)];
    while (!isMarked("filled1") || !isMarked("filled2")) await turn();
    // Several times what passes between two looks.
    await new Promise((resolve) => setTimeout(resolve, 600));
    mark("released");
    console.log(JSON.stringify(await ray.get(both)));
    console.log(warnings.length);
  `, { MANTARAY_MEMORY_MONITOR_REFRESH_MS: "0" }));
  assert.deepEqual([value, count], ["[1,2]", "0"]);
  const { stderr, exitCode } = await run("thread", "", { MANTARAY_MEMORY_USAGE_THRESHOLD: "95" });
  assert.equal(exitCode, 1);
  assert.match(stderr, /ERR_MANTARAY_INVALID_ARGUMENT|InvalidArgumentError: .*MANTARAY_MEMORY_USAGE_THRESHOLD takes a number above 0 and up to 1.*but got '95'/);
});

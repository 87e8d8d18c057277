import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { ISOLATIONS } from "./both-isolations.ts";
import { runProgram } from "./child-program.ts";

/** Resolves with the next warning of the runtime. */
const NEXT_WARNING = `
  const nextWarning = () => new Promise((resolve) => process.once("warning", (warning) => resolve(warning.name + ": " + warning.message)));
`;

// Each is a program of its own, which waits for most of its time.
describe("what waits for resources that may never be given back", { concurrency: true }, () => {
  for (const isolation of ISOLATIONS) {
    it(`is told of, with its name, what it asks for and who has it (${isolation})`, async () => {
      const { stdout, stderr, exitCode } = await runProgram({ files: { "main.mjs": `
        import * as ray from "mantaray";
        await ray.init({ numCpus: 2, resources: { licence: 1 }, isolation: "${isolation}" });
        const holder = ray.remote(class Holder { hold() {} }, { resources: { licence: 1 } }).remote();
        await ray.get(holder.hold.remote());
        const print = ray.remote(function print() { return "printed"; }, { resources: { licence: 1 } });
        const warnings = [];
        const warnedOfBoth = new Promise((resolve) => process.on("warning", ({ name, message }) => { if (warnings.push(name + ": " + message) === 2) resolve(); }));
        const printed = print.remote();
        const second = ray.remote(class Second { hold() { return "held"; } }, { resources: { licence: 0.5 } }).remote();
        await warnedOfBoth;
        console.log(warnings.sort().join("\\n"));
        await ray.kill(holder);
        const held = await ray.get(second.hold.remote());
        await ray.kill(second);
        console.log(await ray.get(printed), held);
        await ray.shutdown();
      ` } });
      assert.equal(exitCode, 0, stderr);
      const [actor, task, results] = stdout.trimEnd().split("\n");
      assert.match(task as string, /^MantarayWarning: task print\(\) waits for 1 licence, of which the cluster has 1 and actors hold 1; /);
      assert.match(actor as string, /^MantarayWarning: actor Second waits for 0.5 licence, of which the cluster has 1 and actors hold 1; /);
      assert.equal(results, "printed held");
    });

    it(`is told of where a task waits for its own child (${isolation})`, async () => {
      const { stdout, stderr, exitCode } = await runProgram({ files: { "main.mjs": `
        import * as ray from "mantaray";
        await ray.init({ numCpus: 2, resources: { licence: 1 }, isolation: "${isolation}" });
        const inner = ray.remote(function inner() {}, { resources: { licence: 1 } });
        const outer = ray.remote(async function outer() { await ray.get(inner.remote()); }, { resources: { licence: 1 } });
        const said = new Promise((resolve) => {
          const write = process.stderr.write.bind(process.stderr);
          process.stderr.write = (text, ...rest) => { if (/licence/.test(text)) resolve(text); return write(text, ...rest); };
        });
        void outer.remote();
        console.log(await said);
        await ray.shutdown();
      ` } });
      assert.equal(exitCode, 0, stderr);
      assert.match(stdout, /task inner\(\) waits for 1 licence, of which the cluster has 1 and tasks that wait for objects keep 1/);
    });

    it(`fails at once where the machine never has so much, and is told of also if nobody asks (${isolation})`, async () => {
      const { stdout, stderr, exitCode } = await runProgram({ files: { "main.mjs": `
        import * as ray from "mantaray";
        ${NEXT_WARNING}
        await ray.init({ numCpus: 2, numGpus: 0, memory: 1e9, isolation: "${isolation}" });
        const train = ray.remote(function train() {}, { numGpus: 2, memory: 2e9 });
        const warned = nextWarning();
        const refs = [train.remote(), train.remote(), train.remote()];
        console.log(await warned);
        for (const ref of refs) console.log((await ref.get().catch((error) => error)).name);
        const actorWarned = nextWarning();
        const model = ray.remote(class Model { use() {} }, { resources: { unicorn: 1 } }).remote();
        console.log(await actorWarned);
        console.log((await model.use.remote().get().catch((error) => error)).name);
        await ray.shutdown();
      ` } });
      assert.equal(exitCode, 0, stderr);
      const [task, first, second, third, actor, call] = stdout.trimEnd().split("\n");
      assert.match(task as string, /^MantarayWarning: task train\(\) needs 2 GPU, but the cluster has none; 2000000000 memory, but the cluster has 1000000000, so it can never run here.* \(3 tasks\)$/);
      assert.deepEqual([first, second, third], ["TaskUnschedulableError", "TaskUnschedulableError", "TaskUnschedulableError"]);
      assert.match(actor as string, /^MantarayWarning: actor Model needs 1 unicorn, but the cluster has none, so it can never start here/);
      assert.equal(call, "ActorUnschedulableError");
    });
  }
});

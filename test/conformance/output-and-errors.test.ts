import assert from "node:assert/strict";
import { describe, it } from "node:test";
import * as ray from "mantaray";
import { areThreadsHere, ISOLATIONS_ALONE, underBothIsolations } from "./both-isolations.ts";
import { runProgram } from "./child-program.ts";

class QuotaError extends RangeError {
  readonly used: number;
  constructor(used: number) {
    super(`${used} is too much`);
    this.name = "QuotaError";
    this.used = used;
  }
}

underBothIsolations("errors of tasks", {}, (isolation) => {
  it("carry what was thrown, of the program's own class, and where", async () => {
    const consume = ray.remote(function consume(used: number): number { throw new QuotaError(used); });
    const ref = consume.remote(7);
    await assert.rejects(ray.get(ref), (error: unknown) => {
      assert.ok(error instanceof ray.TaskError && error instanceof ray.RayError && error instanceof Error);
      assert.equal(error.name, "TaskError");
      assert.equal(error.code, "ERR_MANTARAY_TASK");
      assert.equal(error.functionName, "consume");
      assert.equal(error.taskId, ref.taskId());
      assert.equal(error.pid === process.pid, areThreadsHere(isolation));
      assert.match(error.message, /consume\(\) failed: 7 is too much/);
      assert.ok(error.cause instanceof QuotaError && error.cause instanceof RangeError);
      assert.equal(error.cause.used, 7);
      return true;
    });
  });

  it("show the name given to the call", async () => {
    const fails = ray.remote(() => { throw new Error("no"); }, { name: "special" });
    await assert.rejects(ray.get(fails.remote()), (error: unknown) => error instanceof ray.TaskError && error.functionName === "special");
  });

  it("pass through nested tasks, with every cause", async () => {
    const inner = ray.remote(function inner(): number { throw new QuotaError(1); });
    const outer = ray.remote(async function outer() { return ray.get(inner.remote()); });
    await assert.rejects(ray.get(outer.remote()), (error: unknown) => {
      assert.ok(error instanceof ray.TaskError && error.functionName === "outer");
      assert.ok(error.cause instanceof ray.TaskError && error.cause.functionName === "inner");
      assert.ok(error.cause.cause instanceof QuotaError);
      return true;
    });
  });

  it("of methods name the class, and leave the actor running", async () => {
    class Account { balance = 0; withdraw(amount: number) { if (amount > this.balance) throw new QuotaError(amount); return this.balance -= amount; } }
    const account = ray.remote(Account).remote();
    await assert.rejects(ray.get(account.withdraw.remote(5)), (error: unknown) => error instanceof ray.TaskError && error.functionName === "Account.withdraw" && error.cause instanceof QuotaError);
    assert.equal(await ray.get(account.withdraw.remote(0)), 0);
    account.release();
  });
});

const failing = (annotation: string): string => `import * as ray from "mantaray";

function helper(depth${annotation}) {
  if (depth === 0) throw new RangeError("deep inside");
  return helper(depth - 1);
}

const fails = ray.remote(function fails() {
  return helper(2);
});

async function caller() {
  const ref = fails.remote();
  return ray.get(ref);
}

try {
  await caller();
} catch (error${annotation === "" ? "" : ": any"}) {
  console.log(error.stack);
}
await ray.shutdown();
`;
/** Line and column in that program. */
const PLACES = { throws: "4:26", recurs: "5:10", fails: "9:10", calls: "13:" };

describe("the stack of a task's error", () => {
  for (const [file, annotation] of [["main.mjs", ""], ["main.ts", ": number"]] as const) {
    for (const isolation of ISOLATIONS_ALONE) {
      it(`shows the user's lines, then where it was called from: ${file} (${isolation})`, async () => {
        const { stdout, stderr, exitCode } = await runProgram({ files: { [file]: failing(annotation).replace("function helper", `await ray.init({ numCpus: 1, isolation: "${isolation}" });\nfunction helper`).replace("\n\n", "\n") } });
        assert.equal(exitCode, 0, stderr);
        const place = (where: string): RegExp => new RegExp(`${file.replace(".", "\\.")}:${where}`);
        const [remote, site] = stdout.split("called from:");
        assert.ok(site !== undefined, stdout);
        assert.match(stdout, /^TaskError: fails\(\) failed: deep inside\n\s+RangeError: deep inside\n/);
        assert.match(remote as string, place(PLACES.throws));
        assert.match(remote as string, place(PLACES.recurs));
        assert.match(remote as string, place(PLACES.fails));
        assert.match(site, place(PLACES.calls));
        assert.doesNotMatch(stdout, /dist\/|node:|esbuild|evalmachine|mantaray-\d/);
      });
    }
  }
});

describe("what workers print", () => {
  for (const isolation of ISOLATIONS_ALONE) {
    it(`appears at the driver with the task's name, on the same stream (${isolation})`, async () => {
      const { stdout, stderr, exitCode } = await runProgram({ files: { "main.mjs": `
        import * as ray from "mantaray";
        await ray.init({ numCpus: 1, isolation: "${isolation}" });
        const speak = ray.remote(function speak(text) { console.log(text, { list: [1] }); console.error("to stderr"); process.stdout.write("two\\nlines\\n"); return process.pid; });
        const Parrot = ray.remote(class Parrot { say(text) { console.log(text); } async later(text) { await null; console.log(text); } });
        console.log("pid", await ray.get(speak.remote("hello")));
        const parrot = Parrot.remote();
        await ray.get(parrot.say.remote("squawk"));
        await ray.get(parrot.later.remote("pieces of eight"));
        await ray.get(speak.options({ name: "special" }).remote("named"));
        await ray.shutdown();
      ` } });
      assert.equal(exitCode, 0, stderr);
      const pid = /^pid (\d+)$/m.exec(stdout)?.[1] as string;
      for (const line of [`(speak pid=${pid}) hello { list: [ 1 ] }`, `(speak pid=${pid}) two`, `(speak pid=${pid}) lines`]) assert.ok(stdout.split("\n").includes(line), `${line}\nis missing in\n${stdout}`);
      assert.match(stdout, /^\(special pid=\d+\) named \{ list: \[ 1 \] \}$/m);
      assert.match(stdout, /^\(Parrot pid=\d+\) squawk$/m);
      assert.match(stdout, /^\(Parrot pid=\d+\) pieces of eight$/m);
      assert.match(stderr, new RegExp(`^\\(speak pid=${pid}\\) to stderr$`, "m"));
    });

    it(`folds repeats (${isolation})`, async () => {
      const { stdout } = await runProgram({ files: { "main.mjs": `
        import * as ray from "mantaray";
        await ray.init({ numCpus: 2, isolation: "${isolation}" });
        const speak = ray.remote(function speak() { console.log("the same"); });
        await ray.get(Array.from({ length: 50 }, () => speak.remote()));
        await ray.shutdown();
      ` } });
      const lines = stdout.trimEnd().split("\n");
      assert.match(lines[0] as string, /^\(speak pid=\d+\) the same$/);
      assert.match(lines[1] as string, /^\(speak pid=\d+\) the same \[repeated 49x\]$/);
      assert.equal(lines.length, 2);
    });

    it(`arrives although the worker ends right after it (${isolation})`, async () => {
      const { stdout } = await runProgram({ files: { "main.mjs": `
        import * as ray from "mantaray";
        await ray.init({ numCpus: 1, isolation: "${isolation}" });
        const last = ray.remote(function last() { console.log("last words"); process.exit(1); }, { maxRetries: 0 });
        await ray.get(last.remote()).catch((error) => console.log(error.name));
        await ray.shutdown();
      ` } });
      assert.match(stdout, /^\(last pid=\d+\) last words$/m);
      assert.match(stdout, /^WorkerCrashedError$/m);
    });

    it(`is whole lines: characters and lines that come in pieces are put together, and the last one needs no end (${isolation})`, async () => {
      const { stdout, stderr, exitCode } = await runProgram({ files: { "main.mjs": `
        import * as ray from "mantaray";
        await ray.init({ numCpus: 1, isolation: "${isolation}" });
        const speak = ray.remote(async function speak() {
          for (const byte of Buffer.from("5 € and 😀\\n")) {
            process.stdout.write(Uint8Array.of(byte));
            await null;
          }
          process.stdout.write("aGV4", "base64");
          process.stdout.write("\\none\\n\\nmore");
        });
        await ray.get(speak.remote());
        await ray.shutdown();
      ` } });
      assert.equal(exitCode, 0, stderr);
      assert.deepEqual(stdout.split("\n").map((line) => line.replace(/^\(\w+ pid=\d+\) /, "")), ["5 € and 😀", "hex", "one", "", "more", ""]);
    });

    it(`has what ended a worker though nobody waits for it (${isolation})`, async () => {
      const { stderr, exitCode } = await runProgram({ files: { "main.mjs": `
        import * as ray from "mantaray";
        await ray.init({ numCpus: 1, isolation: "${isolation}" });
        class Bomb { light(how) { setImmediate(() => { if (how === "throw") throw new RangeError("thrown by nobody's call"); void Promise.reject(new RangeError("rejected for nobody")); }); } ping() {} }
        const type = ray.remote(Bomb, { numCpus: 0 });
        for (const how of ["throw", "reject"]) {
          const bomb = type.remote();
          await ray.get(bomb.light.remote(how));
          while (await ray.get(bomb.ping.remote()).then(() => true, () => false));
        }
        await ray.shutdown();
      ` } });
      assert.equal(exitCode, 0, stderr);
      assert.match(stderr, /^\(Bomb pid=\d+\) This worker ends by an uncaught exception: RangeError: thrown by nobody's call\n\(Bomb pid=\d+\) +at .*main\.mjs:/m);
      assert.match(stderr, /^\(Bomb pid=\d+\) This worker ends by an unhandled rejection: RangeError: rejected for nobody$/m);
    });

    it(`stays there with logToDriver: false (${isolation})`, async () => {
      const { stdout, exitCode } = await runProgram({ files: { "main.mjs": `
        import * as ray from "mantaray";
        await ray.init({ numCpus: 1, isolation: "${isolation}", logToDriver: false });
        await ray.get(ray.remote(function speak() { console.log("unheard"); }).remote());
        await ray.shutdown();
        console.log("end");
      ` } });
      assert.equal(exitCode, 0);
      assert.doesNotMatch(stdout, /pid=/);
      assert.match(stdout, /end\n$/);
    });
  }
});

describe("a worker that runs out of heap", () => {
  for (const isolation of ISOLATIONS_ALONE) {
    it(`fails its task with the cause, and others go on (${isolation})`, async () => {
      const { stdout, stderr, exitCode } = await runProgram({
        environment: { NODE_OPTIONS: "--max-old-space-size=96" },
        files: { "main.mjs": `
          import * as ray from "mantaray";
          await ray.init({ numCpus: 2, isolation: "${isolation}" });
          const hoard = ray.remote(function hoard() { let last = null; for (let number = 0; ; number++) last = { number, last }; });
          const twice = ray.remote((value) => value * 2);
          const hoarded = ray.get(hoard.remote()).catch((error) => console.log(error.name, /hoard\\(\\).*heap/.test(error.message), error.message));
          console.log(await ray.get(twice.remote(2)));
          await hoarded;
          console.log(await ray.get([twice.remote(3), twice.remote(4)]));
          await ray.shutdown();
        ` },
      });
      assert.equal(exitCode, 0, stderr);
      assert.match(stdout, /^4$/m);
      assert.match(stdout, /^WorkerCrashedError true/m);
      assert.match(stdout, /^\[ 6, 8 \]$/m);
    });
  }
});

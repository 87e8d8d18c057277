import assert from "node:assert/strict";
import { describe, it } from "node:test";
import * as ray from "mantaray";
import { everythingFree, ISOLATIONS_ALONE, underBothIsolations } from "./both-isolations.ts";

const readEnv = ray.remote((...names: string[]) => names.map((name) => process.env[name]));

class Reader {
  read(...names: string[]): (string | undefined)[] {
    return names.map((name) => process.env[name]);
  }
  context(): ray.RuntimeEnv {
    return ray.getRuntimeContext().runtimeEnv;
  }
}
const Readers = ray.remote(Reader);

underBothIsolations("runtime environments", {}, () => {
  it("sets variables for a task and for an actor, and for nobody else", async () => {
    const runtimeEnv = { envVars: { GREETING: "hello", EMPTY: "" } };
    assert.deepEqual(await ray.get(readEnv.options({ runtimeEnv }).remote("GREETING", "EMPTY")), ["hello", ""]);
    const reader = Readers.options({ runtimeEnv }).remote();
    assert.deepEqual(await ray.get(reader.read.remote("GREETING", "PATH")), ["hello", process.env["PATH"]]);
    assert.deepEqual(await ray.get(readEnv.remote("GREETING")), [undefined]);
    assert.equal(process.env["GREETING"], undefined);
    await ray.kill(reader);
  });

  it("runs tasks of one environment on the same workers, and those of others elsewhere", async () => {
    const where = ray.remote(() => [ray.getRuntimeContext().workerId, process.env["COLOUR"]]);
    const red = where.options({ runtimeEnv: { envVars: { COLOUR: "red" } } });
    const blue = where.options({ runtimeEnv: { envVars: { COLOUR: "blue" } } });
    const all = await ray.get(Array.from({ length: 60 }, (_, index) => [where, red, blue][index % 3]!.remote()));
    const colours = new Map<string, Set<string | undefined>>();
    for (const [workerId, colour] of all) colours.set(workerId!, (colours.get(workerId!) ?? new Set()).add(colour));
    for (const seen of colours.values()) assert.equal(seen.size, 1, "a worker is of one environment");
    assert.deepEqual(all.map(([, colour]) => colour), Array.from({ length: 60 }, (_, index) => [undefined, "red", "blue"][index % 3]));
  });

  it("takes equal environments for the same one", async () => {
    const where = ray.remote(() => ray.getRuntimeContext().workerId);
    const greens = [1, 2].map(() => where.options({ runtimeEnv: { envVars: { COLOUR: "green" } } }));
    const refs = greens.flatMap((green) => Array.from({ length: 60 }, () => green.remote()));
    const workers = await ray.get(refs);
    const first = new Set(workers.slice(0, 60));
    assert.equal(workers.slice(60).some((workerId) => first.has(workerId)), true, "whoever runs the last of one goes on with the other");
  });

  it("is inherited by what tasks and actors start, key by key, and theirs win", async () => {
    const nested = ray.remote(async () => {
      const plain = await ray.get(readEnv.remote("A", "B"));
      const changed = await ray.get(readEnv.options({ runtimeEnv: { envVars: { B: "child", C: "new" } } }).remote("A", "B", "C"));
      const actor = Readers.options({ runtimeEnv: { envVars: { A: "actor" } } }).remote();
      const context = await ray.get(actor.context.remote());
      return { plain, changed, context };
    });
    const { plain, changed, context } = await ray.get(nested.options({ runtimeEnv: { envVars: { A: "parent", B: "parent" }, config: { setupTimeoutMs: 300_000 } } }).remote());
    assert.deepEqual(plain, ["parent", "parent"]);
    assert.deepEqual(changed, ["parent", "child", "new"]);
    assert.deepEqual(context, { envVars: { A: "actor", B: "parent" }, config: { setupTimeoutMs: 300_000 } });
  });

  it("decides how many helper threads V8 has in worker processes, which otherwise have one", async () => {
    const poolSize = ray.remote(() => process.execArgv.find((option) => option.startsWith("--v8-pool-size")) ?? null, { isolation: "process" });
    const chosen = poolSize.options({ runtimeEnv: { envVars: { NODE_OPTIONS: "--v8-pool-size=2" } } });
    assert.deepEqual(await ray.get([poolSize.remote(), chosen.remote()]), ["--v8-pool-size=1", null]);
  });

  it("is the same again when an actor is restarted", async () => {
    class Fragile {
      value(): string | undefined {
        return process.env["KEPT"];
      }
      crash(): void {
        process.exit(1);
      }
    }
    const fragile = ray.remote(Fragile).options({ maxRestarts: 1, runtimeEnv: { envVars: { KEPT: "yes" } } }).remote();
    assert.equal(await ray.get(fragile.value.remote()), "yes");
    await assert.rejects(ray.get(fragile.crash.remote()), ray.ActorError);
    await ray.get(fragile.ready());
    assert.equal(await ray.get(fragile.value.remote()), "yes");
    await ray.kill(fragile);
  });

  it("shows in the runtime context, which is empty without one", async () => {
    const context = ray.remote(() => ray.getRuntimeContext().runtimeEnv);
    assert.deepEqual(await ray.get(context.remote()), {});
    assert.deepEqual(await ray.get(context.options({ runtimeEnv: { envVars: { X: "1" } } }).remote()), { envVars: { X: "1" } });
    assert.deepEqual(ray.getRuntimeContext().runtimeEnv, {});
  });

  it("is refused at the call if it has an unknown field or a wrong value", () => {
    const refused = (runtimeEnv: unknown, message: RegExp): void => {
      for (const call of [() => readEnv.options({ runtimeEnv } as ray.TaskOptions), () => Readers.options({ runtimeEnv } as ray.ActorOptions)]) {
        assert.throws(call, (error: Error) => error instanceof ray.InvalidArgumentError && message.test(error.message));
      }
    };
    refused({ env_vars: { A: "1" } }, /runtimeEnv of .* has no option 'env_vars'; did you mean 'envVars'/);
    refused({ pip: ["numpy"] }, /has no option 'pip'/);
    refused({ envVars: { A: 1 } }, /'envVars' of runtimeEnv of .* must be an object whose 'A' is a string/);
    refused({ envVars: { "A=B": "1" } }, /"A=B", which cannot be that of an environment variable/);
    refused({ config: { setupTimeoutSeconds: 1 } }, /'setupTimeoutSeconds' \(options: setupTimeoutMs\)/);
    refused("production", /'runtimeEnv' of .* must be an object/);
  });

  it("fails with RuntimeEnvSetupError where no worker can start in it, for tasks and actors, each time; the rest goes on", async () => {
    const runtimeEnv = { envVars: { NODE_OPTIONS: "--no-such-option" } };
    const broken = readEnv.options({ runtimeEnv });
    for (let attempt = 0; attempt < 2; attempt++) {
      await assert.rejects(ray.get(broken.remote("PATH")), (error: Error) => error instanceof ray.RuntimeEnvSetupError && /readEnv|anonymous/.test(error.message) && /NODE_OPTIONS|no-such-option/.test(error.message));
    }
    const actor = Readers.options({ runtimeEnv }).remote();
    await assert.rejects(ray.get(actor.read.remote("PATH")), ray.RuntimeEnvSetupError);
    await assert.rejects(ray.get(actor.ready()), ray.RuntimeEnvSetupError);
    assert.deepEqual(await ray.get(readEnv.remote("PATH")), [process.env["PATH"]]);
  });
});

for (const isolation of ISOLATIONS_ALONE) {
  describe(`a runtime environment for a whole program (${isolation})`, () => {
    it("is that of all tasks and actors, but not of the program itself", async () => {
      await ray.init({ numCpus: 2, isolation, runtimeEnv: { envVars: { STAGE: "test", LEVEL: "1" } } });
      assert.equal(process.env["STAGE"], undefined);
      assert.deepEqual(ray.getRuntimeContext().runtimeEnv, { envVars: { STAGE: "test", LEVEL: "1" } });
      assert.deepEqual(await ray.get(readEnv.remote("STAGE", "LEVEL")), ["test", "1"]);
      assert.deepEqual(await ray.get(readEnv.options({ runtimeEnv: { envVars: { LEVEL: "2" } } }).remote("STAGE", "LEVEL")), ["test", "2"]);
      const reader = Readers.remote();
      assert.deepEqual(await ray.get(reader.read.remote("STAGE")), ["test"]);
      await ray.kill(reader);
      await everythingFree();
      await ray.shutdown();
    });

    it("is refused by init() if it is wrong", async () => {
      await assert.rejects(ray.init({ isolation, runtimeEnv: { envVar: {} } as ray.RuntimeEnv }), (error: Error) => error instanceof ray.InvalidArgumentError && /did you mean 'envVars'/.test(error.message));
      assert.equal(ray.isInitialized(), false);
    });
  });
}

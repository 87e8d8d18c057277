import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, realpathSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, dirname, join } from "node:path";
import { after, describe, it } from "node:test";
import { pathToFileURL } from "node:url";
import * as ray from "mantaray";
import { everythingFree, ISOLATIONS_ALONE, underBothIsolations } from "./both-isolations.ts";

const root = realpathSync(mkdtempSync(join(tmpdir(), "mantaray-test-")));
after(() => rmSync(root, { recursive: true, force: true }));

function folder(name: string, files: Record<string, string>): string {
  for (const [path, content] of Object.entries(files)) {
    mkdirSync(dirname(join(root, name, path)), { recursive: true });
    writeFileSync(join(root, name, path), content);
  }
  return join(root, name);
}

const readHere = ray.remote(async (path: string) => {
  const { readFile } = await import("node:fs/promises");
  return readFile(path, "utf8");
});
const here = ray.remote(() => process.cwd());

underBothIsolations("working directories", {}, () => {
  it("are shipped: a task and an actor find the files there, as they were at the first call, and work in that folder", async () => {
    const workingDir = folder("job", { "data/input.txt": "42", "debug.log": "noise", ".gitignore": "*.log\n", "secret.txt": "s" });
    const read = readHere.options({ runtimeEnv: { workingDir, excludes: ["secret.txt"] } });
    assert.equal(await ray.get(read.remote("data/input.txt")), "42");
    writeFileSync(join(workingDir, "data/input.txt"), "changed");
    assert.equal(await ray.get(read.remote("data/input.txt")), "42");
    for (const left of ["debug.log", "secret.txt"]) await assert.rejects(ray.get(read.remote(left)), (error: ray.TaskError) => (error.cause as NodeJS.ErrnoException).code === "ENOENT");
    class Worker {
      where(): (string | undefined)[] {
        return [process.cwd(), process.env["PWD"]];
      }
    }
    const actor = ray.remote(Worker).options({ runtimeEnv: { workingDir, excludes: ["secret.txt"] } }).remote();
    const [cwd, pwd] = await ray.get(actor.where.remote());
    assert.equal(cwd, pwd);
    assert.deepEqual([cwd === process.cwd(), cwd === workingDir], [false, false]);
    assert.equal(await ray.get(here.remote()), process.cwd(), "others stay where they are");
    await ray.kill(actor);
  });

  it("are inherited by nested tasks, also as what a captured function was given", async () => {
    const workingDir = folder("nested", { "name.txt": "nested" });
    // On another node it is another folder, named by the same content.
    const nested = ray.remote(async () => [await ray.get(readHere.remote("name.txt")), basename(process.cwd()) === basename(await ray.get(here.remote()))]);
    assert.deepEqual(await ray.get(nested.options({ runtimeEnv: { workingDir } }).remote()), ["nested", true]);
    const captured = readHere.options({ runtimeEnv: { workingDir } });
    const passing = ray.remote(async () => ray.get(captured.remote("name.txt")));
    assert.equal(await ray.get(passing.remote()), "nested");
  });

  it("hold modules: by path from there, by relative import, by require, and packages in them", async () => {
    const workingDir = folder("modules", {
      "lib/tool.mjs": 'import { base } from "./base.mjs"; export const tool = () => base + 1;',
      "lib/base.mjs": "export const base = 41;",
      "old.cjs": "module.exports = { old: require('./lib/data.json').old };",
      "lib/data.json": '{ "old": true }',
      "node_modules/shipped-package/package.json": '{ "name": "shipped-package", "version": "1.2.3", "main": "main.cjs" }',
      "node_modules/shipped-package/main.cjs": "exports.version = require('./package.json').version;",
    });
    const load = ray.remote(async () => {
      const { pathToFileURL: urlOf } = await import("node:url");
      const { createRequire } = await import("node:module");
      const relative = "./lib/tool.mjs";
      const shipped = "shipped-package";
      const byPath = (await import(urlOf("lib/tool.mjs").href)) as { tool(): number };
      const byRelative = (await import(relative)) as { tool(): number };
      const byRequire = createRequire(`${process.cwd()}/x.js`)("./old.cjs") as { old: boolean };
      const byName = (await import(shipped)) as { version: string };
      return [byPath.tool(), byRelative.tool(), byPath.tool === byRelative.tool, byRequire.old, byName.version];
    });
    assert.deepEqual(await ray.get(load.options({ runtimeEnv: { workingDir } }).remote()), [42, 42, true, true, "1.2.3"]);
    await assert.rejects(ray.get(load.remote()), ray.TaskError);
  });

  it("come from archives too, and by the name that the context says", async () => {
    folder("packed", { "app/inside.txt": "packed" });
    execFileSync("tar", ["-czf", join(root, "app.tgz"), "-C", join(root, "packed"), "app"]);
    for (const workingDir of [join(root, "app.tgz"), pathToFileURL(join(root, "app.tgz")).href]) {
      assert.equal(await ray.get(readHere.options({ runtimeEnv: { workingDir } }).remote("inside.txt")), "packed");
    }
    const context = ray.remote(() => ray.getRuntimeContext().runtimeEnv);
    const { workingDir } = await ray.get(context.options({ runtimeEnv: { workingDir: join(root, "app.tgz") } }).remote());
    assert.equal(await ray.get(readHere.options({ runtimeEnv: { workingDir: workingDir! } }).remote("inside.txt")), "packed");
  });

  it("that cannot be had are RuntimeEnvSetupError of the ref, with the part and the path", async () => {
    const failing = async (workingDir: string, message: RegExp): Promise<void> => {
      const isIt = (error: Error): boolean => error instanceof ray.RuntimeEnvSetupError && /workingDir/.test(error.message) && message.test(error.message);
      await assert.rejects(ray.get(here.options({ runtimeEnv: { workingDir } }).remote()), isIt);
      await assert.rejects(ray.get(ray.remote(class Nobody {}).options({ runtimeEnv: { workingDir } }).remote().ready()), isIt);
    };
    await failing(join(root, "missing"), /missing' does not exist/);
    writeFileSync(join(root, "broken.tgz"), "no archive");
    await failing(join(root, "broken.tgz"), /no tar archive|broken/);
    await failing("https://example.org/app.zip", /not supported; give a folder, or an archive/);
    assert.equal(await ray.get(here.remote()), process.cwd());
  });

  it("are refused for threads, which cannot have a folder of their own, and excludes without one", () => {
    const runtimeEnv = { workingDir: folder("thread", { "a.txt": "A" }) };
    assert.throws(() => here.options({ isolation: "thread", runtimeEnv }).remote(), (error: Error) => error instanceof ray.InvalidArgumentError && /isolation 'thread' and.* workingDir.*use 'process'/.test(error.message));
    assert.throws(() => here.options({ runtimeEnv: { excludes: ["a"] } }), (error: Error) => error instanceof ray.InvalidArgumentError && /'excludes'.*'workingDir'/.test(error.message));
  });
});

for (const isolation of ISOLATIONS_ALONE) {
  describe(`a working directory for a whole program (${isolation})`, () => {
    it("is where all its tasks work; nothing of it is left", async () => {
      const workingDir = folder("program", { "setting.txt": "for all" });
      const { sessionDir } = await ray.init({ numCpus: 2, isolation, runtimeEnv: { workingDir } });
      assert.equal(await ray.get(readHere.remote("setting.txt")), "for all");
      const nested = ray.remote(() => ray.get(readHere.remote("setting.txt")));
      assert.equal(await ray.get(nested.remote()), "for all");
      assert.equal((await ray.get(here.remote())).startsWith(sessionDir), true);
      assert.equal(readFileSync(join(workingDir, "setting.txt"), "utf8"), "for all");
      await everythingFree();
      await ray.shutdown();
      assert.throws(() => readdirSync(sessionDir), { code: "ENOENT" });
    });

    it("that is not there is an error of init(), which leaves nothing", async () => {
      await assert.rejects(ray.init({ isolation, runtimeEnv: { workingDir: join(root, "missing") } }), ray.RuntimeEnvSetupError);
      assert.equal(ray.isInitialized(), false);
    });
  });
}

// No package comes over the network: all are folders and archives of this test, and the registry is a port nobody listens on.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, realpathSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { after, before, it } from "node:test";
import * as ray from "mantaray";
import { eventually, underBothIsolations } from "./both-isolations.ts";

const root = realpathSync(mkdtempSync(join(tmpdir(), "mantaray-test-")));
const cache = join(root, "cache");
const settings = { MANTARAY_CACHE_DIR: cache, npm_config_registry: "http://127.0.0.1:9/", npm_config_fetch_retries: "0", npm_config_cache: join(root, "npm-cache") };
const original = { ...process.env };
before(() => void Object.assign(process.env, settings));
after(() => {
  for (const name of Object.keys(settings)) {
    if (original[name] === undefined) delete process.env[name];
    else process.env[name] = original[name];
  }
  rmSync(root, { recursive: true, force: true });
});

function makePackage(folder: string, manifest: object, files: Record<string, string>): string {
  for (const [path, content] of Object.entries({ ...files, "package.json": JSON.stringify({ version: "1.0.0", ...manifest }) })) {
    mkdirSync(dirname(join(root, folder, path)), { recursive: true });
    writeFileSync(join(root, folder, path), content);
  }
  return join(root, folder);
}

const installed = join(root, "installed.txt");
const counting = makePackage("counting", { name: "counting", type: "module", exports: "./index.js", scripts: { install: `node -e "fs.appendFileSync(${JSON.stringify(installed).replaceAll('"', "'")}, '.')"` } }, { "index.js": 'export const count = (text) => text.length;' });
const versionOf = (version: string): string => makePackage(`versioned-${version}`, { name: "versioned", version, main: "main.js" }, { "main.js": 'module.exports = require("./package.json").version;' });

/** One that has ended and that nobody has asked for its exit code does not run. */
function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return !existsSync(`/proc/${pid}/stat`) || !/\) Z /.test(readFileSync(`/proc/${pid}/stat`, "utf8"));
  } catch {
    return false;
  }
}

const load = ray.remote(async (name: string) => {
  const { createRequire } = await import("node:module");
  const imported = ((await import(name)) as { default: unknown }).default;
  return [imported, createRequire(`${process.cwd()}/program.js`)(name) as unknown];
});

underBothIsolations("npm packages", {}, (isolation) => {
  it("are installed before the first task and for all of them at once, and kept for later programs", async () => {
    const count = ray.remote(async (text: string) => {
      const name = "counting";
      return ((await import(name)) as { count(value: string): number }).count(text);
    });
    const runtimeEnv = { npm: [counting] };
    class Counter {
      async count(): Promise<number> {
        const name = "counting";
        return ((await import(name)) as { count(value: string): number }).count("actor");
      }
    }
    const counter = ray.remote(Counter).options({ runtimeEnv }).remote();
    const results = await ray.get([...Array.from({ length: 6 }, (_, index) => count.options({ runtimeEnv }).remote("x".repeat(index))), counter.count.remote()]);
    assert.deepEqual(results, [0, 1, 2, 3, 4, 5, 5]);
    assert.equal(readFileSync(installed, "utf8"), ".", `one install in all, also under ${isolation} isolation`);
    await assert.rejects(ray.get(count.remote("x")), ray.TaskError);
    await ray.kill(counter);
  });

  it("are those of the task's environment, in whatever version, by import and by require", async () => {
    const [old, current] = [versionOf("1.0.0"), versionOf("2.0.0")];
    const results = await ray.get([old, current, old].map((path) => load.options({ runtimeEnv: { npm: { packages: [`versioned@file:${path}`] } } }).remote("versioned")));
    assert.deepEqual(results, [["1.0.0", "1.0.0"], ["2.0.0", "2.0.0"], ["1.0.0", "1.0.0"]]);
  });

  it("come before packages of the same name that the program has, but not for the packages of the program", async () => {
    const acorn = makePackage("acorn", { name: "acorn", version: "0.0.1", main: "main.js" }, { "main.js": 'module.exports = "not the parser";' });
    const mine = await ray.get(load.options({ runtimeEnv: { npm: [acorn] } }).remote("acorn"));
    assert.deepEqual(mine, ["not the parser", "not the parser"]);
    const nested = ray.remote(async () => {
      const inner = ray.remote(() => "captured and run");
      return ray.get(inner.remote());
    });
    assert.equal(await ray.get(nested.options({ runtimeEnv: { npm: [acorn] } }).remote()), "captured and run");
  });

  it("may be archives of npm pack", async () => {
    execFileSync("npm", ["pack", "--silent", "--pack-destination", root], { cwd: versionOf("3.1.4"), stdio: "pipe" });
    assert.deepEqual(await ray.get(load.options({ runtimeEnv: { npm: [join(root, "versioned-3.1.4.tgz")] } }).remote("versioned")), ["3.1.4", "3.1.4"]);
  });

  it("that cannot be installed fail with what npm said, each time, and leave nothing half done", async () => {
    const broken = load.options({ runtimeEnv: { npm: ["no-such-package@1.0.0"] } });
    for (let attempt = 0; attempt < 2; attempt++) {
      await assert.rejects(ray.get(broken.remote("no-such-package")), (error: Error) => error instanceof ray.RuntimeEnvSetupError && /npm: npm ended with code 1[^]*ECONNREFUSED/.test(error.message));
    }
    const missing = ray.remote(class Nobody {}).options({ runtimeEnv: { npm: ["./no-such-folder"] } }).remote();
    await assert.rejects(ray.get(missing.ready()), (error: Error) => error instanceof ray.RuntimeEnvSetupError && /npm: .*no-such-folder' does not exist/.test(error.message));
    assert.deepEqual(readdirSync(join(cache, "npm")).filter((name) => name.includes("unfinished")), []);
  });

  it("that take too long to install fail after setupTimeoutMs, and what was started for them ends", async () => {
    const started = join(root, `started-${isolation}`);
    const slow = makePackage(`slow-${isolation}`, { name: "slow", scripts: { install: "node wait.cjs" } }, { "wait.cjs": `require("fs").writeFileSync(${JSON.stringify(started)}, String(process.pid)); setInterval(() => undefined, 1000);` });
    const hasStarted = load.options({ runtimeEnv: { npm: [slow], config: { setupTimeoutMs: 4000 } } }).remote("slow");
    await assert.rejects(ray.get(hasStarted), (error: Error) => error instanceof ray.RuntimeEnvSetupError && /npm: it was not ready within 4000 ms/.test(error.message));
    if (existsSync(started)) await eventually("the install script to end", () => !isRunning(Number(readFileSync(started, "utf8"))));
  });
});

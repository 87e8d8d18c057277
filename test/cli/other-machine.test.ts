import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { after, before, describe, it } from "node:test";
import { eventually } from "../conformance/both-isolations.ts";
import { Place } from "./command.ts";

const cannotMount = process.platform !== "linux" || spawnSync("unshare", ["--map-root-user", "--mount", "true"]).status !== 0 ? "needs Linux, and the right to mount" : false;

/** The second node sees nothing of the programs' folder, as a machine of its own would. */
describe("a node on another machine", { skip: cannotMount }, () => {
  let place: Place;
  let address: string;
  before(async () => {
    place = new Place();
    ({ address } = await place.head("--num-cpus", "1"));
    const joined = place.startElsewhere(["start", "--address", address, "--num-cpus", "1", "--resources", '{"far": 1}', "--block"]);
    await joined.wrote(/has joined/);
  });
  after(() => place.remove());

  function write(files: Readonly<Record<string, string>>): void {
    for (const [name, source] of Object.entries(files)) {
      mkdirSync(dirname(join(place.programs, name)), { recursive: true });
      writeFileSync(join(place.programs, name), source);
    }
  }

  async function output(entry: string, files: Readonly<Record<string, string>>): Promise<unknown[]> {
    write(files);
    const { exitCode, stdout, stderr } = await place.run("run", "--address", address, join(place.programs, entry));
    assert.equal(exitCode, 0, stderr);
    return stdout.trim().split("\n").map((line) => JSON.parse(line) as unknown);
  }

  it("runs tasks and actors with the program's modules and packages, from source", async () => {
    const lines = await output("modules/main.ts", {
      "modules/main.ts": `
        import * as ray from "mantaray";
        import { existsSync } from "node:fs";
        import { label, Level } from "./lib/label.ts";
        import { next } from "./lib/count.js";
        const say = (value: unknown) => console.log(JSON.stringify(value));
        const far = { resources: { far: 0.1 } };
        const own = new URL(import.meta.url).pathname;
        say(await ray.get(ray.remote(() => [existsSync(own), label(Level.High)], far).remote()));
        class Counter {
          next() { return next(); }
          async late() { return (await import("./lib/label.ts")).label(Level.Low); }
        }
        const counter = ray.remote(Counter, far).remote();
        say([await ray.get(counter.next.remote()), await ray.get(counter.late.remote()), await ray.get(counter.next.remote())]);
        // From here to there and back: what a task over there starts here finds the files where they are.
        const near = ray.remote(() => [existsSync(own), label(Level.Low)], { numCpus: 1 });
        say(await ray.get(ray.remote(async () => ray.get(near.remote()), far).remote()));`,
      "modules/lib/count.ts": "let count = 0;\nexport const next = (): number => ++count;",
      "modules/lib/label.ts": 'import { pad } from "tiny"; import { next } from "./count.ts"; export enum Level { Low, High } export const label = (level: Level): string => pad(Level[level] + next());',
      "node_modules/tiny/package.json": JSON.stringify({ name: "tiny", version: "1.0.0", main: "tiny.js" }),
      "node_modules/tiny/tiny.js": "exports.pad = (text) => `[${text}]`;",
    });
    const [task, actor, back] = lines as [[boolean, string], [number, string, number], [boolean, string]];
    assert.deepEqual([task[0], task[1].replace(/\d+/, "n")], [false, "[Highn]"]);
    const [first, label, second] = actor;
    assert.deepEqual([label, second], [`[Low${first + 1}]`, first + 2], "one instance of the module that counts");
    assert.match(back[1], /^\[Low\d+\]$/);
  });

  it("gets working directories from the program's machine", async () => {
    const lines = await output("folders/main.mjs", {
      "folders/main.mjs": `
        import * as ray from "mantaray";
        import { readFileSync } from "node:fs";
        const read = ray.remote(() => readFileSync("input.txt", "utf8")).options({ resources: { far: 0.1 }, runtimeEnv: { workingDir: new URL("./data", import.meta.url).pathname } });
        console.log(JSON.stringify(await ray.get([read.remote(), read.remote()])));`,
      "folders/data/input.txt": "from here",
    });
    assert.deepEqual(lines, [["from here", "from here"]]);
  });

  it("runs what a program brings whose files are on a third machine, also when that has left", async () => {
    const files = {
      "third/main.mjs": `
        import * as ray from "mantaray";
        import { existsSync, readFileSync } from "node:fs";
        import { name } from "./name.mjs";
        const own = new URL(import.meta.url).pathname;
        const environment = { workingDir: new URL("./data", import.meta.url).pathname };
        const task = ray.remote(() => [existsSync(own), name(), readFileSync("input.txt", "utf8")]).options({ runtimeEnv: environment });
        class Lasting { read() { return name() + readFileSync("input.txt", "utf8"); } }
        const lasting = ray.remote(Lasting).options({ name: "lasting", namespace: "third", lifetime: "detached", numCpus: 0, runtimeEnv: environment }).remote();
        console.log(JSON.stringify([await ray.get(task.remote()), await ray.get(lasting.read.remote())]));
        await ray.shutdown();`,
      "third/name.mjs": 'export const name = () => "third";',
      "third/data/input.txt": "data",
    };
    write(files);
    const { exitCode, stdout, stderr } = await place.runElsewhere(address, "third/main.mjs");
    assert.equal(exitCode, 0, stderr);
    assert.deepEqual(JSON.parse(stdout), [[false, "third", "data"], "thirddata"]);
    const lines = await output("fourth/main.mjs", {
      "fourth/main.mjs": `
        import * as ray from "mantaray";
        const lasting = await ray.getActor("lasting", "third");
        console.log(JSON.stringify(await ray.get(lasting.read.remote())));
        await ray.kill(lasting);`,
    });
    assert.deepEqual(lines, ["thirddata"]);
  });

  it("keeps modules of a program that has left, for an actor that starts again on a node without them", async () => {
    // Nodes have their folders side by side; other tests leave packages of theirs.
    const packages = (): string[] => readdirSync(place.folder).map((name) => join(place.folder, name, "packages")).flatMap((folder) => (existsSync(folder) ? readdirSync(folder) : [])).filter((name) => /^[0-9a-f]{64}\.tar$/.test(name) && !others.has(name));
    const others = new Set<string>();
    for (const name of packages()) others.add(name);
    const first = place.startElsewhere(["start", "--address", address, "--num-cpus", "0", "--resources", '{"far": 1, "first": 1}', "--block"]);
    await first.wrote(/has joined/);
    const before = await output("leaves/main.mjs", {
      "leaves/main.mjs": `
        import * as ray from "mantaray";
        import { pad } from "narrow";
        import { name } from "./lib/name.mjs";
        class Lasting { read() { return [pad(name()), ray.getRuntimeContext().nodeId]; } }
        const { nodeId } = (await ray.nodes()).find(({ resources }) => resources.first === 1);
        const lasting = ray.remote(Lasting).options({ name: "lasting", namespace: "leaves", lifetime: "detached", maxRestarts: -1, maxTaskRetries: -1, resources: { far: 0.1 }, schedulingStrategy: { type: "nodeAffinity", nodeId, soft: true } }).remote();
        console.log(JSON.stringify(await ray.get(lasting.read.remote())));
        await ray.shutdown();`,
      "leaves/lib/name.mjs": 'export const name = () => "lasting";',
      "node_modules/narrow/package.json": JSON.stringify({ name: "narrow", version: "1.0.0", main: "narrow.js" }),
      "node_modules/narrow/narrow.js": "exports.pad = (text) => `[${text}]`;",
    });
    await eventually("the head to have what the first node had", () => packages().some((name, index, all) => all.indexOf(name) !== index));
    first.child.kill("SIGKILL");
    await first.ended;
    const after = await output("comes/main.mjs", {
      "comes/main.mjs": `
        import * as ray from "mantaray";
        const lasting = await ray.getActor("lasting", "leaves");
        console.log(JSON.stringify(await ray.get(lasting.read.remote())));
        await ray.kill(lasting);`,
    });
    const [[text, there], [again, here]] = [before[0], after[0]] as [[string, string], [string, string]];
    assert.deepEqual([text, again], ["[lasting]", "[lasting]"]);
    assert.notEqual(there, here);
    await eventually("nobody to keep them", () => packages().length < 2);
  });

  it("says what cannot be brought there, or not be installed, and goes on", async () => {
    const lines = await output("native/main.mjs", {
      "native/main.mjs": `
        import * as ray from "mantaray";
        import { codec } from "./codec.mjs";
        const far = { resources: { far: 0.1 } };
        const broken = { ...far, runtimeEnv: { npm: [new URL("./broken", import.meta.url).pathname] } };
        const results = await Promise.allSettled([ray.get(ray.remote(() => codec, far).remote()), ray.get(ray.remote(() => 1, broken).remote())]);
        console.log(JSON.stringify(results.map(({ reason }) => [reason?.name, reason?.message])));
        console.log(JSON.stringify(await ray.get(ray.remote(() => "works", far).remote())));`,
      "native/broken/package.json": JSON.stringify({ name: "broken", version: "1.0.0", scripts: { install: "node -e \"process.exit(7)\"" } }),
      "native/codec.mjs": 'export { codec } from "codec";',
      "node_modules/codec/package.json": JSON.stringify({ name: "codec", version: "2.0.0", main: "codec.js" }),
      "node_modules/codec/codec.js": "exports.codec = 1;",
      "node_modules/codec/binding.gyp": "{}",
    });
    const [[[name, message], [npmName, npmMessage]], after] = lines as [[[string, string], [string, string]], string];
    assert.deepEqual([name, npmName, after], ["SerializationError", "RuntimeEnvSetupError", "works"]);
    assert.match(npmMessage, /npm: npm ended with code 7/);
    assert.match(message, /package 'codec', imported by \S*\/native\/codec\.mjs, is not there on the machine of the worker.*runtimeEnv: \{ npm: \["codec@2\.0\.0"\] \}/);
  });
});

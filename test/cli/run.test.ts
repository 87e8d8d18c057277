import assert from "node:assert/strict";
import { existsSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { eventually } from "../conformance/both-isolations.ts";
import { endPrograms } from "../conformance/running-program.ts";
import { Place } from "./command.ts";

describe("commands for a cluster that runs", () => {
  let place: Place;
  let address: string;
  before(async () => {
    place = new Place();
    ({ address } = await place.head("--num-cpus", "2"));
  });
  after(async () => {
    await endPrograms();
    await place.remove();
  });

  it("run a program on it, with its arguments and its exit code", async () => {
    const program = place.program("program.ts", `
      import * as ray from "mantaray";
      interface Sum { readonly total: number }
      const sum = ray.remote((numbers: readonly number[]): Sum => ({ total: numbers.reduce((a, b) => a + b, 0) }));
      const info = await ray.init();
      console.log(JSON.stringify([await ray.get(sum.remote([1, 2, 3])), process.argv.slice(2), process.env.MANTARAY_ADDRESS, (await ray.nodes()).length]));
      process.exitCode = 7;
    `);
    for (const given of [["--address", address], [`--address=${address}`], []]) {
      const { exitCode, stdout, stderr } = await place.run("run", ...given, program, "one", "--address", "--help");
      assert.equal(stderr, "");
      assert.deepEqual(JSON.parse(stdout), [{ total: 6 }, ["one", "--address", "--help"], given.length === 0 ? "auto" : address, 1]);
      assert.equal(exitCode, 7);
    }
  });

  it("take the address also right behind the program, where nothing else says it", async () => {
    const program = place.program("address.js", `console.log(JSON.stringify([process.argv.slice(2), process.env.MANTARAY_ADDRESS]));`);
    const runs = [
      [[program, "--address", address, "--its", "own"], [["--its", "own"], address]],
      [[program, `--address=${address}`], [[], address]],
      [["--address", address, program, "--address", "nowhere"], [["--address", "nowhere"], address]],
    ] as const;
    for (const [args, seen] of runs) {
      const { stdout, stderr } = await place.run("run", ...args);
      assert.deepEqual([JSON.parse(stdout || "null"), stderr], [seen, ""]);
    }
    assert.match((await place.run("run", program, "--address")).stderr, /^mantaray: --address needs a value/);
  });

  it("run a program on a cluster of which no node is on this machine, if it can be joined", async () => {
    const elsewhere = new Place();
    try {
      const program = elsewhere.program("joins.js", `
        import { get, init, remote } from "mantaray";
        const { address } = await init();
        console.log(JSON.stringify([await get(remote(() => 1).remote()), address]));
      `);
      // What init() has answered there can be passed on, as that of any program.
      for (const given of [address, `tcp:${address}`]) {
        const { exitCode, stdout, stderr } = await elsewhere.run("run", "--address", given, program);
        assert.deepEqual([JSON.parse(stdout || "null"), exitCode], [[1, `tcp:${address}`], 0], stderr);
      }
      const refused = await elsewhere.run("run", "--address", "127.0.0.1:1", program);
      assert.match(refused.stderr, /^mantaray: no node of the cluster at '127\.0\.0\.1:1' runs on this machine, and that address cannot be joined from here: [^\n]*ECONNREFUSED[^\n]*\n$/);
      assert.deepEqual([refused.stdout, refused.exitCode], ["", 1]);
    } finally {
      await elsewhere.remove();
    }
  });

  it("run TypeScript without tsx where Node can, and say what is needed where it cannot", async () => {
    const bare = new Place();
    try {
      rmSync(join(bare.programs, "node_modules/tsx"));
      bare.program("words.ts", "export type Words = readonly string[];\nexport const wordsOf = (text: string): Words => text.split(' ');");
      const program = bare.program("program.ts", `
        import { get, remote } from "mantaray";
        import { type Words, wordsOf } from "./words.ts";
        const count = remote((text: string): number => { const words: Words = wordsOf(text); return words.length; });
        console.log(await get(count.remote("one two three")));
      `);
      const { exitCode, stdout, stderr } = await place.start(["run", "--address", address, program]).ended;
      if (process.allowedNodeEnvironmentFlags.has("--experimental-strip-types")) assert.deepEqual([stdout, exitCode], ["3\n", 0], stderr);
      else assert.match(stderr, /^mantaray: Node [0-9.]+ cannot run TypeScript by itself: install tsx beside .*program\.ts \(npm install tsx\), or use Node 22\.18 or later\n$/);
    } finally {
      await bare.remove();
    }
  });

  it("pass on signals, and end as the program does", async () => {
    const program = place.program("waits.js", `
      import { remote, get } from "mantaray";
      process.on("SIGTERM", () => { console.log("asked to end"); process.exit(9); });
      console.log("runs", await get(remote(() => 1).remote()));
      setInterval(() => {}, 1000);
    `);
    const running = place.start(["run", program]);
    await running.wrote(/runs 1/);
    running.child.kill("SIGTERM");
    const { exitCode, stdout } = await running.ended;
    assert.match(stdout, /asked to end/);
    assert.equal(exitCode, 9);
    const killed = await place.run("run", place.program("killed.js", `process.kill(process.pid, "SIGKILL");`));
    assert.deepEqual([killed.exitCode, killed.signal], [null, "SIGKILL"]);
  });

  it("show its objects, what it waits for, and write its timeline", async () => {
    const begun = join(place.folder, "begun");
    const program = place.join(address, `
      const endless = ray.remote(async function endless(begun) { (await import("node:fs")).writeFileSync(begun, ""); return new Promise(() => {}); });
      const after = ray.remote(function after() {}).remote(endless.remote(${JSON.stringify(begun)}));
      globalThis.kept = ray.put(new Uint8Array(2 * 1024 ** 2));
      say(await ray.get(ray.remote(function measured() { return 1; }).remote()));
      await hear();
    `);
    assert.equal(await program.said(), 1);
    await eventually("the endless task to run", () => existsSync(begun));
    const memory = await place.run("memory");
    assert.equal(memory.exitCode, 0, memory.stderr);
    assert.match(memory.stdout, /1 object: 2\.0 MB/);
    const explain = await place.run("explain");
    assert.equal(explain.exitCode, 0, explain.stderr);
    assert.match(explain.stdout, /^task after\(\) .* waits for 1 argument: task endless\(\)/m);
    assert.doesNotMatch(explain.stdout, /^task endless/m);
    assert.match((await place.run("explain", "--running")).stdout, /^task endless\(\)/m);
    const file = join(place.folder, "timeline.json");
    const timeline = await place.run("timeline", "--output", file);
    assert.equal(timeline.exitCode, 0, timeline.stderr);
    assert.ok(timeline.stdout.includes(file), timeline.stdout);
    const events = JSON.parse(readFileSync(file, "utf8")) as { name: string }[];
    assert.ok(events.some(({ name }) => name === "measured"));
  });
});

describe("commands that cannot do what they are asked for", () => {
  let place: Place;
  before(() => { place = new Place(); });
  after(() => place.remove());

  const wrong: readonly (readonly [args: string, what: RegExp])[] = [
    ["strat", /there is no command .strat.; did you mean 'start'\?/],
    ["start", /either --head.* or --address/],
    ["start --head --address 127.0.0.1:1", /either --head.* or --address/],
    ["start --head --num-cpu 2", /no option --num-cpu; did you mean --num-cpus\?/],
    ["start --head --zzz", /no option --zzz \(see/],
    ["start --head now", /takes options only.*now/],
    ["start --head --port", /--port needs a value/],
    ["start --head --port 70000", /--port takes a port.*'70000'/],
    ["start --head --num-cpus many", /--num-cpus takes a number.*'many'/],
    ["start --head --num-cpus 0.00005", /--num-cpus takes.*a multiple of 0\.0001, but got '0\.00005'/],
    ["start --head --num-cpus -1", /--num-cpus needs a value/],
    ["start --head --num-cpus=-1", /--num-cpus takes a number.*'-1'/],
    ["start --head=yes", /--head takes no value/],
    ["start --head --num-gpus 0.5", /--num-gpus takes a whole number/],
    ["start --head --memory 5XB", /--memory takes a number of bytes.*'5XB'/],
    ["start --head --resources {printer:1}", /--resources takes amounts.*JSON/],
    ['start --head --resources {"printer":-1}', /printer is a number from 0/],
    ['start --head --resources {"printer":0.00001}', /printer is a number from 0, a multiple of 0\.0001/],
    ['start --head --resources {"":1}', /"" cannot be the name of a resource/],
    ['start --head --resources {"CPU_group_0":1}', /"CPU_group_0" cannot be the name of a resource/],
    ['start --head --resources {"CPU":1}', /--num-cpus/],
    ["start --head --labels zone", /--labels takes labels like/],
    ["start --head --labels mantaray.io/zone=a", /--labels: 'mantaray\.io\/zone' cannot be given/],
    ["start --head --labels zone=a/b", /--labels: "a\/b" cannot be the value of a label/],
    ["start --address nowhere", /--address takes HOST:PORT/],
    ["run", /needs a program/],
    ["run nowhere.ts", /there is no program .*nowhere\.ts/],
  ];
  for (const [args, what] of wrong) {
    it(`say what is wrong with: mantaray ${args}`, async () => {
      const { exitCode, stdout, stderr } = await place.run(...args.split(" "));
      assert.match(stderr, what);
      assert.match(stderr, /^mantaray: [^\n]*\n$/, "one line, no stack");
      assert.deepEqual([exitCode, stdout], [2, ""]);
    });
  }

  it("say that no cluster is there", async () => {
    const program = place.program("never.js", `console.log("has run");`);
    for (const args of [["status"], ["memory"], ["timeline"], ["run", program]]) {
      const { exitCode, stdout, stderr } = await place.run(...args);
      assert.match(stderr, /^mantaray: no runtime of this user was found.*mantaray start --head/);
      assert.deepEqual([exitCode, stdout], [1, ""]);
      const wrongAddress = await place.run(args[0] as string, "--address", "127.0.0.1:1", ...args.slice(1));
      assert.match(wrongAddress.stderr, /^mantaray: .*127\.0\.0\.1:1/);
      assert.equal(wrongAddress.exitCode, 1);
    }
  });

  it("say that a port is taken, an address not this machine's, or a folder not to be had, and leave nothing", async () => {
    const { address } = await place.head("--num-cpus", "1");
    const before = place.leftovers();
    const port = address.split(":")[1] as string;
    for (const block of [[], ["--block"]]) {
      const taken = await place.run("start", "--head", "--port", port, ...block);
      assert.match(taken.stderr, new RegExp(`^mantaray: .*port ${port} of 127\\.0\\.0\\.1 is in use.*--port`));
      assert.equal(taken.exitCode, 1);
    }
    const elsewhere = await place.run("start", "--head", "--port", "0", "--host", "192.0.2.1");
    assert.match(elsewhere.stderr, /192\.0\.2\.1 is no address of this machine.*--host/);
    const unwritable = await place.run("start", "--head", "--port", "0", "--object-spilling-directory", "/dev/null/spilled");
    assert.match(unwritable.stderr, /^mantaray: .*cannot be spilled to \/dev\/null\/spilled .*--object-spilling-directory/);
    assert.equal(unwritable.exitCode, 1);
    assert.deepEqual(place.leftovers(), before);
  });

  it("explain themselves", async () => {
    const all = await place.run("--help");
    assert.equal(all.exitCode, 0);
    const names = [...all.stdout.matchAll(/^ {2}(\w+) {2,}/gm)].map(([, name]) => name as string);
    assert.ok(names.includes("start") && names.includes("timeline"));
    for (const name of names) {
      const { exitCode, stdout } = await place.run(name, "--help");
      assert.equal(exitCode, 0);
      assert.match(stdout, new RegExp(`^Usage: mantaray ${name}`, "m"));
    }
    const { version } = JSON.parse(readFileSync(new URL("../../package.json", import.meta.url), "utf8")) as { version: string };
    assert.equal((await place.run("--version")).stdout, `${version}\n`);
    assert.equal((await place.run()).exitCode, 2);
  });
});

import assert from "node:assert/strict";
import { mkdirSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { Machines, REPOSITORY, whyNoMachines } from "./machines.ts";

const COMMAND = [process.execPath, join(REPOSITORY, "dist/cli.js")];
const HEAD = 0;
const SECOND = 1;
const THIRD = 2;

const PROGRAM = `
import * as ray from "mantaray";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { wordsOf } from "./words.ts";

const text = readFileSync(new URL("./text.txt", import.meta.url), "utf8");
const here = new URL(import.meta.url).pathname;
/** On one machine: how much it counts, and what it sees of ours. */
const look = ray.remote((chunk: string) => ({
  nodeId: ray.getRuntimeContext().nodeId, words: wordsOf(chunk).length, seesProgram: existsSync(here), home: readdirSync(process.env["HOME"] as string),
}));
class Tally {
  #counts = new Map<string, number>();
  add(who: string, count: number) { this.#counts.set(who, count); }
  all() { return [...this.#counts].sort(); }
}
const tally = ray.remote(Tally, { resources: { third: 0.1 } }).remote();
const chunk = ray.put(text);
const machines = [{ first: 0.1 }, { second: 0.1 }, { third: 0.1 }];
const looks = await ray.get(machines.map((resources) => look.options({ resources }).remote(chunk)));
await ray.get(machines.map((resources) => ray.remote(async (name: string, count: number) => ray.get(tally.add.remote(name, count)), { resources }).remote(Object.keys(resources)[0] as string, looks[0]!.words)));
const numbers = await ray.get(ray.remote(() => Float64Array.from({ length: 1_000_000 }, (_, index) => index), { resources: { second: 0.1 } }).remote());
const nodes = await ray.nodes();
console.log(JSON.stringify({ looks, tally: await ray.get(tally.all.remote()), last: numbers.at(-1), addresses: nodes.map(({ address }) => address.split(":")[0]), nodeIds: nodes.map(({ nodeId }) => nodeId) }));
await ray.shutdown();
`;

const reason = whyNoMachines();
describe("three machines that share nothing but a network", { skip: reason }, () => {
  let machines: Machines;
  let address: string;
  before(async () => {
    machines = new Machines(3);
    const programs = machines.home(HEAD);
    mkdirSync(join(programs, "node_modules"));
    for (const name of ["mantaray", "tsx"]) symlinkSync(name === "mantaray" ? REPOSITORY : join(REPOSITORY, "node_modules", name), join(programs, "node_modules", name), "dir");
    writeFileSync(join(programs, "package.json"), '{ "type": "module" }');
    writeFileSync(join(programs, "main.ts"), PROGRAM);
    writeFileSync(join(programs, "words.ts"), 'export const wordsOf = (text: string): string[] => text.split(" ");');
    writeFileSync(join(programs, "text.txt"), "one two three ".repeat(20_000).trim());
    const head = machines.start(HEAD, [...COMMAND, "start", "--head", "--host", machines.host(HEAD), "--port", "0", "--num-cpus", "1", "--resources", '{"first": 1}', "--block"]);
    [, address] = (await head.wrote(/runs at (\S+:\d+)/)) as unknown as [string, string];
    await Promise.all([SECOND, THIRD].map((index) =>
      machines.start(index, [...COMMAND, "start", "--address", address, "--num-cpus", "1", "--resources", index === SECOND ? '{"second": 1}' : '{"third": 1}', "--block"]).wrote(/joined the cluster/)));
  });
  after(() => machines.remove());

  it("run one program, of which two of them have nothing", async () => {
    const { exitCode, stdout, stderr } = await machines.start(HEAD, [...COMMAND, "run", "--address", address, join(machines.home(HEAD), "main.ts")]).ended;
    assert.equal(exitCode, 0, stderr);
    const seen = JSON.parse(stdout.trim().split("\n").at(-1) as string) as { looks: { nodeId: string; words: number; seesProgram: boolean; home: string[] }[]; tally: [string, number][]; last: number; addresses: string[]; nodeIds: string[] };
    assert.deepEqual(seen.addresses.sort(), [HEAD, SECOND, THIRD].map((index) => machines.host(index)));
    assert.deepEqual(seen.looks.map(({ nodeId }) => nodeId).sort(), seen.nodeIds.sort(), "each of the three has counted");
    assert.deepEqual(seen.looks.map(({ words }) => words), [60_000, 60_000, 60_000]);
    assert.deepEqual(seen.looks.map(({ seesProgram, home }) => [seesProgram, home.includes("text.txt")]), [[true, true], [false, false], [false, false]]);
    assert.deepEqual(seen.tally, [["first", 60_000], ["second", 60_000], ["third", 60_000]], "an actor on the third was called from all");
    assert.equal(seen.last, 999_999, "an object of the second came to the first");
  });
});

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import * as ray from "mantaray";
import { eventually, ISOLATIONS_ALONE, underBothIsolations } from "./both-isolations.ts";
import { runProgram } from "./child-program.ts";

/** Holds whoever passes until it is opened. */
class Gate {
  #open = (): void => undefined;
  readonly #isOpen = new Promise<void>((resolve) => { this.#open = resolve; });
  async pass(): Promise<void> { await this.#isOpen; }
  async open(): Promise<void> { this.#open(); }
}
type GateHandle = ray.ActorHandle<Gate>;

class Turn {
  async ask(other: ray.ActorHandle<Turn>, rest: ray.ActorHandle<Turn>[]): Promise<string> {
    const [next, ...others] = rest;
    return next === undefined ? ray.get(other.end.remote()) : ray.get(next.ask.remote(other, others));
  }
  end(): string { return "end"; }
}
const through = ray.remote(async function through(actor: ray.ActorHandle<Turn>): Promise<string> { return ray.get(actor.end.remote()); });
class Around {
  async ask(self: ray.ActorHandle<Around>, task: typeof through): Promise<string> { return ray.get(task.remote(self as never)); }
  end(): string { return "end"; }
}

/** Polls until it waits for that: what was called a moment ago may still be on its way. */
async function reasonBecomes(target: Parameters<typeof ray.explain>[0], reason: ray.WaitReason): Promise<ray.PendingReason> {
  let found: ray.PendingReason | undefined;
  await eventually(`it to wait for ${reason}`, async () => {
    found = (await ray.explain(target)).find((one) => one.reason === reason);
    return found !== undefined;
  }).catch(async (error: Error) => { throw new Error(`${error.message}: ${(await ray.explain(target)).map(({ message }) => message).join("\n")}`); });
  return found as ray.PendingReason;
}

underBothIsolations("explain()", { resources: { licence: 1 }, isOnOneOfThem: true }, () => {
  const passes = ray.remote(async function passes(gate: GateHandle): Promise<number> { await ray.get(gate.pass.remote()); return 1; });
  const doubled = ray.remote(function doubled(value: number): number { return value * 2; });

  it("follows arguments to what makes them, and that to what it waits for", async () => {
    const gate = ray.remote(Gate).remote();
    const first = passes.remote(gate);
    const last = doubled.remote(doubled.remote(first));
    await reasonBecomes(first, "objects");
    await reasonBecomes(gate, "running");
    const [reason] = await ray.explain(last);
    assert.equal(reason?.kind, "task");
    assert.equal(reason?.name, "doubled");
    assert.equal(reason?.id, last.hex());
    assert.match(reason?.callSite ?? "", /explain\.test\.ts:\d+:\d+/);
    const chain: [string, string][] = [];
    for (let next: ray.PendingReason | undefined = reason; next !== undefined; next = next.because[0]) chain.push([next.name, next.reason]);
    assert.deepEqual(chain, [["doubled", "arguments"], ["doubled", "arguments"], ["passes", "objects"], ["Gate.pass", "running"]]);
    assert.match(reason?.message ?? "", /^task doubled\(\) \(called at .*\) waits for 1 argument: task doubled\(\) .*: task passes\(\) .* runs in worker \w+ and waits for 1 object: call Gate\.pass\(\) .* runs in worker \w+$/);
    await ray.get(gate.open.remote());
    assert.equal(await ray.get(last), 4);
    assert.deepEqual([await ray.explain(last), await ray.explain(), await ray.explain(ray.put(1))], [[], [], []]);
  });

  it("says how much of what is missing, and where", async () => {
    const holder = ray.remote(Gate, { resources: { licence: 0.5 } }).remote();
    await ray.get(holder.ready());
    const wants = ray.remote(() => "has it", { resources: { licence: 1 } }).remote();
    const reason = await reasonBecomes(wants, "resources");
    const [shortage] = reason.shortages;
    assert.deepEqual([shortage?.resource, shortage?.asked, shortage?.nodes.map(({ free, total }) => [free, total])], ["licence", 1, [[0.5, 1]]]);
    const actor = ray.remote(Gate, { resources: { licence: 1 } }).remote();
    const called = actor.pass.remote();
    assert.equal((await reasonBecomes(actor, "resources")).kind, "actor");
    assert.deepEqual((await reasonBecomes(called, "actorStarting")).because.map(({ kind, reason: why }) => [kind, why]), [["actor", "resources"]]);
    assert.equal((await reasonBecomes(actor.ready(), "resources")).name, "Gate");
    await Promise.all([ray.kill(actor), ray.kill(holder)]);
    assert.equal(await ray.get(wants), "has it");
    await assert.rejects(ray.get(called), ray.ActorDiedError);
  });

  it("says that a placement group has no room yet", async () => {
    const holder = ray.remote(Gate, { resources: { licence: 1 } }).remote();
    await ray.get(holder.ready());
    const group = ray.placementGroup([{ licence: 1 }], { name: "both" });
    const task = ray.remote(() => "in it", { numCpus: 0, resources: { licence: 1 }, schedulingStrategy: { type: "placementGroup", placementGroup: group } }).remote();
    assert.match((await reasonBecomes(group, "resources")).message, /^placement group 'both' waits for 1 licence in 1 bundle \(PACK\); free are .*0 licence on node/);
    assert.equal((await reasonBecomes(group.ready(), "resources")).id, group.id);
    assert.deepEqual((await reasonBecomes(task, "placementGroup")).because.map(({ id }) => id), [group.id]);
    await ray.kill(holder);
    assert.equal(await ray.get(task), "in it");
    await ray.removePlacementGroup(group);
  });

  it("tells whose turn it is in an actor, which call holds up others, and a generator that nobody reads", async () => {
    const gate = ray.remote(Gate).remote();
    const single = ray.remote(class Single { async wait(opened: GateHandle) { await ray.get(opened.pass.remote()); } next(value: unknown) { return value; } *values() { yield 1; yield 2; } }, { maxConcurrency: 1 }).remote();
    const held = single.wait.remote(gate);
    const next = single.next.remote(1);
    assert.deepEqual((await reasonBecomes(next, "actorBusy")).because.map(({ name }) => name), ["Single.wait"]);
    const [early, late] = [single.next.remote(passes.remote(gate)), single.next.remote(2)];
    assert.equal((await reasonBecomes(early, "arguments")).because[0]?.name, "passes");
    assert.deepEqual((await reasonBecomes(late, "order")).because.map(({ id }) => id), [early.hex()]);
    assert.ok((await ray.explain(single)).length >= 4, "a handle is asked about with its calls");
    await ray.get(gate.open.remote());
    assert.deepEqual(await ray.get([held, next, early, late]), [undefined, 1, 1, 2]);
    const values = single.values.options({ generatorBackpressure: 1 }).remote();
    assert.match((await reasonBecomes(values, "backpressure")).message, /goes on when values that it has yielded are consumed/);
    for await (const ref of values) await ray.get(ref as ray.ObjectRef<number>);
  });

  for (const length of [1, 2, 3]) {
    it(`finds a cycle of ${length} ${length === 1 ? "actor, which calls itself" : "actors"}`, async () => {
      const actors = Array.from({ length }, () => ray.remote(Turn, { maxConcurrency: 1 }).remote()) as [ray.ActorHandle<Turn>, ...ray.ActorHandle<Turn>[]];
      const [first, ...others] = actors;
      await ray.get(actors.map((actor) => actor.ready()));
      const ref = first.ask.remote(first, others);
      const reason = await reasonBecomes(ref, "cycle");
      assert.deepEqual([reason, ...reason.because].map(({ name, actorId }) => [name, actorId]), [...actors.map(({ actorId }) => ["Turn.ask", actorId]), ["Turn.end", first.actorId]]);
      for (const { actorId } of actors) assert.ok(reason.message.includes(actorId));
      assert.match(reason.message, /called at .*explain\.test\.ts:\d+.*waits for call Turn\.end\(\).*which waits for Turn\.ask\(\) again: none of them can ever go on/);
      // The one that runs the call first: a death behind it would fail the call from within.
      await ray.kill(first);
      await assert.rejects(ray.get(ref), ray.ActorDiedError);
      await Promise.all(actors.slice(1).map((actor) => ray.kill(actor)));
    });
  }

  it("finds one with a task in between, and none where calls have free turns", async () => {
    const free = ray.remote(Around).remote();
    assert.equal(await ray.get(free.ask.remote(free, through)), "end");
    const single = ray.remote(Around, { maxConcurrency: 1 }).remote();
    const ref = single.ask.remote(single, through);
    assert.deepEqual((await reasonBecomes(ref, "cycle")).because.map(({ kind, name }) => [kind, name]), [["task", "through"], ["call", "Around.end"]]);
    await ray.kill(single);
    await assert.rejects(ray.get(ref), ray.ActorDiedError);
  });

  it("refuses what it cannot explain", async () => {
    await assert.rejects(ray.explain(1 as never), ray.InvalidArgumentError);
    await assert.rejects(ray.explain(undefined, { all: true } as never), /did you mean|no option 'all'/);
  });
});

describe("a program with something that is stuck", { concurrency: true }, () => {
  for (const isolation of ISOLATIONS_ALONE) {
    it(`hears of a put() that waits for room while it waits, in a worker and in the program itself (${isolation})`, async () => {
      const { stdout, stderr, exitCode } = await runProgram({ environment: { MANTARAY_STUCK_WARNING_MS: "300" }, files: { "main.mjs": `
        import { existsSync, writeFileSync } from "node:fs";
        import * as ray from "mantaray";
        const MIB = 2 ** 20;
        await ray.init({ numCpus: 2, isolation: "${isolation}", objectStoreMemory: 16 * MIB });
        const turn = () => new Promise((resolve) => setTimeout(resolve, 10));
        const asleep = async () => {
          for (;;) {
            const found = (await ray.explain()).find(({ kind }) => kind === "put");
            if (found !== undefined) return found;
          }
        };
        class Viewer {
          async fill() { this.views = await Promise.all(Array.from({ length: 13 }, () => ray.get(ray.put(new Uint8Array(MIB - 10_000))))); }
          drop() { this.views = []; }
          dropAfter(note, findAsleep) { this.asleep = this.findAndDrop(note, findAsleep); }
          async findAndDrop(note, findAsleep) {
            while (!existsSync(note)) await new Promise((resolve) => setTimeout(resolve, 10));
            const found = await findAsleep();
            this.drop();
            return found;
          }
          async found() { return this.asleep; }
        }
        // After 5 seconds it would be an error.
        const putUntilThere = ray.remote(function putUntilThere() {
          for (;;) {
            try {
              return ray.put(new Uint8Array(6 * MIB)).release();
            } catch (error) {
              if (error.name !== "ObjectStoreFullError") throw error;
            }
          }
        });
        const viewer = ray.remote(Viewer, { numCpus: 0 }).remote();
        const printed = [];
        const write = process.stderr.write.bind(process.stderr);
        process.stderr.write = (text) => { printed.push(String(text)); return write(text); };

        await ray.get(viewer.fill.remote());
        const putting = putUntilThere.remote();
        while (!printed.some((text) => text.includes("room in the object store"))) await turn();
        // Between two attempts nobody waits.
        let task;
        do [task] = await ray.explain(putting); while (task.reason !== "storeFull");
        await ray.get(viewer.drop.remote());
        await ray.get(putting);

        await ray.get(viewer.fill.remote());
        const warnings = [];
        process.on("warning", ({ name, message }) => { if (warnings.push([name, message]) === 1) writeFileSync("said", ""); });
        await ray.get(viewer.dropAfter.remote(process.cwd() + "/said", asleep));
        for (let isThere = false; !isThere; ) {
          try {
            ray.put(new Uint8Array(6 * MIB)).release();
            isThere = true;
          } catch (error) {
            if (error.name !== "ObjectStoreFullError") throw error;
          }
        }
        console.log(JSON.stringify({ printed, task, found: await ray.get(viewer.found.remote()), warnings }));
        await ray.shutdown();
      ` } });
      assert.equal(exitCode, 0, stderr);
      const { printed, task, found, warnings } = JSON.parse(stdout.trimEnd().split("\n").at(-1) as string) as { printed: string[]; task: ray.PendingReason; found: ray.PendingReason; warnings: [string, string][] };
      const said = /MantarayWarning: an object of \S+ MB that is made at putUntilThere \(\S*main\.mjs:\d+:\d+\) in putUntilThere\(\) has waited 0\.3 s for room in the object store: \S+ MB of 16\.0 MB are in use, and views are left of \S+ MB, 0\.0 MB of these in this worker/;
      assert.ok(printed.some((text) => said.test(text)), printed.join(""));
      assert.deepEqual([task.reason, task.because[0]?.kind, task.because[0]?.name], ["storeFull", "put", "putUntilThere"]);
      assert.match(found.message, /a value of \S*main\.mjs:\d+:\d+ waits in worker \w+ for room in the object store/);
      assert.equal(warnings[0]?.[0], "MantarayWarning");
      assert.match(warnings[0]?.[1] as string, /an object of \S+ MB that is made at \S*main\.mjs:\d+:\d+ has waited 0\.3 s for room/);
    });

    it(`is warned by itself, once for each reason (${isolation})`, async () => {
      const { stdout, stderr, exitCode } = await runProgram({ environment: { MANTARAY_STUCK_WARNING_MS: "400" }, files: { "main.mjs": `
        import * as ray from "mantaray";
        await ray.init({ numCpus: 2, isolation: "${isolation}" });
        const warnings = [];
        let told;
        process.on("warning", ({ name, message }) => { warnings.push(name + ": " + message); told?.(); });
        const warned = async (part) => { while (!warnings.some((text) => text.includes(part))) await new Promise((resolve) => { told = resolve; }); };
        class Ping { async f(pong, self) { return ray.get(pong.g.remote(self)); } h() {} }
        class Pong { async g(ping) { return ray.get(ping.h.remote()); } }
        // While the program waits for nothing.
        const quiet = ray.remote(class Quiet { async f(self) { return ray.get(self.h.remote()); } h() {} }, { maxConcurrency: 1 }).remote();
        quiet.f.remote(quiet);
        const alive = setInterval(() => {}, 1_000);
        await warned("Quiet.h");
        clearInterval(alive);
        const [ping, pong] = [Ping, Pong].map((Class) => ray.remote(Class, { maxConcurrency: 1 }).remote());
        const long = ray.remote(async function long() { await new Promise(() => {}); }).remote();
        const after = ray.remote(function after() {}).remote(long);
        await ray.get([ping.ready(), pong.ready()]);
        while ((await ray.explain(long))[0].reason !== "running") await new Promise((resolve) => setTimeout(resolve, 10));
        const stuck = ping.f.remote(pong, ping);
        void ray.get(stuck).catch(() => {});
        await warned("Pong.g");
        // Whatever is new from now on is told at a later look, and all that was found before was there to be told again.
        const alone = ray.remote(class Alone { async f(self) { return ray.get(self.h.remote()); } h() {} }, { maxConcurrency: 1 }).remote();
        void ray.get(alone.f.remote(alone)).catch(() => {});
        await warned("Alone.h");
        console.log(JSON.stringify(warnings));
        await ray.shutdown();
      ` } });
      assert.equal(exitCode, 0, stderr);
      const warnings = JSON.parse(stdout.trimEnd().split("\n").at(-1) as string) as string[];
      // On a busy machine a worker may take its time to start, which is said, too.
      const others = warnings.filter((text) => !/waits for a worker, which|waits for its actor|is about to get a worker/.test(text));
      assert.equal(others.length, 3, warnings.join("\n"));
      assert.match(others.shift() as string, /call Quiet\.[fh]\(\).*none of them can ever go on/);
      assert.match(others[0] as string, /^MantarayWarning: call (?=.*Ping\.f\(\))(?=.*Pong\.g\(\))(?=.*Ping\.h\(\)).*none of them can ever go on/);
      assert.match(others[1] as string, /call Alone\.[fh]\(\).*none of them can ever go on/);
    });
  }
});

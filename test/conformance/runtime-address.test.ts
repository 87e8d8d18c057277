import assert from "node:assert/strict";
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, dirname, join } from "node:path";
import { after, afterEach, describe, it } from "node:test";
import * as ray from "mantaray";
import { eventually, ISOLATIONS } from "./both-isolations.ts";
import { endPrograms, startProgram, type RunningProgram } from "./running-program.ts";

/** Runtimes of other programs on this machine are not in sight of these. */
const folder = mkdtempSync(join(tmpdir(), "mantaray-address-"));
const apart = { TMPDIR: folder };
const FORGED = "mantaray-1-aa";
after(async () => {
  // While somebody else removes what is inside, Node 24 leaves the folder and says nothing.
  await eventually("nothing to be left of the programs, also of those that were killed", () => readdirSync(folder).every((name) => name === FORGED));
  rmSync(folder, { recursive: true, force: true });
});
afterEach(() => endPrograms());

function startHost(options: string): RunningProgram {
  return startProgram(`
    const info = await ray.init(${options});
    say(info.address);
    const wish = await hear();
    if (wish === "shutdown()") await ray.shutdown();
    if (wish === "process.exit()") process.exit(0);
    if (wish === "SIGKILL") process.kill(process.pid, "SIGKILL");
    process.exitCode = 0;
    lines = process.stdin.destroy();
  `, apart);
}
const pathOf = (address: string): string => address.replace(/^unix:/, "");
const ticketOf = (address: string): string => pathOf(address).replace(/\.sock$/, ".json");

for (const isolation of ISOLATIONS) {
  describe(`when the program that started a runtime ends (${isolation})`, () => {
    for (const end of ["shutdown()", "process.exit()", "SIGKILL"]) {
      it(`by ${end}, those that have joined get errors at once, and can go on without it`, async () => {
        const host = startHost(`{ numCpus: 2, isolation: "${isolation}" }`);
        const address = await host.said();
        const joined = startProgram(`
          const { sessionDir } = await ray.init({ address: ${JSON.stringify(address)} });
          const forever = ray.remote(() => new Promise(() => {}));
          const Actor = ray.remote(class Actor { ping() { return 1; } forever() { return new Promise(() => {}); } });
          const actor = Actor.remote();
          await ray.get(actor.ping.remote());
          const object = ray.put(new Uint8Array(1024 ** 2).fill(5));
          const view = await ray.get(object);
          const names = (promises) => Promise.all(promises.map((promise) => promise.then(() => "no error", (error) => error.name + (error.message.includes(info.address) ? " with address" : ""))));
          const info = { address: ${JSON.stringify(address)} };
          const waiting = names([ray.get(forever.remote()), ray.get(actor.forever.remote()), ray.wait([forever.remote()]).then(([[ref]]) => ray.get(ref))]);
          say("waits");
          say(await waiting);
          say(await names([ray.nodes(), ray.getActor("any"), (async () => ray.get(forever.remote()))(), (async () => ray.get(actor.ping.remote()))(), (async () => ray.get(Actor.remote().ping.remote()))()]));
          say([view.length, view[0]]);
          await ray.shutdown();
          say([ray.isInitialized(), sessionDir]);
          await ray.init({ address: "local", numCpus: 1 });
          say(await ray.get(ray.remote(() => "on its own").remote()));
        `, apart);
        assert.equal(await joined.said(), "waits");
        host.tell(end);
        const stated = await joined.said();
        assert.deepEqual(stated.slice(0, 2).map((name: string) => name.split(" ")[0]), ["RuntimeStateError", "RuntimeStateError"]);
        const later = await joined.said();
        assert.equal(later[0], "RuntimeStateError with address");
        assert.equal(later[1], "RuntimeStateError with address");
        for (const name of later) assert.match(name, /^(RuntimeStateError|ActorDiedError)/);
        assert.deepEqual(await joined.said(), [1024 ** 2, 5]);
        const [isInitialized, sessionDir] = await joined.said();
        assert.equal(isInitialized, false);
        assert.equal(await joined.said(), "on its own");
        assert.deepEqual(await joined.ended, { exitCode: 0, signal: null, stderr: "" });
        await eventually("its folder to be gone", () => !existsSync(sessionDir));
      });
    }
  });
}

describe("the address of a runtime", () => {
  it("names a socket in a folder that only this user may enter, and holds no secret", async () => {
    const host = startHost("{ numCpus: 1 }");
    const address: string = await host.said();
    const ticket = JSON.parse(readFileSync(ticketOf(address), "utf8"));
    assert.ok(ticket.session.token.length >= 32);
    assert.ok(!address.includes(ticket.session.token));
    if (process.platform !== "win32") {
      assert.equal(statSync(ticketOf(address)).mode & 0o777, 0o600);
      assert.equal(statSync(dirname(pathOf(address))).mode & 0o777, 0o700);
      await eventually("the socket to be there", () => existsSync(pathOf(address)));
      await eventually("the socket to be the user's own", () => (statSync(pathOf(address)).mode & 0o777) === 0o600);
    }
    host.tell("shutdown()");
    await host.ended;
    assert.deepEqual(readdirSync(folder), []);
  });

  it(`may be "auto": the newest runtime of this user`, async () => {
    const finds = `say(await ray.init({ address: "auto" }).then((info) => info.address, (error) => [error.name, error.code, error.message]));`;
    const lonely = startProgram(finds, apart);
    const [name, code, message] = await lonely.said();
    assert.deepEqual([name, code], ["RuntimeStateError", "ERR_MANTARAY_RUNTIME_STATE"]);
    assert.ok(message.includes(folder), message);
    const older = startHost("{ numCpus: 1 }");
    const olderAddress = await older.said();
    const newer = startHost("{ numCpus: 1 }");
    const newerAddress = await newer.said();
    assert.equal(await startProgram(finds, apart).said(), newerAddress);
    newer.tell("SIGKILL");
    await newer.ended;
    assert.equal(await startProgram(finds, apart).said(), olderAddress, "a dead one is none");
    older.tell("shutdown()");
    await older.ended;
    const last = startHost("{ numCpus: 1 }");
    await last.said();
    await eventually("what the killed one left to be removed by the next one", () => !existsSync(dirname(pathOf(newerAddress))));
  });

  it("may be in MANTARAY_ADDRESS, also for a program that never calls init()", async () => {
    const host = startHost("{ numCpus: 1 }");
    const address = await host.said();
    for (const value of [address, "auto"]) {
      const joined = startProgram(`
        const ref = ray.put(new Float64Array(100_000).fill(3));
        say(await ray.get(ray.remote((array) => [process.pid, array.length, array[5]]).remote(ref)));
        say((await ray.get(ray.put(new Float64Array(100_000).fill(4))))[7]);
      `, { ...apart, MANTARAY_ADDRESS: value });
      assert.deepEqual(await joined.said(), [host.pid, 100_000, 3]);
      assert.equal(await joined.said(), 4);
      assert.deepEqual(await joined.ended, { exitCode: 0, signal: null, stderr: "" });
    }
    const local = startProgram(`await ray.init({ address: "local", numCpus: 1 }); say(await ray.get(ray.remote(() => process.pid).remote()));`, { ...apart, MANTARAY_ADDRESS: address });
    assert.equal(await local.said(), local.pid);
    const unset = startProgram(`say(await ray.get(ray.remote(() => process.pid).remote()));`, { ...apart, MANTARAY_ADDRESS: "" });
    assert.equal(await unset.said(), unset.pid);
    const first = startProgram(`try { ray.remote(() => 1).remote(); } catch (error) { say([error.name, ray.isInitialized()]); }`, { ...apart, MANTARAY_ADDRESS: "unix:/nowhere/node-1.sock" });
    assert.deepEqual(await first.said(), ["RuntimeStateError", false]);
  });

  it("is refused when it is none", async () => {
    for (const wrong of ["ray://somewhere:10001", "/tmp/node-1.sock", "unix:", "unix:/tmp/other"]) {
      await assert.rejects(ray.init({ address: wrong }), (error: Error) => error instanceof ray.InvalidArgumentError && error.message.includes(wrong));
    }
    await assert.rejects(ray.init({ address: "" }), ray.InvalidArgumentError);
    await assert.rejects(ray.init({ address: "127.0.0.1:1" }), (error: Error) => error instanceof ray.RuntimeStateError && error.message.includes("127.0.0.1:1"));
    await assert.rejects(ray.init({ address: "unix:/nowhere/node-1.sock" }), (error: Error) => error instanceof ray.RuntimeStateError && error.message.includes("/nowhere/node-1.sock"));
    assert.equal(ray.isInitialized(), false);
  });

  it("cannot be joined with options that describe the machine", async () => {
    const host = startHost("{ numCpus: 1 }");
    const address = await host.said();
    for (const options of [{ numCpus: 1 }, { resources: { printer: 1 } }, { objectStoreMemory: 1e8 }, { objectSpillingDirectory: folder }, { labels: { a: "b" } }]) {
      await assert.rejects(ray.init({ address, ...options }), (error: Error) => error instanceof ray.InvalidArgumentError && error.message.includes(Object.keys(options)[0] as string));
    }
    await using info = await ray.init({ address, isolation: "process" });
    assert.equal(info.address, address);
    assert.equal(await ray.init({ ignoreReinitError: true }).then((again) => again.jobId), info.jobId);
    await assert.rejects(ray.init({ address }), ray.RuntimeStateError);
    const pid = await ray.get(ray.remote(() => process.pid).remote());
    assert.ok(pid !== host.pid && pid !== process.pid);
  });

  it("of a runtime that is gone, of another version, or with another secret is told apart", async () => {
    const host = startHost("{ numCpus: 1 }");
    const address: string = await host.said();
    const ticket = JSON.parse(readFileSync(ticketOf(address), "utf8"));
    const altered = (change: (copy: any) => void): string => {
      const copy = structuredClone(ticket);
      change(copy);
      const other = join(folder, FORGED, basename(pathOf(address)));
      mkdirSync(dirname(other), { recursive: true });
      writeFileSync(ticketOf(other), JSON.stringify(copy), { mode: 0o600 });
      return `unix:${other}`;
    };
    const refused = async (wrong: string, what: RegExp): Promise<void> => {
      await assert.rejects(ray.init({ address: wrong }), (error: Error) => {
        assert.ok(error instanceof ray.RuntimeStateError, error.stack);
        assert.match(error.message, what);
        return true;
      });
      assert.equal(ray.isInitialized(), false);
    };
    await refused(altered((copy) => { copy.protocolVersion = 999; }), /version 999/);
    await refused(altered((copy) => { copy.session.token = "0".repeat(32); }), /token/);
    writeFileSync(ticketOf(altered(() => undefined)), "no ticket");
    await refused(altered(() => undefined).replace("node-", "node-0"), /no runtime/);
    host.tell("SIGKILL");
    await host.ended;
    await refused(address, /has ended/);
  });
});

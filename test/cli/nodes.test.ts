import assert from "node:assert/strict";
import { once } from "node:events";
import { existsSync, readFileSync, statSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { dirname } from "node:path";
import { afterEach, beforeEach, describe, it } from "node:test";
import { eventually, ISOLATIONS } from "../conformance/both-isolations.ts";
import { endPrograms } from "../conformance/running-program.ts";
import { isRunning, Place, sharedMemoryOf } from "./command.ts";

let place: Place;
beforeEach(() => { place = new Place(); });
afterEach(async () => {
  await endPrograms();
  await place.remove();
});

/** What a program does to make a node hold something of everything. */
const HOLDS_EVERYTHING = `
  class Counter { #count = 0; add(by) { return this.#count += by; } pid() { return process.pid; } }
  const lasting = ray.remote(Counter).options({ name: "lasting", lifetime: "detached" }).remote();
  const passing = ray.remote(Counter).options({ name: "passing" }).remote();
  await ray.get([lasting.add.remote(1), passing.add.remote(1)]);
  const large = ray.put(new Uint8Array(1024 ** 2).fill(7));
  const worker = await ray.get(ray.remote((bytes) => [bytes[5], process.pid]).remote(large));
  say([worker[0], [worker[1], ...await ray.get([lasting.pid.remote(), passing.pid.remote()])], info]);
`;

describe("a node of its own", () => {
  it("is started, found, used and ended by commands, and leaves nothing", async () => {
    const { address, pid } = await place.head("--num-cpus", "2", "--node-name", "first", "--resources", '{"printer": 1.5}', "--labels", "zone=a,disk=ssd");
    assert.ok(isRunning(pid));
    const status = await place.run("status");
    assert.equal(status.exitCode, 0, status.stderr);
    assert.match(status.stdout, /^1 node alive\n/);
    assert.match(status.stdout, /CPU 2, .*printer 1\.5  zone=a, disk=ssd\n/);
    assert.match(status.stdout, /printer +0 of 1\.5 in use/);
    for (const where of [address, "auto"]) {
      const program = place.join(where, `
        say(await ray.get(ray.remote(function add(a, b) { return a + b; }).remote(1, 2)));
        say([info.sessionDir, (await ray.nodes())[0].labels]);
      `);
      assert.equal(await program.said(), 3);
      const [sessionDir, labels] = await program.said();
      assert.deepEqual([labels.zone, labels.disk], ["a", "ssd"]);
      assert.equal(statSync(sessionDir).mode & 0o777, 0o700);
      assert.deepEqual(await program.ended, { exitCode: 0, signal: null, stderr: "" });
    }
    const stopped = await place.run("stop");
    assert.deepEqual([stopped.exitCode, stopped.stdout], [0, `The head first of the cluster at ${address} (pid ${pid}) has ended.\n`]);
    assert.equal(isRunning(pid), false);
    assert.deepEqual([place.leftovers(), sharedMemoryOf(pid)], [[], []]);
    assert.match((await place.run("stop")).stdout, /^No node runs here/);
  });

  for (const isolation of ISOLATIONS) {
    it(`outlives its programs, and keeps of them what is detached (${isolation})`, async () => {
      const { address } = await place.head("--num-cpus", "2");
      const first = place.join(address, HOLDS_EVERYTHING, `namespace: "n", isolation: "${isolation}"`);
      const [byte, [taskPid, lastingPid, passingPid]] = await first.said();
      assert.equal(byte, 7);
      assert.deepEqual(await first.ended, { exitCode: 0, signal: null, stderr: "" });
      const second = place.join(address, `
        const lasting = await ray.getActor("lasting");
        say([await ray.get(lasting.add.remote(1)), await ray.getActor("passing").catch((error) => error.name)]);
        say(await ray.get(ray.remote(() => "goes on").remote()));
        while ((await ray.availableResources()).CPU !== 2) await new Promise((resolve) => setTimeout(resolve, 10));
        while (!/^0 objects/m.test(await ray.memorySummary())) await new Promise((resolve) => setTimeout(resolve, 10));
        await ray.kill(lasting);
        say("killed");
      `, `namespace: "n", isolation: "${isolation}"`);
      assert.deepEqual(await second.said(), [2, "ActorNotFoundError"]);
      assert.equal(await second.said(), "goes on");
      assert.equal(await second.said(), "killed");
      assert.equal((await second.ended).exitCode, 0);
      if (isolation === "process") await eventually("its workers to end", () => ![taskPid, lastingPid, passingPid].some(isRunning));
    });
  }

  for (const signal of ["SIGTERM", "SIGINT"] as const) {
    it(`ends in good order on ${signal}, with all that it has started`, async () => {
      const { address, pid } = await place.head("--num-cpus", "2");
      const program = place.join(address, `${HOLDS_EVERYTHING} say(await ray.get(ray.remote(() => new Promise(() => {})).remote()).catch((error) => error.name)); await ray.shutdown();`);
      const [, workerPids] = await program.said();
      process.kill(pid, signal);
      assert.equal(await program.said(), "RuntimeStateError");
      assert.equal((await program.ended).exitCode, 0);
      await eventually("the node to end", () => !isRunning(pid));
      assert.ok(!workerPids.some(isRunning), "its workers end before it");
      assert.deepEqual([place.leftovers(), sharedMemoryOf(pid)], [[], []]);
    });
  }

  it("that is killed takes its workers along, and the next one removes what it leaves", async () => {
    const { address, pid } = await place.head("--num-cpus", "2");
    const program = place.join(address, `${HOLDS_EVERYTHING} await new Promise(() => {});`);
    const [, workerPids] = await program.said();
    program.kill("SIGKILL");
    await program.ended;
    process.kill(pid, "SIGKILL");
    await eventually("its workers to end", () => !workerPids.some(isRunning));
    const next = await place.head("--num-cpus", "1");
    await eventually("its memory to be gone", () => sharedMemoryOf(pid).length === 0);
    await eventually("its folder to be gone", () => place.leftovers().length === 1);
    assert.match(place.leftovers()[0] as string, new RegExp(`^mantaray-${next.pid}-`));
    assert.notEqual(next.address, address);
  });

  it("writes to a file of its own, until it is gone", async () => {
    const started = await place.run("start", "--head", "--port", "0");
    const [, logFile] = /^What it writes: (.*)$/m.exec(started.stdout) as RegExpExecArray;
    assert.match(readFileSync(logFile as string, "utf8"), /^\S+ node [0-9a-f]{16} has joined, at 127\.0\.0\.1:\d+\n$/);
    assert.equal(statSync(logFile as string).mode & 0o777, 0o600);
    await place.run("stop");
    assert.equal(existsSync(dirname(logFile as string)), false);
  });

  it("may stay in the foreground", async () => {
    const head = place.start(["start", "--head", "--port", "0", "--num-cpus", "1", "--block"]);
    const [, address] = await head.wrote(/runs at (\S+)/);
    const program = place.join(address as string, `say(await ray.get(ray.remote(() => 5).remote()));`);
    assert.equal(await program.said(), 5);
    await program.ended;
    head.child.kill("SIGINT");
    const { exitCode, signal, stderr } = await head.ended;
    assert.deepEqual([exitCode, signal, stderr], [0, null, ""]);
    assert.deepEqual(place.leftovers(), []);
  });

  it("can be one of several on a machine", async () => {
    const first = await place.head("--num-cpus", "1");
    const second = await place.head("--num-cpus", "3");
    for (const [{ address }, cpus] of [[first, 1], [second, 3]] as const) {
      const program = place.join(address, `say((await ray.clusterResources()).CPU);`);
      assert.equal(await program.said(), cpus);
    }
    const newest = place.join("auto", `say((await ray.clusterResources()).CPU);`);
    assert.equal(await newest.said(), 3);
    const stopped = await place.run("stop", "--address", second.address);
    assert.match(stopped.stdout, new RegExp(`${second.address} .*has ended`));
    assert.deepEqual([isRunning(first.pid), isRunning(second.pid)], [true, false]);
    await place.run("stop");
    assert.equal(isRunning(first.pid), false);
  });

  it("joins a cluster, and leaves it", async () => {
    const head = await place.head("--num-cpus", "1");
    const second = await place.run("start", "--address", head.address, "--num-cpus", "1", "--resources", '{"far": 1}', "--node-name", "second");
    const [, pid] = /joined the cluster at \S+ \(pid (\d+)\)/.exec(second.stdout) as RegExpExecArray;
    assert.match((await place.run("status")).stdout, /^2 nodes alive\n/);
    const program = place.join("auto", `
      const where = ray.remote(() => ray.getRuntimeContext().nodeId);
      class Counter { #count = 0; add(by) { return [this.#count += by, ray.getRuntimeContext().nodeId]; } }
      const counter = ray.remote(Counter).options({ resources: { far: 0.5 } }).remote();
      say([info.nodeId, await ray.get(where.options({ resources: { far: 0.5 } }).remote()), await ray.get(counter.add.remote(2))]);
      say(await ray.get(counter.add.remote(1)));
      while ((await ray.nodes()).filter((node) => node.alive).length > 1) await new Promise((resolve) => setTimeout(resolve, 10));
      say(await ray.get(counter.add.remote(1)).catch((error) => error.name));
      say(await ray.get(where.remote()));
    `);
    const [here, there, [count, counterNode]] = await program.said();
    assert.notEqual(there, here);
    assert.deepEqual([count, counterNode], [2, there]);
    assert.deepEqual(await program.said(), [3, there]);
    process.kill(Number(pid), "SIGTERM");
    assert.equal(await program.said(), "ActorDiedError");
    assert.equal(await program.said(), here);
    assert.equal((await program.ended).exitCode, 0);
    await eventually("the node to end", () => !isRunning(Number(pid)));
    assert.deepEqual(sharedMemoryOf(Number(pid)), []);
    assert.match((await place.run("status")).stdout, /^1 node alive, 1 dead\n/);
  });

  it("is drained by its name, which no other may have", async () => {
    const head = await place.head("--num-cpus", "1", "--node-name", "first");
    const second = await place.run("start", "--address", head.address, "--num-cpus", "1", "--node-name", "second");
    const pid = Number((/pid (\d+)/.exec(second.stdout) as RegExpExecArray)[1]);
    const namesake = await place.run("start", "--address", head.address, "--num-cpus", "1", "--node-name", "first");
    assert.match(namesake.stderr, /^mantaray: .* is called 'first' already; start it with another --node-name/);
    for (const [args, reason] of [[["first"], /is the head/], [["third"], /no node of this cluster .*second/], [[], /takes one node/], [["--deadline-ms", "soon", "second"], /--deadline-ms takes a whole number/]] as const) {
      const refused = await place.run("drain", ...args);
      assert.ok(refused.exitCode !== 0 && reason.test(refused.stderr), refused.stderr);
    }
    const drained = await place.run("drain", "second");
    assert.deepEqual([drained.exitCode, drained.stderr], [0, ""]);
    assert.match(drained.stdout, /^Node [0-9a-f]{16} takes nothing new, and leaves when it has done what it has\.\nNode [0-9a-f]{16} has been drained\.\n$/);
    await eventually("its process to end", () => !isRunning(pid));
    assert.match((await place.run("status")).stdout, /^1 node alive, 1 dead\n/);
  });

  it("ends with its head", async () => {
    const head = await place.head("--num-cpus", "1");
    const { stdout } = await place.run("start", "--address", head.address, "--num-cpus", "1");
    const pid = Number((/pid (\d+)/.exec(stdout) as RegExpExecArray)[1]);
    process.kill(head.pid, "SIGKILL");
    await eventually("it to end", () => !isRunning(pid));
    assert.deepEqual(sharedMemoryOf(pid), []);
  });

  it("does not join what is no cluster of its kind", async () => {
    const head = await place.head("--num-cpus", "1");
    const nobody = await place.run("start", "--address", "127.0.0.1:1");
    assert.match(nobody.stderr, /^mantaray: .*there is no head at 127\.0\.0\.1:1 \(ECONNREFUSED\): start it with/);
    const web = createServer((_request, response) => response.end()).listen(0, "127.0.0.1");
    await once(web, "listening");
    const { port } = web.address() as AddressInfo;
    const another = await place.run("start", "--address", `127.0.0.1:${port}`);
    web.close();
    assert.match(another.stderr, new RegExp(`^mantaray: .*127\\.0\\.0\\.1:${port} sent something that is no handshake of mantaray.* pass the address that .mantaray start --head. has printed`));
    const secret = await place.start(["start", "--address", head.address], { MANTARAY_CLUSTER_TOKEN: "another" }).ended;
    assert.match(secret.stderr, /^mantaray: .*MANTARAY_CLUSTER_TOKEN/);
    const other = await place.ofVersion("0.0.1-another", ["start", "--address", head.address]).ended;
    assert.match(other.stderr, /^mantaray: .*has refused this node: it runs mantaray 0\.0\.1-another, this cluster \S+; install the same version on all nodes\n/);
    assert.match(readFileSync(head.logFile, "utf8"), /refused a node on \S+: it runs mantaray 0\.0\.1-another, this cluster/);
    const member = await place.run("start", "--address", head.address, "--num-cpus", "1", "--port", "0");
    assert.equal(member.exitCode, 0, member.stderr);
    assert.equal(place.leftovers().length, 2);
  });

  it("is killed by force", async () => {
    const { address, pid } = await place.head("--num-cpus", "1");
    const program = place.join(address, `${HOLDS_EVERYTHING} await new Promise(() => {});`);
    const [, workerPids] = await program.said();
    const stopped = await place.run("stop", "--force");
    assert.match(stopped.stdout, /has been killed/);
    assert.equal(isRunning(pid), false);
    await eventually("its workers to end", () => !workerPids.some(isRunning));
    assert.deepEqual([place.leftovers(), sharedMemoryOf(pid)], [[], []]);
  });
});


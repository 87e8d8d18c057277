import assert from "node:assert/strict";
import { after, afterEach, before, describe, it } from "node:test";
import * as ray from "mantaray";
import { startCluster, type TestCluster } from "mantaray/testing";
import { isRunning } from "../cli/command.ts";
import { eventually, everythingFree } from "../conformance/both-isolations.ts";
import { endPrograms, startProgram } from "../conformance/running-program.ts";

class Place {
  #count = 0;
  add(): number {
    return ++this.#count;
  }
  async where(): Promise<[pid: number, thread: number]> {
    return [process.pid, (await import("node:worker_threads")).threadId];
  }
  crash(): Promise<void> {
    process.kill(process.pid, "SIGKILL");
    return new Promise(() => undefined);
  }
  exit(): void {
    process.exit(3);
  }
}

describe("worker threads of a node of its own", () => {
  let cluster: TestCluster;
  before(async () => {
    cluster = await startCluster({ nodes: [{ numCpus: 4, memory: 4e9 }] });
    await ray.init({ address: cluster.address });
  });
  afterEach(async () => {
    await endPrograms();
    await Promise.all(made.splice(0).map((actor) => ray.kill(actor)));
    await everythingFree();
  });
  after(async () => {
    await ray.shutdown();
    await cluster.stop();
  });
  const made: ray.ActorHandle<Place>[] = [];
  function actors(count: number, options: ray.ActorOptions = {}): ray.ActorHandle<Place>[] {
    const some = Array.from({ length: count }, () => ray.remote(Place).options({ numCpus: 1, ...options }).remote());
    made.push(...some);
    return some;
  }

  it("of one program share a process, which is neither the node's nor another program's", async () => {
    const places = await ray.get(actors(3).map((actor) => actor.where.remote()));
    const [host] = places[0] as [number, number];
    assert.deepEqual(places.map(([pid]) => pid), [host, host, host]);
    assert.equal(new Set(places.map(([, thread]) => thread)).size, 3);
    assert.ok(host !== process.pid && host !== cluster.nodes[0]?.pid);
    const task = await ray.get(ray.remote(() => process.pid).remote());
    assert.equal(task, host);
    const apart = await ray.get(ray.remote(() => process.pid).options({ isolation: "process" }).remote());
    assert.ok(apart !== host && apart !== cluster.nodes[0]?.pid);
    const other = startProgram(`await ray.init({ address: ${JSON.stringify(cluster.address)} }); say(await ray.get(ray.remote(() => process.pid).remote())); await hear();`);
    const theirs = (await other.said()) as number;
    assert.ok(theirs !== host && theirs !== cluster.nodes[0]?.pid);
    other.kill("SIGKILL");
    await eventually("its process to end with the program", () => !isRunning(theirs));
  });

  it("are lost together when their process crashes, each with the cause, and nothing else is", async () => {
    const other = startProgram(`
      await ray.init({ address: ${JSON.stringify(cluster.address)} });
      const actor = ray.remote(class Lasting { #count = 0; add() { return ++this.#count; } }).remote();
      say(await ray.get(actor.add.remote()));
      await hear();
      say(await ray.get(actor.add.remote()));
    `);
    assert.equal(await other.said(), 1);
    const [fatal, innocent] = actors(2) as [ray.ActorHandle<Place>, ray.ActorHandle<Place>];
    const [restarting] = actors(1, { maxRestarts: 1, maxTaskRetries: 1 }) as [ray.ActorHandle<Place>];
    await ray.get([fatal.add.remote(), innocent.add.remote(), restarting.add.remote()]);
    await assert.rejects(ray.get(fatal.crash.remote()), (error: Error) => error instanceof ray.ActorDiedError && /process that was killed by signal SIGKILL/.test(error.message));
    await assert.rejects(ray.get(innocent.add.remote()), (error: Error) => error instanceof ray.ActorDiedError && /thread of a process that was killed by signal SIGKILL.*with \d other worker/s.test(error.message));
    assert.equal(await ray.get(restarting.add.remote()), 1, "it has started again");
    const retried = ray.remote((first: number): string | Promise<string> => {
      if (process.pid !== first) return "ran again";
      process.kill(process.pid, "SIGKILL");
      return new Promise<string>(() => undefined);
    });
    assert.equal(await ray.get(retried.remote(await ray.get(ray.remote(() => process.pid).remote()))), "ran again");
    other.tell("go on");
    assert.equal(await other.said(), 2);
    assert.ok(isRunning(cluster.nodes[0]?.pid as number));
  });

  it("end alone when they end themselves, or use up their memory", async () => {
    const [leaving, staying] = actors(2) as [ray.ActorHandle<Place>, ray.ActorHandle<Place>];
    const [[host]] = (await ray.get([leaving.where.remote(), staying.add.remote()])) as [[number, number], number];
    await assert.rejects(ray.get(leaving.exit.remote()), (error: Error) => error instanceof ray.ActorDiedError && /process\.exit\(3\)/.test(error.message));
    const fills = ray.remote(() => {
      const kept: unknown[] = [];
      for (;;) kept.push(Array.from({ length: 1_000 }, (_, index) => ({ index })));
    }).options({ memory: 100e6, maxRetries: 0 });
    await assert.rejects(ray.get(fills.remote()), ray.OutOfMemoryError);
    assert.deepEqual([(await ray.get(staying.where.remote()))[0], await ray.get(staying.add.remote())], [host, 2]);
  });
});

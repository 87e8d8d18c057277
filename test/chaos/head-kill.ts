import assert from "node:assert/strict";
import * as ray from "mantaray";
import type { TestCluster } from "mantaray/testing";
import { nothingIsLeftOf } from "./leftovers.ts";

/** Whatever else happens, nobody ends them. */
const NEVER = { numCpus: 0, maxRetries: -1 } as const;

export interface HeadKillTimes {
  /** From the head's end until the last pending call had ended. */
  readonly callsEndedMs: number;
  /** From then until no process, folder or memory of any node was left. */
  readonly nothingLeftMs: number;
}

/**
 * Kills the head, which no cluster survives, with calls of every kind pending. Rejects unless each of them ends with an error of the runtime
 * and nothing is left of the nodes.
 */
export async function killHead(cluster: TestCluster, callsOfEachKind: number): Promise<HeadKillTimes> {
  const never = ray.remote(function never(_held?: unknown) { return new Promise<number>(() => undefined); }, NEVER);
  const nested = ray.remote(function nested(): Promise<number> { return never.remote().get(); }, NEVER);
  const stream = ray.remote(async function* stream() { yield 1; await new Promise(() => undefined); }, NEVER);
  const waiting = ray.remote(function waiting() { return 1; }, { resources: { "not there": 1 } });
  class Silent { started() { return true; } async never() { return new Promise<number>(() => undefined); } }
  const actors = Array.from({ length: callsOfEachKind }, () => ray.remote(Silent, { maxRestarts: -1, maxTaskRetries: -1 }).remote());
  await ray.get(actors.map((actor) => actor.started.remote()));
  const streams = Array.from({ length: 5 }, () => stream.remote()[Symbol.asyncIterator]());
  for (const values of streams) assert.equal(await ray.get((await values.next()).value as ray.ObjectRef<number>), 1);

  const large = ray.put(new Float64Array(100_000));
  const pending: Promise<unknown>[] = [
    ...Array.from({ length: callsOfEachKind }, () => [never.remote({ large }), nested.remote(), waiting.remote(), never.remote(never.remote())]).flat().map((ref) => ref.get()),
    ...actors.map((actor) => actor.never.remote().get()),
    // What comes next is a ref to the error.
    ...streams.map(async (values) => ray.get((await values.next()).value as ray.ObjectRef<number>)),
    ray.remote(Silent, { resources: { "not there": 1 } }).remote().never.remote().get(),
  ];
  const outcomes = pending.map((call) => call.then((value) => `the value ${String(value)}`, (error: ray.RayError) => error.code ?? String(error)));
  // All have been sent, and most have begun.
  await ray.get(actors.map((actor) => actor.started.remote()));
  const pids = cluster.nodes.map(({ pid }) => pid);
  const killedMs = performance.now();
  process.kill(pids[0]!, "SIGKILL");
  for (const [index, outcome] of (await Promise.all(outcomes)).entries()) assert.match(outcome, /^ERR_MANTARAY_/, `call ${index}`);
  const callsEndedMs = performance.now() - killedMs;
  const leftMs = await Promise.all(pids.map(nothingIsLeftOf));
  return { callsEndedMs, nothingLeftMs: Math.max(...leftMs) };
}

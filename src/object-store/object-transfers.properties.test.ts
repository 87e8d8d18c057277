import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { SeededRandom } from "../base/mod.ts";
import { SimulatedCluster } from "./fixtures/simulated-transfers.ts";
import { CHUNK_BYTES, type RemoteObject, remoteKey } from "./remote-object.ts";

const RUNS = Number(process.env["MANTARAY_TEST_RUNS"] ?? 200);
const STEPS = 120;
/** A gigabyte a second. */
const BYTES_PER_MS = 1e6;
const SLOW_BYTES_PER_MS = 20_000;
/** 400 Mbit/s. */
const OFFICE_BYTES_PER_MS = 50_000;
const ROOM_BYTES = 2_000 * CHUNK_BYTES;
const PRIORITIES = ["get", "argument", "prefetch"] as const;

/** Milliseconds until all receivers have an object, and how often each node has sent it. */
function broadcast(receivers: number, chunks: number, bytesPerMs: number): { readonly ms: number; readonly sent: readonly number[] } {
  const names = Array.from({ length: receivers + 1 }, (_, index) => `n${index}`);
  const cluster = new SimulatedCluster(new SeededRandom(receivers), names, bytesPerMs, ROOM_BYTES);
  const object: RemoteObject = { node: "n0", id: 1, byteLength: chunks * CHUNK_BYTES };
  cluster.node("n0").primaries.set(1, object);
  for (const name of names.slice(1)) cluster.node(name).ask(1, object, "get");
  const isDone = (): boolean => names.slice(1).every((name) => cluster.node(name).outcomes.get(1) === "complete");
  assert.ok(cluster.runUntil(isDone, 600_000));
  return { ms: cluster.nowMs, sent: names.map((name) => cluster.node(name).sentBytes / object.byteLength) };
}

describe("a broadcast", () => {
  for (const [network, bytesPerMs] of [["a fast", BYTES_PER_MS], ["a slow", OFFICE_BYTES_PER_MS]] as const) {
    const one = broadcast(1, 256, bytesPerMs);
    for (const [receivers, timesOfOneMax] of [[2, 1.1], [4, 1.1], [16, 1.5], [40, 2]] as const) {
      test(`over ${network} network to ${receivers} nodes takes less than ${timesOfOneMax} times the time of one, and costs each sender a bounded share`, () => {
        const { ms, sent } = broadcast(receivers, 256, bytesPerMs);
        assert.ok(ms < timesOfOneMax * one.ms, `${ms} ms, and to one ${one.ms} ms`);
        assert.ok(sent[0]! < 2, `the first node has sent it ${sent[0]} times`);
        assert.ok(Math.max(...sent) < 3, `some node has sent it ${Math.max(...sent)} times`);
      });
    }
  }

  test("of an object of few chunks over a slow network is not all sent by the first node: who waits for chunks that come is patient", () => {
    const { ms, sent } = broadcast(8, 16, OFFICE_BYTES_PER_MS);
    const one = broadcast(1, 16, OFFICE_BYTES_PER_MS);
    assert.ok(sent[0]! < 2, `the first node has sent it ${sent[0]} times`);
    assert.ok(ms < 2.5 * one.ms, `${ms} ms, and to one ${one.ms} ms`);
  });
});

/** Random asks while connections break, nodes die, objects are freed and copies are dropped. */
function play(seed: number): void {
  const random = new SeededRandom(seed);
  const names = ["n0", "n1", "n2", "n3", "n4"];
  const cluster = new SimulatedCluster(random, names, BYTES_PER_MS, ROOM_BYTES);
  const objects: RemoteObject[] = [];
  const asked = new Map<number, { readonly node: string; readonly object: RemoteObject }>();
  const troubled = new Set<RemoteObject>();
  const pick = <T>(from: readonly T[]): T => from[random.below(from.length)] as T;
  let askId = 0;
  for (let id = 0; id < 4; id++) {
    const object = { node: pick(names), id, byteLength: 1 + random.below(40 * CHUNK_BYTES) };
    cluster.node(object.node).primaries.set(id, object);
    objects.push(object);
  }
  if (random.below(3) === 0) cluster.node(pick(names)).bytesPerMs = SLOW_BYTES_PER_MS;
  for (let step = 0; step < STEPS; step++) {
    const name = pick(names);
    const node = cluster.node(name);
    const object = pick(objects);
    const choice = random.below(100);
    if (!node.isAlive) continue;
    if (choice < 50) {
      if (object.node === name || !cluster.node(object.node).isAlive || node.copies.get(remoteKey(object))?.isComplete === true) continue;
      node.roomDelayMs = random.below(5) === 0 ? 100 : 0;
      node.ask(++askId, object, pick(PRIORITIES));
      asked.set(askId, { node: name, object });
    } else if (choice < 58 && asked.size > 0) {
      const [id, ask] = pick([...asked]);
      if (cluster.node(ask.node).outcomes.has(id)) continue;
      cluster.node(ask.node).cancel(id);
      asked.delete(id);
    } else if (choice < 70) {
      const other = cluster.node(pick(names));
      if (other !== node && other.isAlive) node.disconnect(other);
    } else if (choice < 72) {
      for (const each of objects) if (each.node === name) troubled.add(each);
      for (const [id, ask] of asked) if (ask.node === name) asked.delete(id);
      node.die();
    } else if (choice < 76) {
      troubled.add(object);
      cluster.node(object.node).free(object.id);
    } else if (choice < 82) {
      for (const key of [...node.copies.keys()]) node.drop(key);
    } else {
      cluster.runUntil(() => false, random.below(60));
    }
  }
  const unanswered = (): number[] => [...asked].filter(([id, { node }]) => !cluster.node(node).outcomes.has(id)).map(([id]) => id);
  assert.ok(cluster.runUntil(() => unanswered().length === 0, 600_000), `never answered: ${unanswered().join()}`);
  for (const [id, { node, object }] of asked) {
    const outcome = cluster.node(node).outcomes.get(id);
    if (!troubled.has(object)) assert.equal(outcome, "complete");
    else assert.ok(outcome === "complete" || outcome === "ObjectLostError" || outcome === "ObjectFreedError", outcome);
  }
  cluster.runUntil(() => false, 60_000);
  for (const { isAlive, pulls, shares } of cluster.nodes.values()) if (isAlive) assert.deepEqual([pulls.isActive, shares.isHolding], [false, false], "something is left");
}

test("whatever breaks, every chunk arrives once, in bounds, and everybody who asks is answered", () => {
  fc.assert(fc.property(fc.nat(), play), { numRuns: RUNS, endOnFailure: true });
});

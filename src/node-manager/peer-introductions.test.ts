import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { WorkerId } from "../base/mod.ts";
import { type FromNode, plainWorkerKind } from "../protocol/mod.ts";
import { connectedWorker, type ConnectedWorker } from "./connected-worker.ts";
import { PeerIntroductions } from "./peer-introductions.ts";

const NODE = "aaaaaaaa";
const HERE = `${NODE}000000000005`;
const FAR_SMALLER = "bbbbbbbb000000000001";
const SMALLER = `${NODE}000000000001`;
const LARGER = `${NODE}000000000009`;

function setUp(driverId: WorkerId | null = null): { readonly introductions: PeerIntroductions; readonly done: string[] } {
  const done: string[] = [];
  const workers = new Map<WorkerId, ConnectedWorker>([HERE, SMALLER, LARGER].map((id) => [id, connectedWorker(id, id === driverId ? "driver" : plainWorkerKind("thread"), null, null, null)]));
  const introductions = new PeerIntroductions({
    node: NODE, workers, connect: () => undefined, end: (workerId) => done.push(`end ${workerId}`),
    send: (workerId, message: FromNode) => done.push(`${message.type} ${workerId}`),
    cluster: {
      firstLeaseId: 1, toWorker: () => true, wantsChanged: () => undefined, loadChanged: () => undefined, actorDeclined: () => undefined, actorMakesTrouble: () => undefined, drained: () => undefined,
      fromWorker: (node, senderId, message) => done.push(`${message.type} of ${senderId} to ${node}`) > 0 && node !== "cccccccc",
    },
  });
  return { introductions, done };
}

describe("workers whose connection breaks", () => {
  test("one of the two ends, the same one whoever notices, once it is known that both live", () => {
    for (const [askerId, targetId, outcome] of [[SMALLER, LARGER, `end ${LARGER}`], [LARGER, SMALLER, `leaveNow ${LARGER}`]] as const) {
      const { introductions, done } = setUp();
      introductions.broken(askerId, targetId, false);
      assert.deepEqual(done.splice(0), [`ping ${targetId}`]);
      introductions.answered(targetId);
      introductions.answered(targetId);
      assert.deepEqual(done, [outcome]);
    }
  });

  test("a dead one is not waited for", () => {
    const { introductions, done } = setUp();
    introductions.broken(LARGER, SMALLER, false);
    introductions.workerLost(SMALLER);
    introductions.answered(SMALLER);
    assert.deepEqual(done, [`ping ${SMALLER}`]);
  });

  test("a program never ends", () => {
    const noticed = setUp();
    noticed.introductions.broken(LARGER, SMALLER, true);
    noticed.introductions.answered(SMALLER);
    assert.deepEqual(noticed.done, [`ping ${SMALLER}`, `end ${SMALLER}`]);
    const asked = setUp(LARGER);
    asked.introductions.broken(SMALLER, LARGER, false);
    asked.introductions.answered(LARGER);
    assert.deepEqual(asked.done, [`ping ${LARGER}`, `leaveNow ${SMALLER}`]);
    const both = setUp(LARGER);
    both.introductions.broken(SMALLER, LARGER, true);
    both.introductions.answered(LARGER);
    assert.deepEqual(both.done, [`ping ${LARGER}`, `workerDied ${SMALLER}`, `workerDied ${LARGER}`]);
  });

  test("the node of the other one decides; where that is gone, so is the worker", () => {
    const { introductions, done } = setUp();
    introductions.broken(HERE, FAR_SMALLER, false);
    assert.deepEqual(done.splice(0), [`peerBroken of ${HERE} to bbbbbbbb`]);
    introductions.broken(HERE, "cccccccc000000000001", false);
    assert.deepEqual(done.splice(0), [`peerBroken of ${HERE} to cccccccc`, `workerDied ${HERE}`]);
    introductions.broken(HERE, `${NODE}00000000000f`, false);
    assert.deepEqual(done, [`workerDied ${HERE}`]);
  });
});

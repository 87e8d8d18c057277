import assert from "node:assert/strict";
import { test } from "node:test";
import type { PulledObject } from "../protocol/mod.ts";
import { NodeObjects } from "./node-objects.ts";

const FAR = { node: "far", id: 1, byteLength: 600 };

test("without shared memory copies are kept in the process, within the store's size, and workers get their bytes", () => {
  const replies: (PulledObject | null)[] = [];
  const events: string[] = [];
  const rooms = new Map<number, Uint8Array>();
  const objects = new NodeObjects({ nodeId: "node", capacityBytes: 1_000, running: () => null, reply: (_workerId, _requestId, result) => void replies.push(result) });
  objects.events = {
    held: () => void events.push("held"),
    holdFailed: (_id, { kind }) => void events.push(`hold: ${kind}`),
    gone: () => void events.push("gone"),
    copyRoom: (id, bytes) => void rooms.set(id, bytes),
    copyRefused: () => void events.push("refused"),
    copyDropped: (id) => void events.push(`dropped ${id}`),
  };
  const first = objects.addCopy(FAR);
  assert.ok(typeof first === "number");
  assert.equal(rooms.size, 0, "told after it is known, not before");
  objects.settle();
  rooms.get(first)!.fill(7);
  const refused = objects.addCopy(FAR);
  assert.ok(typeof refused === "object" && refused.kind === "ObjectStoreFullError", "the first is on its way");
  objects.completeCopy(first);
  assert.ok(objects.deliver("worker", 1, first));
  const [bytes] = replies;
  assert.ok(bytes instanceof Uint8Array && bytes.byteLength === 600 && bytes.every((byte) => byte === 7));
  assert.equal(typeof objects.addCopy(FAR), "object", "it is in use");
  objects.unpinCopy(first);
  assert.equal(typeof objects.addCopy(FAR), "number");
  objects.hold(5);
  objects.settle();
  assert.deepEqual(events, [`dropped ${first}`, "hold: ObjectFreedError"], "this node has no objects of its own to give");
  assert.equal(objects.deliver("worker", 2, first), false);
});

import assert from "node:assert/strict";
import { test } from "node:test";
import { nodeKeyOf } from "../base/mod.ts";
import type { NodeRecord, NodeToNode } from "../protocol/mod.ts";
import { OtherNodes, type PeerNodeLink } from "./other-nodes.ts";

const OTHER: NodeRecord = { nodeId: "aaaaaaaa00000000", hostname: "other", name: null, pid: 1, address: { host: "127.0.0.1", port: 1 }, objectAddress: null, totals: {}, labels: {} };

function link(): { readonly link: PeerNodeLink; deliver(message: NodeToNode): void; isClosed: boolean } {
  let handler: (message: NodeToNode) => void = () => undefined;
  const made = {
    isClosed: false,
    deliver: (message: NodeToNode) => handler(message),
    link: { send: () => undefined, sendSoon: () => undefined, onMessage: (given: typeof handler) => { handler = given; }, onClose: () => undefined, flush: () => true, close: () => { made.isClosed = true; }, ref: () => undefined, unref: () => undefined },
  };
  return made;
}

test("what a node has sent that is gone is void, also when it comes later than that news", () => {
  const received: NodeToNode[] = [];
  const others = new OtherNodes({ connect: () => Promise.reject(new Error("not here")), onMessage: (_node, message) => received.push(message), jobOf: () => null, warn: () => undefined });
  const key = nodeKeyOf(OTHER.nodeId);
  const incoming = link();
  others.accept(key, incoming.link);
  others.joined(OTHER);
  const message: NodeToNode = { type: "ownerGone", workerId: "w" };
  incoming.deliver(message);
  assert.deepEqual(received, [message]);
  others.lost(key);
  assert.ok(incoming.isClosed);
  incoming.deliver(message);
  assert.equal(received.length, 1);
  const late = link();
  others.accept(key, late.link);
  assert.ok(late.isClosed);
});

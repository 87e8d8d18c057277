import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { unpackMessage } from "../clients/mod.ts";
import type { PeerMessage } from "../protocol/mod.ts";
import type { Channel } from "../transport/mod.ts";
import { Peer } from "./peer.ts";

const nextTurn = (): Promise<void> => new Promise((resolve) => { setImmediate(resolve); });
const leaving: PeerMessage = { type: "leaving" };
const confirmed = (ackId: number): PeerMessage => ({ type: "borrowerAdded", ackId });

function openPeer(): { peer: Peer; sent: (PeerMessage | "frame")[] } {
  const sent: (PeerMessage | "frame")[] = [];
  const channel: Channel = {
    peerId: "p", isClosed: false, flush: () => true, onFrame: () => undefined, onClose: () => undefined, close: () => undefined, ref: () => undefined, unref: () => undefined,
    send: () => { sent.push("frame"); return true; },
    sendParts: (parts) => { sent.push(unpackMessage(parts[1] as Uint8Array) as PeerMessage); return true; },
  };
  const peer = new Peer("p");
  peer.opened(channel);
  return { peer, sent };
}

describe("what is sent soon", () => {
  test("goes when the event loop turns, not before", async () => {
    const { peer, sent } = openPeer();
    assert.equal(peer.sendSoon(() => confirmed(1)), true);
    peer.sendSoon(() => confirmed(2));
    await Promise.resolve();
    assert.deepEqual(sent, []);
    await nextTurn();
    assert.deepEqual(sent, [confirmed(1), confirmed(2)]);
  });

  test("goes before any other frame, as it is then", async () => {
    for (const [send, frame] of [[(peer: Peer) => peer.send(new Uint8Array(1)), "frame"], [(peer: Peer) => peer.sendMessage(leaving), leaving]] as const) {
      const { peer, sent } = openPeer();
      let ackId = 1;
      peer.sendSoon(() => confirmed(ackId));
      ackId = 2;
      assert.equal(send(peer), true);
      assert.deepEqual(sent, [confirmed(2), frame]);
      await nextTurn();
      assert.equal(sent.length, 2, "once");
    }
  });

  test("waits for a channel that is not open yet", async () => {
    const peer = new Peer("p");
    const other = openPeer();
    peer.sendSoon(() => leaving);
    await nextTurn();
    peer.opened(other.peer.channel as Channel);
    assert.deepEqual(other.sent, [leaving]);
  });

  test("is refused by a peer that is gone", async () => {
    const { peer, sent } = openPeer();
    peer.sendSoon(() => leaving);
    peer.isLost = true;
    assert.equal(peer.sendSoon(() => leaving), false);
    await nextTurn();
    assert.deepEqual(sent, []);
  });
});

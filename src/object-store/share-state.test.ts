import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { HOLD_IDLE_MS, type ShareInstruction, ShareState } from "./share-state.ts";

const KEY = "here/7";
const freed = { kind: "ObjectFreedError", message: "freed", subjectId: "7" } as const;

/** A node whose object 7 others want, and which gets `coming` from elsewhere. */
class Shares {
  readonly arrived = new Set<number>();
  readonly state = new ShareState({ ownNode: "here", has: (_key, chunk) => this.arrived.has(chunk), isComing: (key) => key === "far/1" });
  #requests = 0;

  take(): ShareInstruction[] {
    return this.state.takeInstructions();
  }

  /** Each node has one connection, named by its number: "node3" has 3. */
  ask(peer: number, chunk: number, insists: boolean = false): ShareInstruction[] {
    this.state.chunk({ peer, node: `node${peer}`, requestId: ++this.#requests, chunk }, KEY, 7, insists);
    return this.take();
  }

  open(...peers: readonly number[]): void {
    for (const peer of peers) this.state.open(peer, `node${peer}`, 7);
    this.state.held(7);
    this.take();
  }
}

const outcome = ([instruction]: readonly ShareInstruction[]): string => (instruction?.type === "redirect" ? `to ${instruction.node}` : (instruction?.type ?? "nothing"));

describe("objects for other nodes", () => {
  test("(1) (2) an object comes into memory once for all that open it", () => {
    const { state } = new Shares();
    state.open(1, "node1", 7);
    state.open(2, "node2", 7);
    assert.deepEqual(state.takeInstructions(), [{ type: "hold", id: 7 }]);
    state.held(7);
    assert.deepEqual(state.takeInstructions(), [1, 2].map((peer) => ({ type: "opened", peer, key: KEY })));
  });

  test("(1) who opens what is gone is told, and nothing is remembered", () => {
    const { state } = new Shares();
    state.open(1, "node1", 7);
    state.holdFailed(7, freed);
    assert.deepEqual(state.takeInstructions().slice(1), [{ type: "openFailed", peer: 1, key: KEY, failure: freed }, { type: "unwatch", id: 7 }]);
    assert.equal(state.isHolding, false);
  });

  test("(3) (4) it may leave memory when nobody asks, and comes back for who does", () => {
    const shares = new Shares();
    shares.open(1);
    assert.equal(outcome(shares.ask(1, 0)), "send");
    shares.state.tick(HOLD_IDLE_MS * 2);
    assert.deepEqual(shares.take(), [], "a chunk is being sent");
    shares.state.sent("node1", 7);
    shares.state.tick(HOLD_IDLE_MS * 4);
    assert.deepEqual(shares.take(), [{ type: "letGo", id: 7 }]);
    assert.equal(outcome(shares.ask(1, 1)), "hold");
    shares.state.held(7);
    assert.equal(outcome(shares.take()), "send");
  });

  test("(4) who asks alone gets all of it from here; of several the later ones are sent to the earlier ones, evenly", () => {
    const shares = new Shares();
    shares.open(1, 2, 3, 4);
    assert.equal(outcome(shares.ask(1, 0)), "send");
    assert.equal(outcome(shares.ask(2, 1)), "send");
    assert.equal(outcome(shares.ask(1, 1)), "to node2");
    assert.equal(outcome(shares.ask(2, 0)), "to node1");
    const third = [outcome(shares.ask(3, 0)), outcome(shares.ask(3, 1))];
    assert.deepEqual(third, ["to node1", "to node2"], "each of the two has been sent one more, and the first has the chunk sooner");
  });

  test("(4) who insists, or asks again, gets it from here", () => {
    const shares = new Shares();
    shares.open(1, 2);
    shares.ask(1, 0);
    assert.equal(outcome(shares.ask(2, 0)), "to node1");
    assert.equal(outcome(shares.ask(2, 0, true)), "send");
    assert.equal(outcome(shares.ask(1, 0)), "send");
  });

  test("(5) nobody is sent to a node that has dropped its copy or ended", () => {
    const shares = new Shares();
    shares.open(1, 2, 3);
    shares.ask(1, 0);
    shares.ask(2, 1);
    shares.state.closed("node1", 7);
    shares.state.nodeLost("node2");
    assert.deepEqual([outcome(shares.ask(3, 0)), outcome(shares.ask(3, 1))], ["send", "send"]);
    assert.equal(outcome(shares.ask(1, 2)), "refuse", "it has said that it wants none");
    shares.take();
    shares.state.closed("node3", 7);
    assert.deepEqual(shares.take(), [{ type: "letGo", id: 7 }, { type: "unwatch", id: 7 }]);
  });

  test("(6) all holders are told of the end, also one that was out of reach", () => {
    const shares = new Shares();
    shares.open(1, 2);
    shares.state.peerLost(2);
    shares.state.primaryGone(7, freed);
    assert.deepEqual(shares.take(), [{ type: "tellFreed", node: "node1", id: 7 }, { type: "tellFreed", node: "node2", id: 7 }, { type: "letGo", id: 7 }]);
    shares.state.holding("node2", [7]);
    assert.deepEqual(shares.take(), [{ type: "tellFreed", node: "node2", id: 7 }]);
  });

  test("(7) who waits for chunks that are coming hears so now and then, once for all that it waits for", () => {
    const shares = new Shares();
    for (const [peer, chunk] of [[1, 0], [1, 1], [2, 0]] as const) shares.state.awaitChunk({ peer, node: `node${peer}`, requestId: peer + chunk, chunk }, "far/1");
    shares.state.tick(250);
    assert.deepEqual(shares.take(), [1, 2].map((peer) => ({ type: "coming", peer, key: "far/1" })));
    shares.state.arrived("far/1", 0);
    shares.take();
    shares.state.tick(500);
    assert.deepEqual(shares.take(), [{ type: "coming", peer: 1, key: "far/1" }]);
    shares.state.copyEnded("far/1");
    shares.take();
    shares.state.tick(750);
    assert.deepEqual(shares.take(), []);
  });

  test("(7) a chunk that is coming is announced when it is here, and refused when the object is not coming any more", () => {
    const shares = new Shares();
    const asker = (requestId: number, chunk: number) => ({ peer: 1, node: "node1", requestId, chunk });
    for (const chunk of [0, 1, 2]) shares.state.awaitChunk(asker(chunk, chunk), "far/1");
    shares.state.awaitChunk(asker(9, 0), "far/2");
    assert.deepEqual(shares.take(), [{ type: "refuse", peer: 1, requestId: 9 }]);
    shares.arrived.add(1);
    shares.state.arrived("far/1", 1);
    assert.deepEqual(shares.take(), [{ type: "ready", peer: 1, requestId: 1 }]);
    shares.state.chunk(asker(10, 1), "far/1", null, false);
    shares.state.chunk(asker(11, 2), "far/1", null, false);
    assert.deepEqual(shares.take().map(({ type }) => type), ["send", "refuse"]);
    shares.state.cancel(1, 0);
    shares.state.copyEnded("far/1");
    assert.deepEqual(shares.take(), [{ type: "refuse", peer: 1, requestId: 2 }]);
  });
});

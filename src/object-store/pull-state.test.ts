import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { PullInstruction } from "./pull-instructions.ts";
import { ACTIVE_PULLS_MAX, BYTES_IN_FLIGHT_MAX, NODE_BYTES_IN_FLIGHT_MAX, PullState, SILENT_MS_MAX, SLOW_MS_MAX, STALL_MS_MAX, UNREACHABLE_MS_MAX } from "./pull-state.ts";
import { CHUNK_BYTES, type RemoteObject, remoteKey } from "./remote-object.ts";

const ROOM_BYTES = 1024 * CHUNK_BYTES;
type Of<T extends PullInstruction["type"]> = Extract<PullInstruction, { readonly type: T }>;

const objectOf = (id: number, chunks: number, node: string = "origin"): RemoteObject => ({ node, id, byteLength: chunks * CHUNK_BYTES - 7 });
const freed = { kind: "ObjectFreedError", message: "freed", subjectId: "1" } as const;

/** A PullState and what it has said. */
class Pulls {
  readonly state = new PullState({ ownNode: "here", roomBytes: ROOM_BYTES });
  readonly #said: PullInstruction[] = [];

  /** Those of one type since it was asked last. */
  take<T extends PullInstruction["type"]>(type: T): Of<T>[] {
    this.#said.push(...this.state.takeInstructions());
    const taken = this.#said.filter((each): each is Of<T> => each.type === type);
    for (const each of taken) this.#said.splice(this.#said.indexOf(each), 1);
    return taken;
  }

  start(askId: number, object: RemoteObject, priority: "get" | "argument" | "prefetch" = "get"): Of<"request">[] {
    this.state.ask(askId, object, priority, 0);
    this.state.roomGranted(remoteKey(object));
    this.state.opened(remoteKey(object));
    return this.take("request");
  }

  /** Bytes come for all that is asked for, until nothing is asked for any more. */
  serve(requests: readonly Of<"request">[]): void {
    for (let asked = requests; asked.length > 0; asked = this.take("request")) for (const { requestId } of asked) this.state.received(requestId);
  }
}

describe("pulls of objects of other nodes", () => {
  test("(1) (2) (3) (8) memory and the primary's node are asked at once, then for chunks within bounds, until all are here", () => {
    const pulls = new Pulls();
    const object = objectOf(1, 20);
    pulls.state.ask(7, object, "get", 0);
    assert.deepEqual([pulls.take("reserve").length, pulls.take("open").length, pulls.take("request").length], [1, 1, 0]);
    pulls.state.roomGranted("origin/1");
    assert.equal(pulls.take("request").length, 0, "the primary's node has not said that the object is there");
    pulls.state.opened("origin/1");
    const asked = pulls.take("request");
    assert.deepEqual(asked.map(({ chunk }) => chunk), Array.from({ length: NODE_BYTES_IN_FLIGHT_MAX / CHUNK_BYTES }, (_, chunk) => chunk));
    pulls.serve(asked);
    assert.equal(pulls.take("arrived").length, 20);
    assert.deepEqual(pulls.take("completed"), [{ type: "completed", key: "origin/1", object, askIds: [7] }]);
    assert.equal(pulls.state.isActive, false);
  });

  test("(1) who asks for the same object shares the pull, and it is as urgent as the most urgent", () => {
    const pulls = new Pulls();
    const blocking = objectOf(99, 800);
    pulls.start(1, blocking);
    pulls.state.ask(2, objectOf(5, 300), "prefetch", 0);
    assert.deepEqual(pulls.take("reserve").map(({ key }) => key), ["origin/99"], "a prefetch has only a quarter of the store");
    pulls.state.ask(3, objectOf(5, 300), "get", 0);
    assert.deepEqual(pulls.take("reserve").map(({ key }) => key), ["origin/5"]);
    pulls.state.cancel(3);
    pulls.state.cancel(2);
    assert.deepEqual(pulls.take("abandon").map(({ key }) => key), ["origin/5"]);
  });

  test("(2) what is urgent starts first, and is not held up by the number of others", () => {
    const pulls = new Pulls();
    for (let id = 0; id < ACTIVE_PULLS_MAX + 5; id++) pulls.state.ask(id, objectOf(id, 1), "prefetch", 0);
    assert.equal(pulls.take("reserve").length, ACTIVE_PULLS_MAX);
    pulls.state.ask(1000, objectOf(1000, 1), "get", 0);
    assert.deepEqual(pulls.take("reserve").map(({ key }) => key), ["origin/1000"]);
    for (const id of [0, 1000]) {
      pulls.state.roomGranted(`origin/${id}`);
      pulls.state.opened(`origin/${id}`);
    }
    assert.deepEqual(pulls.take("request").map(({ key }) => key), ["origin/0", "origin/1000"]);
  });

  test("bytes in flight are bounded in all, and the urgent one is asked for first when there is room again", () => {
    const pulls = new Pulls();
    const nodes = ["a", "b", "c", "d"];
    const asked = nodes.flatMap((node, index) => pulls.start(index, objectOf(index, 30, node), "argument"));
    assert.equal(asked.length * CHUNK_BYTES, BYTES_IN_FLIGHT_MAX);
    assert.deepEqual(pulls.start(8, objectOf(8, 30, "e"), "argument"), []);
    assert.deepEqual(pulls.start(9, objectOf(9, 30, "f"), "get"), []);
    pulls.state.received(asked[0]!.requestId);
    assert.deepEqual(pulls.take("request").map(({ node }) => node), ["f"]);
  });

  test("(5) when nobody asks any more, requests are cancelled and late bytes mean nothing", () => {
    const pulls = new Pulls();
    const asked = pulls.start(1, objectOf(1, 3));
    pulls.state.cancel(1);
    assert.deepEqual(pulls.take("cancelRequest").map(({ requestId }) => requestId), asked.map(({ requestId }) => requestId));
    for (const { requestId } of asked) pulls.state.received(requestId);
    assert.deepEqual([pulls.take("arrived"), pulls.take("completed"), pulls.take("askFailed"), pulls.state.isActive], [[], [], [], false]);
  });

  test("(6) (7) freed, lost with its node, or without room: everybody who asked is told why", () => {
    const pulls = new Pulls();
    pulls.start(1, objectOf(1, 3));
    pulls.start(2, objectOf(1, 3));
    pulls.state.failed("origin/1", freed);
    assert.deepEqual(pulls.take("askFailed"), [{ type: "askFailed", askIds: [1, 2], failure: freed }]);
    pulls.start(3, objectOf(2, 3));
    pulls.start(4, objectOf(3, 3, "other"));
    pulls.state.nodeLost("origin", "its machine is off");
    const [failure] = pulls.take("askFailed");
    assert.deepEqual([failure?.askIds, failure?.failure.kind], [[3], "ObjectLostError"]);
    assert.match(failure!.failure.message, /its machine is off/);
    assert.equal(pulls.take("abandon").length, 2);
  });

  test("(4) a connection that breaks is opened again, and only what had not come is asked for again", () => {
    const pulls = new Pulls();
    const asked = pulls.start(1, objectOf(1, 4));
    pulls.state.received(asked[2]!.requestId);
    pulls.take("open");
    pulls.state.unreachable("origin");
    pulls.state.tick(100);
    assert.equal(pulls.take("open").length, 0, "not at once");
    pulls.state.tick(1_000);
    assert.equal(pulls.take("open").length, 1);
    pulls.state.opened("origin/1");
    const again = pulls.take("request");
    assert.deepEqual(again.map(({ chunk }) => chunk).sort(), [0, 1, 3]);
    pulls.serve(again);
    assert.equal(pulls.take("completed").length, 1);
  });

  test("(6) a node that is out of reach for long costs the object", () => {
    const pulls = new Pulls();
    pulls.start(1, objectOf(1, 4));
    for (let nowMs = 0; nowMs <= UNREACHABLE_MS_MAX + 2_000; nowMs += 250) {
      pulls.state.tick(nowMs);
      if (pulls.take("open").length > 0) pulls.state.unreachable("origin");
    }
    assert.match(pulls.take("askFailed")[0]!.failure.message, /could not be reached for 30 s/);
    assert.equal(pulls.state.isActive, false);
  });

  test("(10) (11) (12) a redirection waits without bytes in flight until the other holder has the chunk", () => {
    const pulls = new Pulls();
    const asked = pulls.start(1, objectOf(1, 40));
    for (const { requestId } of asked) pulls.state.redirected(requestId, "peer");
    const awaited = pulls.take("awaitChunk");
    assert.deepEqual(awaited.map(({ node, chunk }) => [node, chunk]), asked.map(({ chunk }) => ["peer", chunk]));
    const more = pulls.take("request");
    assert.equal(more.length, asked.length, "the primary's node is asked on");
    pulls.state.ready(awaited[1]!.requestId);
    assert.deepEqual(pulls.take("request").map(({ node, chunk }) => [node, chunk]), [["peer", 1]]);
  });

  test("(13) who was named and does not have it, or cannot be reached: the primary's node is asked again and told so", () => {
    const pulls = new Pulls();
    const [first, second, third] = pulls.start(1, objectOf(1, 3));
    for (const each of [first!, second!]) pulls.state.redirected(each.requestId, "peer");
    pulls.state.redirected(third!.requestId, "here");
    const again = pulls.take("request");
    assert.deepEqual(again.map(({ node, chunk, insists }) => [node, chunk, insists]), [["origin", 2, true]], "it was named itself");
    const [a, b] = pulls.take("awaitChunk");
    pulls.state.refused(a!.requestId);
    pulls.state.ready(b!.requestId);
    const fromPeer = pulls.take("request").find(({ node }) => node === "peer");
    assert.equal(fromPeer?.chunk, b!.chunk);
    pulls.state.unreachable("peer");
    assert.deepEqual(pulls.take("request").map(({ node, chunk, insists }) => [node, chunk, insists]), [["origin", b!.chunk, true]]);
    pulls.state.received(fromPeer!.requestId);
    assert.deepEqual(pulls.take("arrived"), [], "bytes of a request that was given up");
  });

  test("(13) what a slow holder has not sent is asked of the primary's node when nothing else is left", () => {
    const pulls = new Pulls();
    const asked = pulls.start(1, objectOf(1, 2));
    for (const { requestId } of asked) pulls.state.redirected(requestId, "slow");
    const [a] = pulls.take("awaitChunk");
    pulls.state.ready(a!.requestId);
    const [slow] = pulls.take("request");
    pulls.state.tick(SILENT_MS_MAX - 1);
    assert.deepEqual(pulls.take("request"), []);
    pulls.state.tick(SILENT_MS_MAX);
    assert.ok(pulls.take("cancelRequest").some(({ requestId }) => requestId === slow!.requestId), "its bytes must not be written any more");
    const stolen = pulls.take("request");
    assert.deepEqual(stolen.map(({ node, insists }) => [node, insists]), [["origin", true], ["origin", true]]);
    pulls.state.received(slow!.requestId);
    pulls.serve(stolen);
    assert.equal(pulls.take("arrived").length, 2);
    assert.equal(pulls.take("completed").length, 1);
  });

  test("(11) (13) who says that it waits itself is not silent, and of those that have been slow for long one chunk at a time is asked of the primary's node", () => {
    const pulls = new Pulls();
    const asked = pulls.start(1, objectOf(1, 3));
    for (const { requestId } of asked) pulls.state.redirected(requestId, "peer");
    const [first, second, third] = pulls.take("awaitChunk");
    for (let nowMs = 0; nowMs < SLOW_MS_MAX; nowMs += 250) {
      pulls.state.coming("origin/1", "peer");
      pulls.state.tick(nowMs);
    }
    assert.deepEqual([...pulls.take("cancelRequest"), ...pulls.take("request")], []);
    pulls.state.coming("origin/1", "peer");
    pulls.state.tick(SLOW_MS_MAX);
    const stolen = pulls.take("request");
    assert.deepEqual([pulls.take("cancelRequest").map(({ requestId }) => requestId), stolen.map(({ node, chunk, insists }) => [node, chunk, insists])], [[first!.requestId], [["origin", first!.chunk, true]]]);
    pulls.state.tick(SLOW_MS_MAX + 250);
    assert.deepEqual(pulls.take("request"), [], "the primary's node has not sent the one yet");
    pulls.state.received(stolen[0]!.requestId);
    assert.deepEqual(pulls.take("request").map(({ chunk }) => chunk), [second!.chunk]);
    pulls.state.ready(third!.requestId);
    assert.deepEqual(pulls.take("request").map(({ node, chunk }) => [node, chunk]), [["peer", third!.chunk]], "it is let send on");
  });

  test("(13) on a slow network, what took long to come is not slow before as much time has passed again", () => {
    const pulls = new Pulls();
    const [first, second] = pulls.start(1, objectOf(1, 2));
    pulls.state.redirected(second!.requestId, "peer");
    let nowMs = 0;
    /** All the while bytes come from the one, and the other says that it waits. */
    const passesTo = (untilMs: number): void => {
      for (; nowMs < untilMs; nowMs += 250) {
        pulls.state.tick(nowMs);
        pulls.state.coming("origin/1", "peer");
        pulls.state.progressed("origin");
      }
    };
    passesTo(SLOW_MS_MAX * 4);
    pulls.state.received(first!.requestId);
    passesTo(SLOW_MS_MAX * 8);
    assert.deepEqual(pulls.take("request"), []);
    passesTo(SLOW_MS_MAX * 8 + 500);
    assert.deepEqual(pulls.take("request").map(({ node }) => node), ["origin"]);
  });

  test("a connection from which nothing comes is given up, one from which bytes come is not", () => {
    const pulls = new Pulls();
    pulls.start(1, objectOf(1, 4));
    pulls.start(2, objectOf(2, 4, "busy"));
    for (let nowMs = 0; nowMs <= STALL_MS_MAX + 500; nowMs += 250) {
      pulls.state.tick(nowMs);
      pulls.state.progressed("busy");
    }
    assert.deepEqual([...new Set(pulls.take("disconnect").map(({ node }) => node))], ["origin"]);
  });
});

import assert from "node:assert/strict";
import { test } from "node:test";
import type { NodeLink } from "../clients/mod.ts";
import type { FromNode, ToNode } from "../protocol/mod.ts";
import type { ChannelCloseReason } from "../transport/mod.ts";
import { JoiningLink } from "./joining-link.ts";

class FakeLink implements NodeLink {
  readonly sent: ToNode[] = [];
  isRef = false;
  isClosed = false;
  deliver: (message: FromNode) => void = () => undefined;
  tellClose: (reason: ChannelCloseReason) => void = () => undefined;
  send(message: ToNode): void { this.sent.push(message); }
  sendSoon(message: ToNode): void { this.sent.push(message); }
  onMessage(handler: (message: FromNode) => void): void { this.deliver = handler; }
  onClose(handler: (reason: ChannelCloseReason) => void): void { this.tellClose = handler; }
  flush(): boolean { return true; }
  close(): void { this.isClosed = true; }
  ref(): void { this.isRef = true; }
  unref(): void { this.isRef = false; }
}
const asks = (requestId: number): ToNode => ({ type: "clusterState", requestId });
const says: ToNode = { type: "actorOutOfScope", actorId: "a" };

test("what is sent before it opens goes out first, in order", () => {
  const link = new JoiningLink();
  const under = new FakeLink();
  link.send(says);
  link.ref();
  assert.equal(link.flush(), false, "nothing can leave yet");
  link.send(asks(1));
  link.open(under);
  link.send(asks(2));
  assert.deepEqual(under.sent, [says, asks(1), asks(2)]);
  assert.equal(under.isRef, true);
  assert.equal(link.flush(), true);
});

test("messages and the end come through", () => {
  const link = new JoiningLink();
  const under = new FakeLink();
  const got: unknown[] = [];
  link.onMessage((message) => got.push(message));
  link.onClose((reason) => got.push(reason));
  link.open(under);
  under.deliver({ type: "retire" });
  under.tellClose("lost");
  assert.deepEqual(got, [{ type: "retire" }, "lost"]);
});

test("whatever is asked when it has ended, or waits when it ends, is answered with an error", async () => {
  const link = new JoiningLink();
  const answered: FromNode[] = [];
  link.onMessage((message) => answered.push(message));
  link.send(asks(1));
  link.send(says);
  link.end("it is gone");
  link.end("said only once");
  link.send(asks(2));
  link.send(says);
  assert.deepEqual(answered, [], "never within the call");
  await Promise.resolve();
  const error = { kind: "RuntimeStateError", message: "it is gone", subjectId: null };
  assert.deepEqual(answered, [1, 2].map((requestId) => ({ type: "reply", requestId, result: null, error })));
  const late = new FakeLink();
  link.open(late);
  assert.deepEqual([late.isClosed, late.sent, link.flush()], [true, [], false]);
});

import assert from "node:assert/strict";
import { test } from "node:test";
import type { Channel } from "../transport/mod.ts";
import { packMessage, unpackMessage } from "./message-codec.ts";
import { openMessageLink, type MessageLink } from "./node-link.ts";

type Message = { readonly number: number; readonly shared?: object };

/** A link, what it has sent, and a way to deliver frames to it. */
function linkWithFrames(): { link: MessageLink<Message, Message>; frames: Uint8Array[]; deliver: (frame: Uint8Array) => void } {
  const frames: Uint8Array[] = [];
  let deliver: (frame: Uint8Array) => void = () => undefined;
  const channel = {
    send: (frame: Uint8Array) => { frames.push(new Uint8Array(frame)); return true; },
    onFrame: (handler: (frame: Uint8Array) => void) => { deliver = handler; },
    flush: () => true,
  } as unknown as Channel;
  return { link: openMessageLink(channel), frames, deliver: (frame) => deliver(frame) };
}

test("what is sent soon leaves in one frame at the end of the turn, and arrives one by one", async () => {
  const { link, frames, deliver } = linkWithFrames();
  const received: number[] = [];
  link.onMessage(({ number }) => received.push(number));
  for (let number = 1; number <= 100; number++) link.sendSoon({ number });
  assert.equal(frames.length, 0);
  await Promise.resolve();
  assert.equal(frames.length, 1);
  deliver(frames[0] as Uint8Array);
  assert.deepEqual(received, Array.from({ length: 100 }, (_, index) => index + 1));
});

test("the order with what is sent at once is kept, also by flush", () => {
  const { link, frames, deliver } = linkWithFrames();
  const received: number[] = [];
  link.onMessage(({ number }) => received.push(number));
  link.sendSoon({ number: 1 });
  link.send({ number: 2 });
  link.sendSoon({ number: 3 });
  link.flush();
  for (const frame of frames) deliver(frame);
  assert.deepEqual(received, [1, 2, 3]);
});

test("a frame is bounded, and messages in it share what they shared", () => {
  const { link, frames } = linkWithFrames();
  const shared = { text: "x".repeat(10_000) };
  for (let number = 0; number < 1000; number++) link.sendSoon({ number, shared });
  assert.equal(frames.length, 1, "the first is full before the turn is over");
  const messages = unpackMessage(frames[0] as Uint8Array) as Message[];
  assert.ok((frames[0] as Uint8Array).length < 2 * packMessage({ shared }).length + messages.length * 100);
  assert.equal(messages[0]?.shared, messages.at(-1)?.shared);
});

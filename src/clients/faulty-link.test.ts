import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { Clock } from "../base/mod.ts";
import type { ChannelCloseReason } from "../transport/mod.ts";
import { FaultDecisions, parseFaults } from "./fault-spec.ts";
import { withFaults } from "./faulty-link.ts";
import type { MessageLink } from "./node-link.ts";

interface Message {
  readonly type: string;
}

function faulty(spec: string) {
  let nowMs = 0;
  const timers: { readonly atMs: number; readonly callback: () => void }[] = [];
  const clock: Clock = { nowMs: () => nowMs, after: (delayMs, callback) => { timers.push({ atMs: nowMs + delayMs, callback }); return { cancel: () => undefined }; } };
  const sent: string[] = [];
  const closed: ChannelCloseReason[] = [];
  let close: (reason: ChannelCloseReason) => void = () => undefined;
  let deliver: (message: Message) => void = () => undefined;
  const bare: MessageLink<Message, Message> = {
    send: ({ type }) => void sent.push(type), sendSoon: ({ type }) => void sent.push(`${type} soon`), onMessage: (handler) => { deliver = handler; }, onClose: (handler) => { close = handler; },
    flush: () => true, close: () => close("local"), ref: () => undefined, unref: () => undefined,
  };
  const link = withFaults(bare, new FaultDecisions(parseFaults(spec, "faults"), { below: () => 0 }), clock);
  const received: string[] = [];
  link.onMessage(({ type }) => received.push(type));
  link.onClose((reason) => closed.push(reason));
  const pass = (ms: number): void => {
    nowMs += ms;
    for (const timer of timers.filter(({ atMs }) => atMs <= nowMs).sort((a, b) => a.atMs - b.atMs)) {
      timers.splice(timers.indexOf(timer), 1);
      timer.callback();
    }
  };
  return { link, sent, closed, received, pass, deliver: (type: string) => deliver({ type }) };
}

describe("a link with faults", () => {
  test("sends the rest at once", () => {
    const { link, sent } = faulty("kind=other:fail=1");
    link.send({ type: "a" });
    link.sendSoon({ type: "b" });
    assert.deepEqual(sent, ["a", "b soon"]);
  });

  test("breaks instead of sending what fails", () => {
    const { link, sent, closed } = faulty("kind=b:fail=1");
    for (const type of ["a", "b", "c"]) link.send({ type });
    assert.deepEqual([sent, closed], [["a"], ["lost"]]);
  });

  test("breaks after it has sent what is dropped, and hears no answer", () => {
    const { link, sent, closed, received, deliver } = faulty("kind=b:drop=1");
    for (const type of ["a", "b", "c"]) link.send({ type });
    deliver("answer");
    assert.deepEqual([sent, closed, received], [["a", "b"], ["lost"], []]);
  });

  test("keeps the order of what is delayed and what is not, and sends it before it closes", () => {
    const { link, sent, closed, pass } = faulty("kind=slow:delayMs=10-10");
    for (const type of ["a", "slow", "b"]) link.send({ type });
    assert.deepEqual(sent, ["a"]);
    pass(10);
    assert.deepEqual(sent, ["a", "slow", "b"]);
    for (const type of ["slow", "c"]) link.send({ type });
    link.close();
    assert.deepEqual([sent.slice(3), closed], [["slow", "c"], ["local"]]);
  });
});

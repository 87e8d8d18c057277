import { type Clock, Deque } from "../base/mod.ts";
import type { ChannelCloseReason } from "../transport/mod.ts";
import type { FaultDecisions } from "./fault-spec.ts";
import type { MessageLink } from "./node-link.ts";

interface Waiting {
  readonly dueMs: number;
  act(): void;
}

/** A link on which faults happen to what is sent. Where it breaks, this side sees the connection lost and the other sees it end. */
export function withFaults<Outgoing extends object, Incoming>(link: MessageLink<Outgoing, Incoming>, decisions: FaultDecisions, clock: Clock): MessageLink<Outgoing, Incoming> {
  const waiting = new Deque<Waiting>();
  let isBroken = false;
  let lastDueMs = 0;
  let onClose: (reason: ChannelCloseReason) => void = () => undefined;
  const breakNow = (): void => {
    isBroken = true;
    link.close();
  };
  const pass = (message: Outgoing, forward: (message: Outgoing) => void): void => {
    if (isBroken) return;
    const { type, delayMs } = decisions.of(kindsOf(message));
    const act = (): void => {
      if (isBroken) return;
      if (type !== "fail") forward(message);
      if (type !== "none") breakNow();
    };
    const nowMs = clock.nowMs();
    lastDueMs = Math.max(lastDueMs, nowMs + delayMs);
    if (lastDueMs <= nowMs && waiting.length === 0) return act();
    waiting.push({ dueMs: lastDueMs, act });
    // Whichever timer fires first takes the oldest.
    clock.after(lastDueMs - nowMs, () => waiting.shift()?.act());
  };
  link.onClose((reason) => onClose(isBroken ? "lost" : reason));
  return {
    send: (message) => pass(message, (one) => link.send(one)),
    sendSoon: (message) => pass(message, (one) => link.sendSoon(one)),
    onMessage: (handler) => link.onMessage((message) => { if (!isBroken) handler(message); }),
    onClose: (handler) => { onClose = handler; },
    flush: () => link.flush(),
    close: () => {
      for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) next.act();
      link.close();
    },
    ref: () => link.ref(),
    unref: () => link.unref(),
  };
}

/** Of the message, and of one that it carries for or from a worker. */
function kindsOf(message: object): string[] {
  const { type, message: carried } = message as { readonly type?: string; readonly message?: { readonly type?: string } };
  return [type, carried?.type].filter((kind) => kind !== undefined);
}

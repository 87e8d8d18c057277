import { unpackMessage } from "../../../src/clients/mod.ts";
import { FRAME_MESSAGE, FRAME_RESULTS, FRAME_TASKS } from "../../../src/protocol/mod.ts";

const TEXT_MAX = 300;

/** For people who read a trace: what is in a frame. */
export function describeFrame(frame: Uint8Array): string {
  switch (frame[0]) {
    case FRAME_TASKS:
      return `tasks (${frame.byteLength} bytes)`;
    case FRAME_RESULTS:
      return `results (${frame.byteLength} bytes)`;
    case FRAME_MESSAGE:
      return textOf(unpackMessage(frame.subarray(1)));
    default:
      return textOf(unpackMessage(frame));
  }
}

function textOf(message: unknown): string {
  if (Array.isArray(message)) return message.map(textOf).join(" + ");
  const text = JSON.stringify(message, (key, value: unknown) => {
    if (typeof value === "bigint") return String(value);
    if (value instanceof Uint8Array) return `${value.byteLength} bytes`;
    return key === "units" ? "…" : value;
  });
  return text.length > TEXT_MAX ? `${text.slice(0, TEXT_MAX)}…` : text;
}

import { unpackMessage } from "../../../src/clients/mod.ts";
import { FRAME_CONNECTION, FRAME_MESSAGE, FRAME_RESULTS, FRAME_TASKS } from "../../../src/protocol/mod.ts";

const TEXT_MAX = 300;
const CONNECTION_FRAME_BYTES = 18;

/** For people who read a trace: what is in a frame. */
export function describeFrame(frame: Uint8Array): string {
  // Messages of nodes may begin with the same byte.
  if (frame[0] === FRAME_CONNECTION && frame.byteLength === CONNECTION_FRAME_BYTES) return wordOf(new DataView(frame.buffer, frame.byteOffset));
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

/** As transport/lasting-channel.ts writes it. */
function wordOf(frame: DataView): string {
  return `${["", "FIRST", "AGAIN", "RECEIVED"][frame.getUint8(1)]} of session ${frame.getFloat64(2)}: ${frame.getFloat64(10)} frames received`;
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

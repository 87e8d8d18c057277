import type { FrameReader, FrameWriter } from "../transport/mod.ts";
import { StreamProducer } from "./stream-producer.ts";
import { TASK_HAS_STREAM_STATE } from "./task-wire.ts";
import type { CallStream } from "./task.ts";

/** Whether the worker must know more than that the call streams. */
export function hasStreamState(stream: CallStream | null): stream is CallStream {
  return stream !== null && (stream.unconsumedMax !== null || stream.received > 0 || stream.isClosed);
}

export function writeStreamState(writer: FrameWriter, stream: CallStream): void {
  writer.varuint(stream.unconsumedMax ?? 0);
  writer.varuint(stream.received);
  writer.varuint(stream.consumed);
  writer.u8(stream.isClosed ? 1 : 0);
}

export function readStreamState(reader: FrameReader, flags: number): StreamProducer {
  if ((flags & TASK_HAS_STREAM_STATE) === 0) return new StreamProducer(null);
  const unconsumedMax = reader.varuint();
  const received = reader.varuint();
  const consumed = reader.varuint();
  return new StreamProducer(unconsumedMax === 0 ? null : unconsumedMax, received, consumed, reader.u8() === 1);
}

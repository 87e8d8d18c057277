import { FRAME_TASKS } from "../protocol/mod.ts";
import { FrameWriter } from "../transport/mod.ts";
import type { CodeLoader } from "./code-loader.ts";
import { ENCODED, type ObjectEntry, PRIMITIVE } from "./object-entry.ts";
import type { Peer } from "./peer.ts";
import { hasStreamState, writeStreamState } from "./stream-wire.ts";
import { type Callable, EncodedArg, type PendingTask, RebuildingCall, SharedCall, STREAMING, TURN_KEPT } from "./task.ts";
import { FRAME_BYTES_SOFT_MAX, FRAME_TASKS_MAX, TASK_HAS_ACTOR, TASK_HAS_NAME, TASK_HAS_RETURNS, TASK_HAS_STREAM_STATE, TASK_HAS_TIMEOUT, TASK_IS_RETRY, TASK_IS_STREAMING, TASK_KEEPS_TURN } from "./task-wire.ts";
import type { EncodedValueRecord } from "../protocol/mod.ts";
import { writeEncodedValue } from "./value-wire.ts";

const COUNT_OFFSET = 9;

/** Writes tasks and calls into frames, many to a frame. */
export class TaskSender {
  readonly #writer = new FrameWriter();
  readonly #code: CodeLoader;

  constructor(code: CodeLoader) {
    this.#code = code;
  }

  /** Sends in order; all are of one lease, or all are actor calls (`leaseId` 0). */
  send(peer: Peer, leaseId: number, tasks: readonly PendingTask[]): void {
    const writer = this.#writer;
    for (let next = 0; next < tasks.length; ) {
      // Code and bindings are messages of their own and must come before the frame that needs them.
      const end = Math.min(next + FRAME_TASKS_MAX, tasks.length);
      for (let index = next; index < end; index++) this.#introduce(peer, tasks[index] as PendingTask);
      writer.reset();
      writer.u8(FRAME_TASKS);
      writer.f64(leaseId);
      writer.u16(0);
      let count = 0;
      while (next < end && writer.length < FRAME_BYTES_SOFT_MAX) {
        this.#write(peer, writer, tasks[next++] as PendingTask);
        count++;
      }
      writer.patchU16(COUNT_OFFSET, count);
      peer.send(writer.view());
    }
  }

  #introduce(peer: Peer, task: PendingTask): void {
    if (!peer.callableNumbers.has(task.callable)) this.#bind(peer, task.callable);
    for (const arg of task.args) {
      const value = valueOf(arg);
      if (value !== null && (value.code.length > 0 || value.descriptors.length > 0)) this.#code.share(peer, value.code, value.descriptors);
    }
  }

  #bind(peer: Peer, callable: Callable): void {
    const number = peer.callableNumbers.size;
    peer.callableNumbers.set(callable, number);
    if (callable.kind === "function") {
      const { unitId, name, maxCalls } = callable;
      this.#code.share(peer, [unitId], []);
      peer.sendMessage({ type: "bind", callable: number, target: { kind: "function", unitId, name, maxCalls } });
    } else if (callable.kind === "sharedMethod") {
      peer.sendMessage({ type: "bind", callable: number, target: { kind: "sharedMethod", className: callable.className, method: callable.method, group: callable.group } });
    } else {
      peer.sendMessage({ type: "bind", callable: number, target: { kind: "method", actorId: callable.client.actorId, method: callable.method, group: callable.group } });
    }
  }

  #write(peer: Peer, writer: FrameWriter, task: PendingTask): void {
    const isShared = task instanceof SharedCall;
    const isRetry = task.slot === TURN_KEPT || (isShared && task instanceof RebuildingCall);
    writer.u32(peer.takeSlot(task));
    writer.f64(task.sequence);
    writer.varuint(peer.callableNumbers.get(task.callable) as number);
    const { displayName, returns, limits } = task.template;
    const timeoutMs = limits === null ? null : limits.timeoutMs;
    const isStreaming = returns === STREAMING;
    const hasReturns = !isStreaming && returns !== 1;
    const { stream } = task;
    writer.u8((isShared ? TASK_HAS_ACTOR : 0) | (displayName === null ? 0 : TASK_HAS_NAME) | (hasReturns ? TASK_HAS_RETURNS : 0) | (isStreaming ? TASK_IS_STREAMING : 0) | (hasStreamState(stream) ? TASK_HAS_STREAM_STATE : 0) | (keepsTurn(task) ? TASK_KEEPS_TURN : 0) | (isRetry ? TASK_IS_RETRY : 0) | (timeoutMs === null ? 0 : TASK_HAS_TIMEOUT));
    if (isShared) writer.varuint(task.client.number);
    if (displayName !== null) writer.string(displayName);
    if (hasReturns) writer.varuint(returns);
    if (hasStreamState(stream)) writeStreamState(writer, stream);
    stream?.sentTo(peer);
    if (timeoutMs !== null) writer.f64(timeoutMs);
    writer.varuint(task.args.length);
    for (const arg of task.args) {
      const value = valueOf(arg);
      if (value !== null) writeEncodedValue(writer, value);
      else writer.writePrimitive(primitiveOf(arg));
    }
  }
}

/** Whether its actor, if it throws, must wait for our word before anything else takes its place. */
function keepsTurn(task: PendingTask): boolean {
  return task.template.retryExceptions !== null && task.retriesLeft !== 0 && task.queue === null;
}

function valueOf(arg: unknown): EncodedValueRecord | null {
  if (typeof arg !== "object" || arg === null) return null;
  if (arg instanceof EncodedArg) return arg.value;
  const entry = arg as ObjectEntry;
  return entry.status === ENCODED ? (entry.content as EncodedValueRecord) : null;
}

function primitiveOf(arg: unknown): unknown {
  if (typeof arg !== "object" || arg === null) return arg;
  const entry = arg as ObjectEntry;
  return entry.status === PRIMITIVE ? entry.content : undefined;
}

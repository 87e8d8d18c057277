import { invariant } from "../base/mod.ts";
import type { EncodedValueRecord } from "../protocol/mod.ts";
import type { FrameReader } from "../transport/mod.ts";
import { type StoreClient, unpackMessage } from "../clients/mod.ts";
import type { ExceptionRetries } from "./exception-retries.ts";
import type { LargeObjects } from "./large-objects.ts";
import type { Failure, ObjectEntry } from "./object-entry.ts";
import type { Lineage } from "./lineage.ts";
import type { LostArguments } from "./lost-arguments.ts";
import type { Peer } from "./peer.ts";
import type { References } from "./references.ts";
import { RECALLED, type TaskSubmitter } from "./task-submitter.ts";
import type { FunctionCallable, PendingTask } from "./task.ts";
import { RESULT_ARGUMENT_LOST, RESULT_FAILED, RESULT_ITEM, RESULT_LOST, RESULT_REJECTED, RESULT_STREAM_END, RESULT_VALUE, RESULT_VALUES } from "./task-wire.ts";
import { readEncodedValue, TAG_ENCODED } from "./value-wire.ts";

export interface ReceiverEnvironment {
  readonly references: References;
  readonly store: StoreClient;
  readonly submitter: TaskSubmitter;
  readonly retries: ExceptionRetries;
  readonly largeObjects: LargeObjects;
  readonly lineage: Lineage;
  readonly lostArguments: LostArguments;
  /** Its actor has left its worker. */
  callLost(call: PendingTask, reason: string): void;
  /** As above, and the call had not begun. */
  callNotRun(call: PendingTask): void;
  /** The call or task is over: drop its pins, send what waited behind it. */
  finished(task: PendingTask): void;
}

/** Takes result frames apart and settles what they answer. */
export class ResultReceiver {
  readonly #env: ReceiverEnvironment;

  constructor(environment: ReceiverEnvironment) {
    this.#env = environment;
  }

  onResults(peer: Peer, reader: FrameReader): void {
    const count = reader.u16();
    const averageUs = reader.f64() / count;
    let learned: FunctionCallable | null = null;
    for (let index = 0; index < count; index++) {
      const slot = reader.u32();
      const status = reader.u8();
      if (status === RESULT_ITEM) {
        this.#item(peer, reader, peer.slots[slot] ?? null);
        continue;
      }
      const task = peer.releaseSlot(slot);
      invariant(task !== null, () => `worker ${peer.workerId} answered a task that it was not sent`);
      if (task === RECALLED) continue;
      if (task.queue !== null) {
        if (status === RESULT_REJECTED) {
          this.#env.submitter.handedBack(task);
          continue;
        }
        this.#env.submitter.left(task);
        const callable = task.callable as FunctionCallable;
        if (callable !== learned) {
          learned = callable;
          this.#env.submitter.learn(callable, averageUs);
        }
      }
      if (this.#settle(peer, reader, task, status)) this.#env.finished(task);
    }
  }

  /** False when that was not its last run. */
  #settle(peer: Peer, reader: FrameReader, task: PendingTask, status: number): boolean {
    switch (status) {
      case RESULT_VALUE:
        this.#value(peer, reader, task.isDone || Array.isArray(task.entries) ? null : task.entries, task, 0);
        return true;
      case RESULT_VALUES: {
        const entries = task.entries as ObjectEntry[];
        for (let index = 0; index < entries.length; index++) this.#value(peer, reader, task.isDone ? null : (entries[index] as ObjectEntry), task, index);
        return true;
      }
      case RESULT_REJECTED:
        this.#env.callNotRun(task);
        return false;
      case RESULT_ARGUMENT_LOST: {
        const index = reader.varuint();
        return !this.#env.lostArguments.takes(task, index, { node: reader.string(), id: reader.f64() }, reader.string());
      }
      case RESULT_LOST:
        this.#env.callLost(task, reader.string());
        return false;
      case RESULT_FAILED: {
        const failure = unpackMessage(reader.bytes()) as Failure;
        if (this.#env.retries.takes(task, failure)) return false;
        settleFailed(task, failure);
        return true;
      }
      case RESULT_STREAM_END:
        task.stream?.ended(null);
        return true;
      default:
        invariant(false, `unknown result status ${status}`);
    }
  }

  #item(peer: Peer, reader: FrameReader, task: PendingTask | null): void {
    const call = task === RECALLED || task?.isDone === true ? null : task;
    const stream = call?.stream ?? null;
    const index = stream?.received ?? 0;
    const entry = stream?.nextEntry() ?? null;
    this.#value(peer, reader, entry, call, index);
    stream?.arrived();
  }

  /** `index`: which of the task's results. */
  #value(peer: Peer, reader: FrameReader, entry: ObjectEntry | null, task: PendingTask | null, index: number): void {
    if (reader.peekU8() !== TAG_ENCODED) {
      const value = reader.readPrimitive();
      entry?.settlePrimitive(value);
      return;
    }
    reader.u8();
    const value: EncodedValueRecord = readEncodedValue(reader);
    if (value.descriptors.length > 0) {
      const transit = reader.varuint();
      if (entry === null) peer.sendMessage({ type: "releaseTransit", transits: [transit] });
      else this.#env.references.receiveContents(entry, value.descriptors, peer, transit);
    }
    if (value.stored !== undefined) {
      this.#env.store.adopt(value.stored);
      if (entry === null) this.#env.store.release(value.stored);
      else if (task !== null) {
        this.#env.largeObjects.result(value.stored, entry, task);
        this.#env.lineage.kept(task, entry, index);
      }
    }
    entry?.settleEncoded(value);
  }
}

/** Gives every ref of the task the same failure. */
export function settleFailed(task: PendingTask, failure: Failure): void {
  if (task.stream !== null) return task.stream.ended(failure);
  for (const entry of Array.isArray(task.entries) ? task.entries : task.entries === null ? [] : [task.entries]) {
    entry.settleFailed(failure);
  }
}

import type { PeerMessage } from "../protocol/mod.ts";
import { type Failure, type ObjectEntry, PENDING, systemFailure } from "./object-entry.ts";
import type { CallStream } from "./task.ts";

/**
 * The values of a generator that runs again because some of them are lost: those alone are taken, and after the last one the
 * generator is told to end.
 */
export class RepeatedStream implements CallStream {
  readonly end: ObjectEntry;
  readonly unconsumedMax = null;
  readonly consumed = 0;
  received = 0;
  isClosed = false;
  /** Under which its worker knows it. */
  sequence: number;
  readonly #wanted: ReadonlyMap<number, ObjectEntry>;
  #missing: number;
  #producer: { sendMessage(message: PeerMessage): boolean } | null = null;

  /** `wanted`: by their place in the stream. */
  constructor(end: ObjectEntry, sequence: number, wanted: ReadonlyMap<number, ObjectEntry>) {
    this.end = end;
    this.sequence = sequence;
    this.#wanted = wanted;
    this.#missing = wanted.size;
  }

  sentTo(producer: { sendMessage(message: PeerMessage): boolean }): void {
    this.#producer = producer;
  }

  nextEntry(): ObjectEntry | null {
    const entry = this.#wanted.get(this.received++) ?? null;
    if (entry !== null) this.#missing--;
    return entry;
  }

  arrived(): void {
    if (this.#missing > 0 || this.isClosed) return;
    this.isClosed = true;
    this.#producer?.sendMessage({ type: "streamClosed", taskSequence: this.sequence });
  }

  /** What has come has come, however it ended. */
  ended(failure: Failure | null): void {
    for (const entry of this.#wanted.values()) {
      if (entry.status !== PENDING) continue;
      entry.settleFailed(failure ?? systemFailure({
        kind: "ObjectReconstructionFailedError", message: `object ${entry.id} is lost: its generator ran again and yielded fewer values (${this.received}) than before`, subjectId: entry.id, reason: "madeOtherwise",
      }));
    }
    this.end.settlePrimitive(undefined);
  }
}

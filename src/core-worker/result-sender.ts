import { afterThis } from "../base/mod.ts";
import { FRAME_RESULTS, type StoredRecord } from "../protocol/mod.ts";
import { FrameWriter } from "../transport/mod.ts";
import type { Peer } from "./peer.ts";
import type { ResultWriter } from "./result-writer.ts";
import { FRAME_BYTES_SOFT_MAX, FRAME_TASKS_MAX } from "./task-wire.ts";

/** Finished results wait at most this long for more of them while the worker goes on with the next task. */
const RESULTS_WAIT_US_MAX = 50;

const COUNT_OFFSET = 1;
const BUSY_OFFSET = 3;

/** Writes results into frames, many to a frame, one frame for each owner. */
export class ResultSender {
  readonly #unflushed = new Set<Peer>();
  #firstUnflushedMs = 0;

  /** The payload follows into the writer, and then `written`. */
  begin(peer: Peer, slot: number, status: number): ResultWriter {
    const results = (peer.results ??= { writer: new FrameWriter(), count: 0, busyUs: 0 });
    if (results.count === 0) {
      results.writer.reset();
      results.writer.u8(FRAME_RESULTS);
      results.writer.u16(0);
      results.writer.f64(0);
      if (this.#unflushed.size === 0) {
        this.#firstUnflushedMs = performance.now();
        // Whoever started the call may have nothing more to do in this turn: no result waits for the next one.
        afterThis(() => this.flush());
      }
      this.#unflushed.add(peer);
    }
    results.count++;
    results.writer.u32(slot);
    results.writer.u8(status);
    return results;
  }

  /** The payload of RESULT_ARGUMENT_LOST. */
  argumentLost(writer: FrameWriter, index: number, { node, id }: StoredRecord, message: string): void {
    writer.varuint(index);
    writer.string(node);
    writer.f64(id);
    writer.string(message);
  }

  written(peer: Peer): void {
    const results = peer.results as ResultWriter;
    if (results.count >= FRAME_TASKS_MAX || results.writer.length > FRAME_BYTES_SOFT_MAX) this.#send(peer, results);
  }

  /** Sends every result that is ready. */
  flush(): void {
    if (this.#unflushed.size === 0) return;
    for (const peer of this.#unflushed) this.#send(peer, peer.results as ResultWriter);
    this.#unflushed.clear();
  }

  /** The same, if the first of them has waited for too long. */
  flushOld(nowMs: number): void {
    if (this.#unflushed.size > 0 && (nowMs - this.#firstUnflushedMs) * 1000 > RESULTS_WAIT_US_MAX) this.flush();
  }

  #send(peer: Peer, results: ResultWriter): void {
    if (results.count === 0) return;
    results.writer.patchU16(COUNT_OFFSET, results.count);
    results.writer.patchF64(BUSY_OFFSET, results.busyUs);
    results.count = 0;
    results.busyUs = 0;
    peer.send(results.writer.view());
  }
}

import { statisticsOf } from "../measure.ts";
import type { Delivery } from "./peer.ts";

/** What worker files get that answer how long an array took to them. The clock is one for all processes of a machine. */
export interface ArrayMessage {
  readonly sentAtNs: bigint;
  readonly array: Float64Array;
}

export interface ArrayReceiver {
  send(message: ArrayMessage): void;
  /** Milliseconds from before the sending until the array is there. */
  reply(): Promise<number>;
}

/** Sends copies. A copy that was sent once is no help the next time. */
export async function deliverTo(receiver: ArrayReceiver, byteLength: number, times: number): Promise<Delivery> {
  const array = new Float64Array(byteLength / Float64Array.BYTES_PER_ELEMENT).fill(1);
  const samplesMs: number[] = [];
  for (let time = 0; time < times; time++) {
    const reply = receiver.reply();
    receiver.send({ sentAtNs: process.hrtime.bigint(), array });
    samplesMs.push(await reply);
  }
  const ms = statisticsOf(samplesMs).median;
  return { firstMs: ms, againMs: ms };
}

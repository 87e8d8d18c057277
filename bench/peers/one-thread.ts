import { durationMs, statisticsOf } from "../measure.ts";
import type { Peer } from "./peer.ts";
import { samplePi } from "./sample-pi.ts";

export function openOneThread(): Peer {
  let copy = new Uint8Array();
  return {
    samplePi: async (samples, seed) => samplePi(samples, seed),
    async deliverArray(byteLength, times) {
      const array = new Float64Array(byteLength / Float64Array.BYTES_PER_ELEMENT).fill(1);
      const samplesMs: number[] = [];
      for (let time = 0; time < times; time++) samplesMs.push(await durationMs(async () => structuredClone(array)));
      const ms = statisticsOf(samplesMs).median;
      return { firstMs: ms, againMs: ms };
    },
    copyBytes(bytes) {
      if (copy.length !== bytes.length) copy = new Uint8Array(bytes.length);
      copy.set(bytes);
    },
    close: async () => {},
  };
}

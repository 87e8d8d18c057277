import type { Peer } from "./peer.ts";
import { samplePi } from "./sample-pi.ts";

export function openOneThread(): Peer {
  return {
    samplePi: async (samples, seed) => samplePi(samples, seed),
    close: async () => {},
  };
}

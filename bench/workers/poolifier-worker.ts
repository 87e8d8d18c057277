import { ThreadWorker } from "poolifier";
import { samplePi } from "../peers/sample-pi.ts";

/** Poolifier's workers are functions by name; the first one is the default. */
export default new ThreadWorker<{ samples: number; seed: number }, number | undefined>({
  empty: () => undefined,
  samplePi: (data) => samplePi(data!.samples, data!.seed),
});

import type { FrameWriter } from "../transport/mod.ts";

/** Results on their way to one owner, gathered into one frame. */
export interface ResultWriter {
  readonly writer: FrameWriter;
  count: number;
  /** Run time of the results so far, for the owner's estimates. */
  busyUs: number;
}

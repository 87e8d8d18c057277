import { randomBytes, randomInt } from "node:crypto";
import type { RandomSource } from "../base/mod.ts";

export const realRandom: RandomSource = {
  hex: (byteCount) => randomBytes(byteCount).toString("hex"),
  below: (limit) => randomInt(limit),
};

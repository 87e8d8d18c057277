import { InvalidArgumentError } from "../base/mod.ts";

const VARIABLE = "MANTARAY_MAX_LINEAGE_BYTES";

/** How many bytes each worker, and the program, may keep to make lost objects again; undefined for the default. @throws InvalidArgumentError */
export function lineageBytesMax(): number | undefined {
  const text = process.env[VARIABLE];
  if (text === undefined || text === "") return undefined;
  const bytes = Number(text);
  if (!Number.isSafeInteger(bytes) || bytes < 0) throw new InvalidArgumentError(`environment variable ${VARIABLE} must be a whole number of bytes, 0 or more, but is ${JSON.stringify(text)}`);
  return bytes;
}

import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { InvalidArgumentError, type AcceleratorIds } from "../base/mod.ts";

/** By it, CUDA and the libraries above it learn which devices to use, in the order given. */
const CUDA_VARIABLE = "CUDA_VISIBLE_DEVICES";
/** One folder for each device, where NVIDIA's driver is loaded. */
const NVIDIA_DEVICES = "/proc/driver/nvidia/gpus";

/** What a worker was started with: tasks without accelerators find it as it was. */
const inherited = process.env[CUDA_VARIABLE];

/** As CUDA reads it: an empty value hides all. Undefined when nothing is said. */
function visibleDevices(value: string | undefined): string[] | undefined {
  if (value === undefined) return undefined;
  const ids = value.split(",").map((id) => id.trim());
  const end = ids.findIndex((id) => id === "" || id === "-1" || id === "NoDevFiles");
  return [...new Set(end < 0 ? ids : ids.slice(0, end))];
}

function deviceCount(): number {
  try {
    return readdirSync(NVIDIA_DEVICES).length;
  } catch {
    return 0;
  }
}

/** Of NVIDIA's driver: "Model:  NVIDIA A100-SXM4-40GB", in a file for each device. */
const MODEL_LINE = /^Model:(.+)$/m;
const NO_MODEL = new Set(["NVIDIA", "Tesla", "GeForce", "Quadro"]);

/** "A100", "RTX-3090": the model without its maker and its memory. Null for a name without a number. */
export function acceleratorTypeOf(model: string): string | null {
  const words = model.trim().split(/\s+/).filter((word) => !NO_MODEL.has(word));
  const numbered = words.findIndex((word) => /\d/.test(word));
  if (numbered < 0) return null;
  const [number] = (words[numbered] as string).split("-");
  return [...words.slice(0, numbered), number].join("-").replace(/[^a-zA-Z0-9._-]/g, "");
}

/** Of this machine's GPUs; null where it is not known, or they are of several types. */
export function acceleratorType(): string | null {
  try {
    const models = readdirSync(NVIDIA_DEVICES).map((device) => MODEL_LINE.exec(readFileSync(join(NVIDIA_DEVICES, device, "information"), "utf8"))?.[1] ?? "");
    const types = new Set(models.map(acceleratorTypeOf));
    return types.size === 1 ? ([...types][0] as string | null) : null;
  } catch {
    return null;
  }
}

/**
 * The ids of this machine's GPUs: as many as are asked for, else those that CUDA_VISIBLE_DEVICES names, else those that NVIDIA's
 * driver knows. Ids are taken from CUDA_VISIBLE_DEVICES in their order, and count from 0 where it is not set.
 *
 * @throws InvalidArgumentError when more are asked for than CUDA_VISIBLE_DEVICES names, or a part of one.
 */
export function gpuIds(numGpus: number | undefined): string[] {
  const value = process.env[CUDA_VARIABLE];
  const visible = visibleDevices(value);
  const count = numGpus ?? visible?.length ?? deviceCount();
  if (!Number.isInteger(count)) throw new InvalidArgumentError(`option 'numGpus' of init() must be a whole number, but is ${count}; tasks and actors may ask for parts of one`);
  if (visible !== undefined && count > visible.length) {
    throw new InvalidArgumentError(`option 'numGpus' of init() is ${count}, but ${CUDA_VARIABLE} lets this program use ${visible.length} (${JSON.stringify(value)}); ask for fewer, or name more there`);
  }
  return visible === undefined ? Array.from({ length: count }, (_, index) => String(index)) : visible.slice(0, count);
}

/**
 * Tells code that runs here from now on which devices are its own. In a worker process this is the process's environment, which
 * CUDA reads when it is first used; in a worker thread it is that thread's copy, which native code does not see.
 */
export function useAccelerators(ids: AcceleratorIds | null): void {
  const gpus = ids?.["GPU"];
  if (gpus !== undefined) process.env[CUDA_VARIABLE] = gpus.join(",");
  else if (inherited === undefined) delete process.env[CUDA_VARIABLE];
  else process.env[CUDA_VARIABLE] = inherited;
}

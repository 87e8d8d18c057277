import { checkNodeLabels, isMultipleOfUnit, whyNoResourceName } from "../main/mod.ts";
import { CommandError } from "./command-line.ts";

/** Texts of the command line as what they mean. All throw CommandError with the option and what it takes. */
function refuse(option: string, text: string, wanted: string): never {
  throw new CommandError(`--${option} takes ${wanted}, but got '${text}'`);
}

/** Up to four places after the point, as resources have. */
export function amount(option: string, text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  return /^\d+(\.\d+)?$/.test(text) && Number(text) <= Number.MAX_SAFE_INTEGER && isMultipleOfUnit(Number(text)) ? Number(text) : refuse(option, text, "a number from 0, a multiple of 0.0001");
}

export function wholeNumber(option: string, text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  return /^\d+$/.test(text) && Number.isSafeInteger(Number(text)) ? Number(text) : refuse(option, text, "a whole number from 0");
}

const UNITS: Readonly<Record<string, number>> = { "": 1, b: 1, kb: 1e3, mb: 1e6, gb: 1e9, tb: 1e12, kib: 1024, mib: 1024 ** 2, gib: 1024 ** 3, tib: 1024 ** 4 };

/** `1000000`, `512MiB`, `1.5GB`. */
export function byteCount(option: string, text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  const parts = /^(\d+(?:\.\d+)?) ?([a-z]*)$/i.exec(text);
  const bytes = parts === null ? Number.NaN : Math.floor(Number(parts[1]) * (UNITS[(parts[2] as string).toLowerCase()] ?? Number.NaN));
  return Number.isSafeInteger(bytes) ? bytes : refuse(option, text, "a number of bytes, like 2000000000, 512MiB or 2GB");
}

const PORT_MAX = 65_535;

export function port(option: string, text: string | undefined): number | undefined {
  const number = wholeNumber(option, text);
  return number === undefined || number <= PORT_MAX ? number : refuse(option, text as string, `a port from 0 to ${PORT_MAX}`);
}

/** `HOST:PORT`. */
export function hostAndPort(option: string, text: string): string {
  const parts = /^(\[[0-9a-f:]+\]|[^:\s]+):(\d{1,5})$/i.exec(text);
  return parts !== null && Number(parts[2]) > 0 && Number(parts[2]) <= PORT_MAX ? text : refuse(option, text, "HOST:PORT, as `mantaray start --head` has printed it");
}

const OWN_OPTIONS: Readonly<Record<string, string>> = { CPU: "num-cpus", GPU: "num-gpus", memory: "memory", object_store_memory: "object-store-memory" };

/** `{"printer": 1}`. */
export function resources(option: string, text: string | undefined): Record<string, number> | undefined {
  if (text === undefined) return undefined;
  const wanted = `amounts by name as JSON, like '{"printer": 1}'`;
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return refuse(option, text, wanted);
  }
  if (typeof value !== "object" || value === null || Array.isArray(value)) return refuse(option, text, wanted);
  for (const [name, quantity] of Object.entries(value)) {
    if (typeof quantity !== "number" || !Number.isFinite(quantity) || quantity < 0 || !isMultipleOfUnit(quantity)) return refuse(option, text, `${wanted}; the amount of ${name} is a number from 0, a multiple of 0.0001`);
    const wrong = whyNoResourceName(name);
    if (wrong !== null) return refuse(option, text, `${wanted}; ${wrong}`);
    const own = OWN_OPTIONS[name];
    if (own !== undefined) throw new CommandError(`--${option} cannot say how much ${name} there is: that is --${own}`);
  }
  return value as Record<string, number>;
}

/** `zone=a,disk=ssd`. */
export function labels(option: string, text: string | undefined): Record<string, string> | undefined {
  if (text === undefined) return undefined;
  const found: Record<string, string> = {};
  for (const pair of text.split(",")) {
    const at = pair.indexOf("=");
    if (at < 1) return refuse(option, text, "labels like zone=a,disk=ssd");
    found[pair.slice(0, at).trim()] = pair.slice(at + 1).trim();
  }
  try {
    checkNodeLabels(found, `--${option}`);
  } catch (error) {
    throw new CommandError((error as Error).message);
  }
  return found;
}

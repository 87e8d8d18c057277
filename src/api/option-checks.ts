import { InvalidArgumentError, isMultipleOfUnit } from "../base/mod.ts";

/** A check of one option: says what it must be when it is not that. */
export type Check = (value: unknown) => string | undefined;

export const aString: Check = (value) => (typeof value === "string" && value !== "" ? undefined : "a string that is not empty");
export const aBoolean: Check = (value) => (typeof value === "boolean" ? undefined : "true or false");
export const anyObject: Check = (value) => (typeof value === "object" && value !== null ? undefined : "an object");
export const aSignal: Check = (value) => (value instanceof AbortSignal ? undefined : "an AbortSignal");
export const aDurationMs: Check = (value) => (typeof value === "number" && value >= 0 && !Number.isNaN(value) ? undefined : "a number of milliseconds, 0 or more");
/** Of something that takes time in any case. */
export const aTimeLimitMs: Check = (value) => (typeof value === "number" && value > 0 ? undefined : "a number of milliseconds, more than 0");
export const bytes: Check = (value) => (typeof value === "number" && value >= 0 && Number.isFinite(value) ? undefined : "a number of bytes, 0 or more");
export const anything: Check = () => undefined;

/** Fixed-point amounts of resources. */
export const anAmount: Check = (value) => {
  if (typeof value !== "number" || !Number.isFinite(value) || value < 0) return "a number, 0 or more";
  return isMultipleOfUnit(value) ? undefined : "a multiple of 0.0001";
};

/** A part of one accelerator, or whole ones. */
export const aGpuAmount: Check = (value) => anAmount(value) ?? ((value as number) <= 1 || Number.isInteger(value) ? undefined : "a part of 1, or a whole number");

export function wholeNumber(least: number): Check {
  return (value) => (Number.isInteger(value) && (value as number) >= least ? undefined : `a whole number, ${least} or more`);
}
/** -1 stands for no limit. */
export const aLimit: Check = (value) => (Number.isInteger(value) && (value as number) >= -1 ? undefined : "a whole number, 0 or more, or -1 for no limit");
/** The same, where no room at all would let nothing happen. */
export const aLimitFromOne: Check = (value) => (Number.isInteger(value) && ((value as number) >= 1 || value === -1) ? undefined : "a whole number, 1 or more, or -1 for no limit");

export function oneOf(...allowed: readonly unknown[]): Check {
  return (value) => (allowed.includes(value) ? undefined : `one of ${allowed.map((one) => JSON.stringify(one)).join(", ")}`);
}

export function either(...checks: readonly Check[]): Check {
  return (value) => {
    const wanted = checks.map((check) => check(value));
    return wanted.includes(undefined) ? undefined : wanted.join(", or ");
  };
}

export function recordOf(check: Check): Check {
  return (value) => {
    if (typeof value !== "object" || value === null || Array.isArray(value)) return "an object";
    for (const [key, item] of Object.entries(value)) {
      const wanted = check(item);
      if (wanted !== undefined) return `an object whose '${key}' is ${wanted}`;
    }
    return undefined;
  };
}

/** Throws InvalidArgumentError for an unknown option or a wrong value, with what is allowed. Options that are undefined count as not given. */
export function checkOptions(options: unknown, allowed: Readonly<Record<string, Check>>, label: string): void {
  if (typeof options !== "object" || options === null || Array.isArray(options)) {
    throw new InvalidArgumentError(`the options of ${label} must be an object, but are ${options === null ? "null" : Array.isArray(options) ? "an array" : typeof options}`);
  }
  for (const [name, value] of Object.entries(options)) {
    if (!Object.hasOwn(allowed, name)) {
      const near = nearest(name, Object.keys(allowed));
      throw new InvalidArgumentError(`${label} has no option '${name}'${near === undefined ? "" : `; did you mean '${near}'?`} (options: ${Object.keys(allowed).join(", ")})`);
    }
    if (value === undefined) continue;
    const wanted = (allowed[name] as Check)(value);
    if (wanted !== undefined) throw new InvalidArgumentError(`option '${name}' of ${label} must be ${wanted}, but is ${show(value)}`);
  }
}

function show(value: unknown): string {
  if (typeof value === "string") return JSON.stringify(value);
  if (typeof value === "object" && value !== null) {
    try {
      return JSON.stringify(value).slice(0, 80);
    } catch {
      return "an object";
    }
  }
  return String(value).slice(0, 80);
}

/** The known name with the fewest edits, when that is few enough to be a slip of the keyboard. */
function nearest(name: string, known: readonly string[]): string | undefined {
  let best: string | undefined;
  let bestDistance = 4;
  for (const candidate of known) {
    const distance = editDistance(name.toLowerCase().replaceAll("_", ""), candidate.toLowerCase());
    if (distance < bestDistance) [best, bestDistance] = [candidate, distance];
  }
  return best;
}

function editDistance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, index) => index);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      next[j] = Math.min((row[j] as number) + 1, (next[j - 1] as number) + 1, (row[j - 1] as number) + (a[i - 1] === b[j - 1] ? 0 : 1));
    }
    row = next;
  }
  return row[b.length] as number;
}

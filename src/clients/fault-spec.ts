import { InvalidArgumentError, type RandomSource, SeededRandom } from "../base/mod.ts";

/** What is done to messages of one kind. */
export interface FaultRule {
  /** The `type` of the message, or of the one that it carries for a worker; `*` for all. */
  readonly kind: string;
  /** Probabilities. The message is not sent and the link breaks, or it is sent and then the link breaks. */
  readonly fail: number;
  readonly drop: number;
  /** It is sent so much later, and all that follow it on its link with it. */
  readonly delayMsMin: number;
  readonly delayMsMax: number;
  /** So many messages in each process pass before the first that may be failed or dropped. */
  readonly after: number;
  /** So many messages in each process at most are failed or dropped; Infinity without limit. */
  readonly times: number;
}

export interface FaultSpec {
  readonly rules: readonly FaultRule[];
  /** Null: each run differs. */
  readonly seed: number | null;
}

export interface Fault {
  readonly type: "fail" | "drop" | "none";
  readonly delayMs: number;
}

const EXAMPLE = "kind=leaseDemand:fail=0.1:times=3;kind=*:delayMs=1-5;seed=7";
const NO_FAULT: Fault = { type: "none", delayMs: 0 };
/** Steps in which probabilities are drawn. */
const PROBABILITY_STEPS = 1_000_000;

/** Rules separated by `;`, each of fields separated by `:`. @throws InvalidArgumentError. */
export function parseFaults(text: string, name: string): FaultSpec {
  const wrong = (part: string, why: string): never => { throw new InvalidArgumentError(`${name} has '${part}', ${why}; it is written like '${EXAMPLE}'`); };
  const rules: FaultRule[] = [];
  let seed: number | null = null;
  for (const part of text.split(";").map((one) => one.trim()).filter((one) => one !== "")) {
    const fields = new Map(part.split(":").map((field): [string, string] => {
      const [key = "", value = "", ...rest] = field.split("=").map((one) => one.trim());
      if (value === "" || rest.length > 0) wrong(field, "which is not of the form name=value");
      return [key, value];
    }));
    const number = (key: string, otherwise: number, max: number): number => {
      const value = Number(fields.get(key) ?? otherwise);
      if (!(value >= 0 && value <= max)) wrong(`${key}=${fields.get(key)}`, `where a number from 0${max === Infinity ? "" : ` to ${max}`} is needed`);
      return value;
    };
    for (const key of fields.keys()) if (!["kind", "fail", "drop", "delayMs", "after", "times", "seed"].includes(key)) wrong(part, `where '${key}' is none of kind, fail, drop, delayMs, after, times and seed`);
    if (fields.has("seed")) {
      if (fields.size > 1) wrong(part, "where seed does not stand alone");
      seed = number("seed", 0, 2 ** 32 - 1);
      continue;
    }
    const kind = fields.get("kind") ?? wrong(part, "which says no kind");
    const [delayMsMin = 0, delayMsMax = delayMsMin] = (fields.get("delayMs") ?? "0").split("-").map(Number);
    if (!(delayMsMin >= 0 && delayMsMax >= delayMsMin && delayMsMax < Infinity)) wrong(`delayMs=${fields.get("delayMs")}`, "where milliseconds are needed, or a range of them");
    const fail = number("fail", 0, 1);
    const drop = number("drop", 0, 1);
    if (fail + drop > 1) wrong(part, "where fail and drop are more than 1 together");
    rules.push({ kind, fail, drop, delayMsMin, delayMsMax, after: number("after", 0, Infinity), times: number("times", Infinity, Infinity) });
  }
  return { rules, seed };
}

/** Decides for each message what happens to it. The first rule for its kind counts. */
export class FaultDecisions {
  readonly #rules: readonly (FaultRule & { passing: number; left: number })[];
  readonly #random: Pick<RandomSource, "below">;

  constructor({ rules, seed }: FaultSpec, random: Pick<RandomSource, "below">) {
    this.#rules = rules.map((rule) => ({ ...rule, passing: rule.after, left: rule.times }));
    this.#random = seed === null ? random : new SeededRandom(seed);
  }

  of(kinds: readonly string[]): Fault {
    const rule = this.#rules.find(({ kind }) => kind === "*" || kinds.includes(kind));
    if (rule === undefined) return NO_FAULT;
    const delayMs = rule.delayMsMax === 0 ? 0 : rule.delayMsMin + this.#random.below(Math.floor(rule.delayMsMax - rule.delayMsMin) + 1);
    if (rule.passing > 0) {
      rule.passing--;
      return { type: "none", delayMs };
    }
    const drawn = rule.left > 0 && rule.fail + rule.drop > 0 ? this.#random.below(PROBABILITY_STEPS) / PROBABILITY_STEPS : 1;
    if (drawn >= rule.fail + rule.drop) return { type: "none", delayMs };
    rule.left--;
    return { type: drawn < rule.fail ? "fail" : "drop", delayMs };
  }
}

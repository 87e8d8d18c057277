import { forgetOldest, type ResourceAmounts } from "../base/mod.ts";
import { groupNameOf, plainName } from "../scheduling/mod.ts";

/** How much of a machine each of several holders has. */
export class Shares {
  readonly #totals: ResourceAmounts;
  readonly #held = new Map<string, Record<string, number>>();

  constructor(totals: ResourceAmounts) {
    this.#totals = totals;
  }

  add(holder: string, amounts: ResourceAmounts): void {
    let held = this.#held.get(holder);
    if (held === undefined) this.#held.set(holder, (held = {}));
    for (const name in amounts) {
      // Whoever is in a bundle takes from it and from its group: the same processors.
      if (groupNameOf(name) !== name) continue;
      const plain = plainName(name);
      held[plain] = (held[plain] ?? 0) + (amounts[name] as number);
    }
  }

  /** Of the resource that it has most of, the part of the whole. Resources that the machine has not are not counted. */
  of(holder: string): number {
    const held = this.#held.get(holder);
    let share = 0;
    for (const name in held) if ((this.#totals[name] ?? 0) > 0) share = Math.max(share, (held[name] as number) / (this.#totals[name] as number));
    return share;
  }
}

/** What is not taken yet, and set aside for the holder at its turn. */
export class Kept {
  readonly amounts: ResourceAmounts;

  constructor(amounts: ResourceAmounts) {
    this.amounts = amounts;
  }
}

/** Takes one thing after the other, or has it kept, and says what. */
export type Taker = Iterator<ResourceAmounts | Kept, unknown>;

/** Holders whose last turn is remembered. */
const TURNS_REMEMBERED_MAX = 1_000;

/** Who was served when, while others waited too. */
export class LastTurns {
  readonly #turns = new Map<string, number>();
  #count = 0;

  served(holder: string): void {
    this.#turns.delete(holder);
    this.#turns.set(holder, ++this.#count);
    forgetOldest(this.#turns, TURNS_REMEMBERED_MAX);
  }

  /** Larger for whoever was served later; 0 for one that was not, or long ago. */
  of(holder: string): number {
    return this.#turns.get(holder) ?? 0;
  }
}

/**
 * Lets several take what there is, one thing at a time: next is always who has least, until none can take anything more. Of equal ones, who
 * was served longest ago, at this time or before: where there is room for one thing only, all have nothing whenever it is given back. Then the
 * first. `shares` is only asked for when there are several.
 */
export function* inTurns(takers: ReadonlyMap<string, Taker>, shares: () => Shares, lastTurns: LastTurns): Generator<ResourceAmounts | Kept> {
  if (takers.size === 1) {
    for (const taker of takers.values()) for (let next = taker.next(); next.done !== true; next = taker.next()) yield next.value;
    return;
  }
  const held = shares();
  const waiting = new Set(takers.keys());
  while (waiting.size > 0) {
    const holder = leastServed(waiting, held, lastTurns);
    const next = (takers.get(holder) as Taker).next();
    if (next.done === true) {
      waiting.delete(holder);
      continue;
    }
    const { value } = next;
    held.add(holder, value instanceof Kept ? value.amounts : value);
    // With nothing but a promise it has not been served.
    if (!(value instanceof Kept)) lastTurns.served(holder);
    yield next.value;
  }
}

function leastServed(waiting: ReadonlySet<string>, shares: Shares, lastTurns: LastTurns): string {
  let best: { readonly holder: string; readonly share: number; readonly turn: number } | null = null;
  for (const holder of waiting) {
    const share = shares.of(holder);
    const turn = lastTurns.of(holder);
    if (best === null || share < best.share || (share === best.share && turn < best.turn)) best = { holder, share, turn };
  }
  return (best as { readonly holder: string }).holder;
}

import type { ResourceAmounts } from "../base/mod.ts";
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

/** Takes one thing after the other, and says what. */
export type Taker = Iterator<ResourceAmounts, unknown>;

/**
 * Lets several take what there is, one thing at a time: next is always who has least, until none can take anything more. Of equal ones, who
 * has taken less often, and then the first. `shares` is only asked for when there are several.
 */
export function* inTurns(takers: ReadonlyMap<string, Taker>, shares: () => Shares): Generator<ResourceAmounts> {
  if (takers.size === 1) {
    for (const taker of takers.values()) for (let next = taker.next(); next.done !== true; next = taker.next()) yield next.value;
    return;
  }
  const held = shares();
  const turns = new Map(Array.from(takers.keys(), (holder) => [holder, 0]));
  while (turns.size > 0) {
    const holder = leastServed(turns, held);
    const next = (takers.get(holder) as Taker).next();
    if (next.done === true) {
      turns.delete(holder);
      continue;
    }
    held.add(holder, next.value);
    turns.set(holder, (turns.get(holder) as number) + 1);
    yield next.value;
  }
}

function leastServed(turns: ReadonlyMap<string, number>, shares: Shares): string {
  let best: { readonly holder: string; readonly share: number; readonly taken: number } | null = null;
  for (const [holder, taken] of turns) {
    const share = shares.of(holder);
    if (best === null || share < best.share || (share === best.share && taken < best.taken)) best = { holder, share, taken };
  }
  return (best as { readonly holder: string }).holder;
}

import { type NodeKey, type ResourceAmounts, UNITS_PER_RESOURCE } from "../base/mod.ts";
import type { PlacementStrategyName } from "../protocol/mod.ts";
import { fits, sumOf } from "./resources.ts";

/** What is seen of a node when bundles are placed: one that is alive and takes work. */
export interface BundleNode {
  readonly key: NodeKey;
  readonly totals: ResourceAmounts;
  /** A resource that is absent counts as zero. */
  readonly available: ResourceAmounts;
  /** Of that, what is promised to others already. Null for nothing. */
  readonly promised: ResourceAmounts | null;
}

export interface BundlesRequest {
  readonly bundles: readonly ResourceAmounts[];
  readonly strategy: PlacementStrategyName;
  /** Where other bundles of the same group are: those here are placed again, because their node was lost. */
  readonly occupied: readonly NodeKey[];
}

export type BundlesAnswer =
  /** A node for each bundle, in their order. */
  | { readonly type: "nodes"; readonly nodes: readonly NodeKey[] }
  /** There is no room now. `nodes`: where they would go if nothing else was there; null when that is not known. */
  | { readonly type: "wait"; readonly nodes: readonly NodeKey[] | null }
  /** These nodes can never hold them. `reason`: what is missing, as a sentence without its end. */
  | { readonly type: "infeasible"; readonly reason: string };

/** Choices that turn out wrong before an arrangement counts as not found: bin packing has no quick answer. */
const WRONG_CHOICES_MAX = 10_000;
/** Kept for those who ask for them. */
const SCARCE = "GPU";

/**
 * A node for each bundle of a placement group, for all or none. Pure, and whatever the order of the nodes: equal ones are told apart
 * by their keys.
 *
 * - PACK: one node if it holds all, else those that are in use for this group already before others.
 * - SPREAD: nodes without a bundle of this group for as long as there are such.
 * - STRICT_PACK: one node.
 * - STRICT_SPREAD: no two bundles on one node.
 */
export function placeBundles(nodes: readonly BundleNode[], request: BundlesRequest): BundlesAnswer {
  const placed = arrange(nodes, request, "available");
  if (placed !== null) return { type: "nodes", nodes: placed };
  const reason = whyInfeasible(nodes, request);
  return reason === null ? { type: "wait", nodes: arrange(nodes, request, "totals") } : { type: "infeasible", reason };
}

type Offer = "available" | "totals";

function arrange(nodes: readonly BundleNode[], request: BundlesRequest, offer: Offer): readonly NodeKey[] | null {
  const { bundles, strategy } = request;
  const mayShare = bundles.length === 1 || strategy !== "STRICT_SPREAD";
  const [only] = nodes;
  // Nothing to choose, and no need to look for it: most groups of most programs are of this kind.
  if (only !== undefined && nodes.length === 1 && strategy !== "STRICT_SPREAD") return isRoomOn(only, bundles.length === 1 ? (bundles[0] as ResourceAmounts) : sumOf(bundles), offer) ? bundles.map(() => only.key) : null;
  if (mayShare && (nodes.length === 1 || strategy === "PACK" || strategy === "STRICT_PACK")) {
    const search = new Search(nodes, { ...request, bundles: [bundles.length === 1 ? (bundles[0] as ResourceAmounts) : sumOf(bundles)] }, offer);
    const one = search.find()?.[0];
    if (one !== undefined) return bundles.map(() => one);
    if (nodes.length === 1 || strategy === "STRICT_PACK") return null;
  }
  return new Search(nodes, request, offer).find();
}

function isRoomOn(node: BundleNode, wanted: ResourceAmounts, offer: Offer): boolean {
  for (const name in wanted) if (offeredBy(node, name, offer) < (wanted[name] as number)) return false;
  return true;
}

function offeredBy(node: BundleNode, name: string, offer: Offer): number {
  return (node[offer][name] ?? 0) - (offer === "totals" ? 0 : (node.promised?.[name] ?? 0));
}

/** One bundle whose place is being looked for, with the nodes that may be tried, the best first. */
interface Choice {
  readonly bundle: number;
  readonly candidates: readonly Spot[];
  tried: number;
}

interface Spot {
  readonly node: BundleNode;
  readonly left: Record<string, number>;
  bundles: number;
}

/** Takes bundles one by one, those that are hardest to place first, and goes back on choices that leave no place for the next. */
class Search {
  readonly #spots: readonly Spot[];
  readonly #request: BundlesRequest;

  constructor(nodes: readonly BundleNode[], request: BundlesRequest, offer: Offer) {
    this.#request = request;
    const names = new Set(request.bundles.flatMap((bundle) => Object.keys(bundle)));
    this.#spots = nodes.map((node) => ({
      node, left: Object.fromEntries([...names].map((name) => [name, offeredBy(node, name, offer)])), bundles: request.occupied.filter((key) => key === node.key).length,
    }));
  }

  find(): NodeKey[] | null {
    const { bundles } = this.#request;
    const order = this.#hardestFirst();
    const choices: Choice[] = [this.#choice(order[0] as number)];
    for (let wrong = 0; wrong <= WRONG_CHOICES_MAX; ) {
      const choice = choices.at(-1);
      if (choice === undefined) return null;
      if (choice.tried > 0) this.#move(choice, -1);
      if (choice.tried === choice.candidates.length) {
        choices.pop();
        wrong++;
        continue;
      }
      choice.tried++;
      this.#move(choice, 1);
      if (choices.length === bundles.length) return this.#nodesOf(choices);
      choices.push(this.#choice(order[choices.length] as number));
    }
    return null;
  }

  /** By the largest part of what a node has that they take. */
  #hardestFirst(): number[] {
    const { bundles } = this.#request;
    if (bundles.length === 1) return [0];
    const most = new Map<string, number>();
    for (const { left } of this.#spots) for (const name in left) most.set(name, Math.max(most.get(name) ?? 1, left[name] as number));
    const sizes = bundles.map((bundle) => Math.max(...Object.entries(bundle).map(([name, units]) => units / (most.get(name) ?? 1))));
    return [...bundles.keys()].sort((a, b) => (sizes[b] as number) - (sizes[a] as number) || a - b);
  }

  #choice(index: number): Choice {
    const bundle = this.#request.bundles[index] as ResourceAmounts;
    const isAlone = this.#request.strategy === "STRICT_SPREAD";
    const candidates = this.#spots.filter((spot) => fits(bundle, spot.left) && !(isAlone && spot.bundles > 0));
    if (candidates.length > 1) candidates.sort((a, b) => this.#compare(a, b, bundle));
    return { bundle: index, candidates, tried: 0 };
  }

  /** Negative when `a` comes first. Large gaps are left for others, except where the load is to be spread. */
  #compare(a: Spot, b: Spot, bundle: ResourceAmounts): number {
    const isSpread = this.#request.strategy === "SPREAD";
    const byUse = isSpread ? a.bundles - b.bundles : Number(b.bundles > 0) - Number(a.bundles > 0);
    const byGap = gap(a, bundle) - gap(b, bundle);
    return byUse || Number(hasUnusedScarce(a, bundle)) - Number(hasUnusedScarce(b, bundle)) || (isSpread ? -byGap : byGap) || (a.node.key < b.node.key ? -1 : 1);
  }

  #move({ bundle, candidates, tried }: Choice, direction: 1 | -1): void {
    const spot = candidates[tried - 1] as Spot;
    const amounts = this.#request.bundles[bundle] as ResourceAmounts;
    for (const name in amounts) spot.left[name] = (spot.left[name] as number) - direction * (amounts[name] as number);
    spot.bundles += direction;
  }

  #nodesOf(choices: readonly Choice[]): NodeKey[] {
    const nodes: NodeKey[] = [];
    for (const { bundle, candidates, tried } of choices) nodes[bundle] = (candidates[tried - 1] as Spot).node.key;
    return nodes;
  }
}

/** How much of what the bundle takes would be left there, in parts of what the node has. */
function gap({ node, left }: Spot, bundle: ResourceAmounts): number {
  let sum = 0;
  for (const name in bundle) sum += ((left[name] as number) - (bundle[name] as number)) / Math.max(node.totals[name] ?? 0, 1);
  return sum;
}

function hasUnusedScarce({ node }: Spot, bundle: ResourceAmounts): boolean {
  return bundle[SCARCE] === undefined && (node.totals[SCARCE] ?? 0) > 0;
}

/** Null when these nodes might hold them, if they had nothing else. */
function whyInfeasible(nodes: readonly BundleNode[], { bundles, strategy, occupied }: BundlesRequest): string | null {
  if (nodes.length === 0) return "the cluster has no node that takes work";
  for (const [index, bundle] of bundles.entries()) {
    if (!nodes.some((node) => fits(bundle, node.totals))) return `${bundles.length === 1 ? "its bundle" : `bundle ${index}`} needs ${lackOnEachNode(bundle, nodes)}`;
  }
  if (strategy === "STRICT_PACK" && !nodes.some((node) => fits(sumOf(bundles), node.totals))) return `its bundles need ${lackOnEachNode(sumOf(bundles), nodes)}, and are for one node (STRICT_PACK)`;
  const others = nodes.filter(({ key }) => !occupied.includes(key)).length;
  if (strategy === "STRICT_SPREAD" && bundles.length > others) {
    return `it has ${bundles.length + occupied.length} bundles for as many nodes (STRICT_SPREAD), but the cluster has ${nodes.length === 1 ? "one node" : `${nodes.length} nodes`}`;
  }
  const lack = lacks(sumOf(bundles), sumOf(nodes.map(({ totals }) => totals)), "the cluster has");
  return lack === "" ? null : `its bundles need ${lack}`;
}

function lackOnEachNode(wanted: ResourceAmounts, nodes: readonly BundleNode[]): string {
  const most: Record<string, number> = {};
  for (const name in wanted) most[name] = Math.max(...nodes.map(({ totals }) => totals[name] ?? 0));
  const lack = lacks(wanted, most, nodes.length === 1 ? "the cluster has" : "no node has more than");
  return lack === "" ? `${Object.entries(wanted).map(([name, units]) => `${units / UNITS_PER_RESOURCE} ${name}`).join(" and ")} on one node, but no node has all of it` : lack;
}

function lacks(wanted: ResourceAmounts, offered: ResourceAmounts, who: string): string {
  const names = Object.keys(wanted).filter((name) => (offered[name] ?? 0) < (wanted[name] as number));
  return names.map((name) => `${(wanted[name] as number) / UNITS_PER_RESOURCE} ${name}, but ${who} ${(offered[name] ?? 0) / UNITS_PER_RESOURCE}`).join("; ");
}

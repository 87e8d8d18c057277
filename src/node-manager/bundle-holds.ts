import { type AcceleratorIds, type PlacementGroupId, RenewedMap, RenewedSet, type ResourceAmounts } from "../base/mod.ts";
import { acceleratorsOfBundle, bundleNamesOf, givenByBundle, type ResourceLedger } from "../scheduling/mod.ts";

export type BundleInstruction =
  | { readonly type: "bundlesPrepared" | "bundlesRefused" | "bundlesCommitted"; readonly groupId: PlacementGroupId; readonly attempt: number }
  | { readonly type: "bundlesReturned"; readonly groupId: PlacementGroupId };

type Bundles = readonly (readonly [index: number, resources: ResourceAmounts])[];

interface Hold {
  readonly attempt: number;
  readonly resources: ResourceAmounts;
  readonly acceleratorIds: AcceleratorIds | null;
  stage: "prepared" | "committed" | "ending";
  /** As the group's own, once it is committed and somebody asks for it. */
  given: ResourceAmounts;
}

const NOTHING: ResourceAmounts = {};

/**
 * The bundles of placement groups on this node. Pure.
 *
 *   prepare (1)            commit (2)
 *  ─────────────▶ prepared ──────────▶ committed
 *    │    ▲           │                    │ cancelled, or group removed (3)
 *    ▼    │ room      │ cancelled (3)      ▼
 *   waiting           ▼      nobody     ending
 *                    gone ◀─ uses it ──────┘
 *                            any more (4)
 *
 * (1) What the bundle has is taken from the node: all bundles of a message, or none. Without room they are refused, or wait for it in
 *     the order of arrival; one that is too large does not hold up those behind it.
 * (2) It is there again as resources of the group, which its tasks and actors take: at once where other nodes choose by them, or when
 *     the first of these asks for them. Their names are most of what a group costs, and many groups come and go unused.
 * (3) Nothing new starts in it; who uses it is ended.
 * (4) Its resources are the node's again.
 */
export class BundleHolds {
  readonly #ledger: ResourceLedger;
  readonly #groups = new RenewedMap<PlacementGroupId, Map<number, Hold>>();
  #waiting: { readonly groupId: PlacementGroupId; readonly attempt: number; readonly bundles: Bundles }[] = [];
  /** Groups with bundles that are ending. */
  readonly #ending = new RenewedSet<PlacementGroupId>();
  /** Of these, those that are to be gone for good. */
  readonly #returning = new RenewedSet<PlacementGroupId>();

  constructor(ledger: ResourceLedger) {
    this.#ledger = ledger;
  }

  get areEnding(): boolean { return this.#ending.size > 0; }
  get areWaiting(): boolean { return this.#waiting.length > 0; }

  prepare(groupId: PlacementGroupId, attempt: number, bundles: Bundles, waits: boolean): BundleInstruction[] {
    if (this.#has(groupId, attempt)) return [{ type: "bundlesPrepared", groupId, attempt }];
    if (this.#waiting.some((other) => other.groupId === groupId && other.attempt === attempt)) return [];
    if (this.#hold(groupId, attempt, bundles)) return [{ type: "bundlesPrepared", groupId, attempt }];
    if (!waits) return [{ type: "bundlesRefused", groupId, attempt }];
    this.#waiting.push({ groupId, attempt, bundles });
    return [];
  }

  #has(groupId: PlacementGroupId, attempt: number): boolean {
    for (const hold of this.#groups.get(groupId)?.values() ?? []) if (hold.attempt === attempt && hold.stage !== "ending") return true;
    return false;
  }

  #hold(groupId: PlacementGroupId, attempt: number, bundles: Bundles): boolean {
    const held: Hold[] = [];
    for (const [index, resources] of bundles) {
      // The same bundle of an attempt before may not be gone yet.
      if (!this.#ledger.hasRoomFor(resources) || this.#groups.get(groupId)?.has(index) === true) {
        for (const { resources: back, acceleratorIds } of held) this.#ledger.give(back, acceleratorIds);
        return false;
      }
      held.push({ attempt, resources, acceleratorIds: this.#ledger.take(resources), stage: "prepared", given: NOTHING });
    }
    const group = this.#groups.get(groupId) ?? new Map<number, Hold>();
    for (const [position, [index]] of bundles.entries()) group.set(index, held[position] as Hold);
    this.#groups.set(groupId, group);
    return true;
  }

  /** (4), and then (1) for those that wait. To be asked whenever something was given back. */
  settle(): BundleInstruction[] {
    const settled = this.#giveBackUnused();
    if (this.#waiting.length > 0) settled.push(...this.#holdWaiting());
    return settled;
  }

  /** (1) Those that wait and now have room. */
  #holdWaiting(): BundleInstruction[] {
    const prepared: BundleInstruction[] = [];
    this.#waiting = this.#waiting.filter(({ groupId, attempt, bundles }) => {
      if (!this.#hold(groupId, attempt, bundles)) return true;
      prepared.push({ type: "bundlesPrepared", groupId, attempt });
      return false;
    });
    return prepared;
  }

  *waitingGroups(): Iterable<PlacementGroupId> {
    for (const { groupId } of this.#waiting) yield groupId;
  }

  /** There will be no room for them. */
  refuseWaiting(): BundleInstruction[] {
    const refused = this.#waiting.map(({ groupId, attempt }) => ({ type: "bundlesRefused" as const, groupId, attempt }));
    this.#waiting = [];
    return refused;
  }

  commit(groupId: PlacementGroupId, attempt: number, isWanted: boolean): BundleInstruction[] {
    if (!this.#has(groupId, attempt)) return [{ type: "bundlesRefused", groupId, attempt }];
    for (const hold of (this.#groups.get(groupId) as Map<number, Hold>).values()) if (hold.attempt === attempt && hold.stage === "prepared") hold.stage = "committed";
    if (isWanted) this.wanted(groupId);
    return [{ type: "bundlesCommitted", groupId, attempt }];
  }

  /** (2) Somebody asks for what is in this group. */
  wanted(groupId: PlacementGroupId): void {
    for (const [index, hold] of this.#groups.get(groupId) ?? []) {
      if (hold.stage !== "committed" || hold.given !== NOTHING) continue;
      hold.given = givenByBundle(hold.resources, groupId, index);
      this.#ledger.add(hold.given, acceleratorsOfBundle(hold.acceleratorIds ?? {}, groupId, index));
    }
  }

  /** (3) `attempt` null: the whole group, for good. True if there is somebody who uses what ends. */
  end(groupId: PlacementGroupId, attempt: number | null): boolean {
    if (this.#waiting.length > 0) this.#waiting = this.#waiting.filter((waiting) => waiting.groupId !== groupId || (attempt !== null && waiting.attempt !== attempt));
    if (attempt === null) this.#returning.add(groupId);
    const group = this.#groups.get(groupId);
    let wasCommitted = false;
    for (const [index, hold] of group ?? []) {
      if (attempt !== null && hold.attempt !== attempt) continue;
      if (hold.stage !== "prepared") {
        hold.stage = "ending";
        wasCommitted = true;
        continue;
      }
      this.#ledger.give(hold.resources, hold.acceleratorIds);
      group?.delete(index);
    }
    if (group?.size === 0) this.#groups.delete(groupId);
    const isUsed = wasCommitted && !this.#giveBack(groupId);
    if (isUsed) this.#close(group as ReadonlyMap<number, Hold>);
    if (isUsed || attempt === null) this.#ending.add(groupId);
    return isUsed;
  }

  #close(group: ReadonlyMap<number, Hold>): void {
    const isAll = [...group.values()].every(({ stage }) => stage === "ending");
    for (const { stage, given } of group.values()) if (stage === "ending") this.#ledger.close(isAll ? given : bundleNamesOf(given));
  }

  /** (4) */
  #giveBackUnused(): BundleInstruction[] {
    const returned: BundleInstruction[] = [];
    if (this.#ending.size === 0) return returned;
    for (const groupId of this.#ending) {
      if (!this.#giveBack(groupId)) continue;
      this.#ending.delete(groupId);
      if (this.#returning.delete(groupId)) returned.push({ type: "bundlesReturned", groupId });
    }
    return returned;
  }

  #giveBack(groupId: PlacementGroupId): boolean {
    const group = this.#groups.get(groupId);
    if (group === undefined) return true;
    let isAllBack = true;
    for (const [index, { stage, resources, acceleratorIds, given }] of group) {
      if (stage !== "ending") continue;
      if (!this.#ledger.remove(given, acceleratorsOfBundle(acceleratorIds ?? {}, groupId, index))) {
        isAllBack = false;
        continue;
      }
      this.#ledger.give(resources, acceleratorIds);
      group.delete(index);
    }
    if (group.size === 0) this.#groups.delete(groupId);
    return isAllBack;
  }
}

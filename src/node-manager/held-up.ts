import { UNITS_PER_RESOURCE, type AcceleratorIds, type ActorId, type ResourceAmounts, type WorkerId } from "../base/mod.ts";
import { describeResource, type ResourceLedger } from "../scheduling/mod.ts";
import type { ActorPlacement, Demand } from "./wishes.ts";

/** Who waits for what does not come back by itself: actors hold it, or tasks that wait themselves. */
export interface HeldUp {
  readonly wanted: ResourceAmounts;
  /** Of a task: its owner and queue. */
  readonly task: { readonly ownerId: WorkerId; readonly key: string } | null;
  readonly actorId: ActorId | null;
  /** Says what is missing and who has it. */
  readonly reason: string;
}

interface Waiting {
  readonly wanted: ResourceAmounts;
  readonly task: HeldUp["task"];
  readonly actorId: ActorId | null;
}

interface Holding {
  readonly slots: number;
  readonly slotHolds: ResourceAmounts;
  readonly keeps: ResourceAmounts | null;
  readonly acceleratorIds: AcceleratorIds | null;
}

/** Tasks and actors that have not all that they want. */
export function waitingFor(demands: Iterable<Demand>, placements: Iterable<ActorPlacement>): Waiting[] {
  const tasks = Array.from(demands).filter(({ granted, target }) => granted < target).map(({ ownerId, key, holdings }) => ({ wanted: holdings.all, task: { ownerId, key }, actorId: null }));
  return [...tasks, ...Array.from(placements, ({ actorId, holds }) => ({ wanted: holds, task: null, actorId }))];
}

/** Pure. `where`: what has these resources, in words. Running tasks end, and give back what they have; actors may live for ever, and so may waiting tasks that wait for each other. */
export function findHeldUp(waiting: readonly Waiting[], ledger: ResourceLedger, leases: Iterable<Holding>, actorHolds: readonly ResourceAmounts[], where: string): HeldUp[] {
  const room = ledger.free();
  const kept: ResourceAmounts[] = [];
  for (const { slots, slotHolds, keeps, acceleratorIds } of leases) {
    for (let slot = 0; slot < slots; slot++) room.give(slotHolds);
    if (keeps === null) continue;
    if (slots > 0) room.give(keeps, acceleratorIds);
    else kept.push(keeps);
  }
  return waiting.filter(({ wanted }) => !room.hasRoomFor(wanted)).map((one) => ({ ...one, reason: describe(one.wanted, ledger.totals, room.available, kept, actorHolds, where) }));
}

function describe(wanted: ResourceAmounts, totals: ResourceAmounts, available: ResourceAmounts, kept: readonly ResourceAmounts[], actorHolds: readonly ResourceAmounts[], where: string): string {
  const names = Object.keys(wanted).filter((name) => describeResource(name) !== null);
  const short = names.filter((name) => (available[name] ?? 0) < (wanted[name] as number));
  // Parts of accelerators may be free that add up and yet are no whole one.
  const missing = (short.length > 0 ? short : names).map((name) => {
    const held = unitsOf(name, actorHolds);
    const keptUnits = unitsOf(name, kept);
    const inGroups = (totals[name] ?? 0) - (available[name] ?? 0) - held - keptUnits;
    const holders = [...holder(held, "actors hold"), ...holder(keptUnits, "tasks that wait for objects keep"), ...holder(inGroups, "placement groups have set aside")];
    return [`${quantity(wanted[name])} ${describeResource(name)}, of which ${where} has ${quantity(totals[name])}`, ...holders].join(" and ");
  });
  return missing.join("; ");
}

function unitsOf(name: string, all: readonly ResourceAmounts[]): number {
  return all.reduce((sum, amounts) => sum + (amounts[name] ?? 0), 0);
}

function holder(units: number, verb: string): string[] {
  return units <= 0 ? [] : [`${verb} ${quantity(units)}`];
}

function quantity(units: number | undefined): number {
  return (units ?? 0) / UNITS_PER_RESOURCE;
}

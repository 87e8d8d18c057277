import { forgetOldest, nodeKeyOf, type ActorId, type NodeKey, type WorkerId } from "../base/mod.ts";
import type { CodeUnitRecord } from "../protocol/mod.ts";

/** Programs that have ended, whose code may come once more from what they have left behind. */
const ENDED_REMEMBERED_MAX = 1_000;

/**
 * Code that handles refer to by id, for workers that have not seen it. A program's code stays until the program has ended, and for as long
 * as there are actors after it that are made of it.
 */
export class FunctionTable {
  readonly #units = new Map<string, CodeUnitRecord>();
  /** Ids of units by the driver of the program that they are from. */
  readonly #programs = new Map<WorkerId, Set<string>>();
  /** Drivers that have ended → the actors that still need their code. */
  readonly #heirs = new Map<WorkerId, Set<ActorId>>();
  readonly #ended = new Set<WorkerId>();
  readonly #onDropped: (driverId: WorkerId) => void;

  /** `onDropped`: nothing is left of a program. */
  constructor(onDropped: (driverId: WorkerId) => void = () => undefined) {
    this.#onDropped = onDropped;
  }

  put(units: readonly CodeUnitRecord[]): void {
    for (const unit of units) {
      if (this.#units.has(unit.id)) continue;
      this.#units.set(unit.id, unit);
      if (unit.origin === null) continue;
      const { driverId } = unit.origin;
      const ids = this.#programs.get(driverId);
      if (ids === undefined) this.#programs.set(driverId, new Set([unit.id]));
      else ids.add(unit.id);
    }
  }

  /** An actor was made whose code has been put here. */
  actorCreated(actorId: ActorId, units: readonly CodeUnitRecord[]): void {
    if (this.#ended.size === 0) return;
    for (const { origin } of units) {
      if (origin === null || !this.#ended.has(origin.driverId)) continue;
      const heirs = this.#heirs.get(origin.driverId);
      if (heirs === undefined) this.#heirs.set(origin.driverId, new Set([actorId]));
      else heirs.add(actorId);
    }
  }

  actorEnded(actorId: ActorId): void {
    for (const [driverId, heirs] of this.#heirs) {
      if (!heirs.delete(actorId) || heirs.size > 0) continue;
      this.#heirs.delete(driverId);
      this.#drop(driverId);
    }
  }

  /** `heirs`: the actors that are made of its code and go on. */
  programEnded(driverId: WorkerId, heirs: readonly ActorId[]): void {
    if (!this.#programs.has(driverId)) return;
    this.#ended.add(driverId);
    forgetOldest(this.#ended, ENDED_REMEMBERED_MAX);
    if (heirs.length > 0) this.#heirs.set(driverId, new Set(heirs));
    else this.#drop(driverId);
  }

  /** Of the programs that run there. */
  driversOn(node: NodeKey): WorkerId[] {
    return [...this.#programs.keys()].filter((driverId) => nodeKeyOf(driverId) === node);
  }

  hasProgram(driverId: WorkerId): boolean {
    return this.#programs.has(driverId);
  }

  #drop(driverId: WorkerId): void {
    for (const id of this.#programs.get(driverId) ?? []) this.#units.delete(id);
    this.#programs.delete(driverId);
    this.#onDropped(driverId);
  }

  /** Those that are kept here, in place of copies that came later. */
  kept(units: readonly CodeUnitRecord[]): CodeUnitRecord[] {
    return units.map((unit) => this.#units.get(unit.id) ?? unit);
  }

  /** The units and all that they need, each once; ids that are not known are left out. */
  get(unitIds: readonly string[]): CodeUnitRecord[] {
    const found = new Map<string, CodeUnitRecord>();
    const wanted = [...unitIds];
    for (let id = wanted.pop(); id !== undefined; id = wanted.pop()) {
      const unit = this.#units.get(id);
      if (unit === undefined || found.has(id)) continue;
      found.set(id, unit);
      wanted.push(...unit.needs);
    }
    return [...found.values()];
  }
}

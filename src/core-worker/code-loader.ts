import type { CodeUnitRecord, RuntimeDescriptor } from "../protocol/mod.ts";
import type { Serializer } from "../serialization/mod.ts";
import type { Peer } from "./peer.ts";
import { codeOfDescriptor } from "./retried-errors.ts";

/** Asks the GCS's function table; the answer holds the units and all that they need. */
export type FetchCode = (unitIds: readonly string[]) => Promise<readonly CodeUnitRecord[]>;

/** Makes code that others captured callable here, and hands on what this worker captured or was given. */
export class CodeLoader {
  readonly #serializer: Serializer;
  readonly #fetch: FetchCode;
  /** Received, not loaded yet. */
  readonly #received = new Map<string, CodeUnitRecord>();
  readonly #loading = new Map<string, Promise<void>>();

  constructor(serializer: Serializer, fetch: FetchCode) {
    this.#serializer = serializer;
    this.#fetch = fetch;
  }

  receive(units: readonly CodeUnitRecord[]): void {
    for (const unit of units) if (!this.#serializer.isLoaded(unit.id)) this.#received.set(unit.id, unit);
  }

  /** Undefined when all is loaded already, or could be at once. */
  ensureLoaded(unitIds: readonly string[]): Promise<void> | undefined {
    const pending: Promise<void>[] = [];
    for (const unitId of unitIds) {
      const loading = this.#load(unitId, null);
      if (loading !== undefined) pending.push(loading);
    }
    return pending.length === 0 ? undefined : Promise.all(pending).then(() => undefined);
  }

  /** `path`: units that wait for this one; a cycle among them is broken here and resolved inside hydration. */
  #load(unitId: string, path: ReadonlySet<string> | null): Promise<void> | undefined {
    if (this.#serializer.isLoaded(unitId) || path?.has(unitId) === true) return undefined;
    const loading = this.#loading.get(unitId);
    if (loading !== undefined) return loading;
    const unit = this.#received.get(unitId);
    const work = unit === undefined ? this.#fetchAndLoad(unitId, path) : this.#loadUnit(unit, path);
    if (work === undefined) return undefined;
    const tracked = work.finally(() => this.#loading.delete(unitId));
    this.#loading.set(unitId, tracked);
    return tracked;
  }

  async #fetchAndLoad(unitId: string, path: ReadonlySet<string> | null): Promise<void> {
    this.receive(await this.#fetch([unitId]));
    const unit = this.#received.get(unitId);
    if (unit === undefined) throw new Error(`the code ${unitId} is not known in this cluster any more`);
    await this.#loadUnit(unit, path);
  }

  #loadUnit(unit: CodeUnitRecord, path: ReadonlySet<string> | null): Promise<void> | undefined {
    const below = new Set(path).add(unit.id);
    const needed = unit.needs.map((id) => this.#load(id, below)).filter((loading) => loading !== undefined);
    if (needed.length > 0) return Promise.all(needed).then(() => this.#hydrate(unit));
    return this.#hydrate(unit);
  }

  #hydrate(unit: CodeUnitRecord): Promise<void> | undefined {
    const loading = this.#serializer.loadCode(unit);
    if (loading === undefined) this.#received.delete(unit.id);
    else void loading.then(() => this.#received.delete(unit.id), () => undefined);
    return loading;
  }

  /** Sends a peer the code that a value or call needs, with everything that code needs in turn. */
  share(peer: Peer, unitIds: readonly string[], descriptors: readonly unknown[]): void {
    if (unitIds.length === 0 && descriptors.length === 0) return;
    const missing = this.closure([...unitIds, ...unitsIn(descriptors)], (id) => peer.unitsSent.has(id));
    if (missing.length > 0) peer.sendCode(missing);
  }

  /** The units and all that they need and mention, each once, without those that `isKnown`. */
  closure(unitIds: readonly string[], isKnown: (unitId: string) => boolean = () => false): CodeUnitRecord[] {
    const found = new Map<string, CodeUnitRecord>();
    const wanted = [...unitIds];
    for (let id = wanted.pop(); id !== undefined; id = wanted.pop()) {
      if (found.has(id) || isKnown(id)) continue;
      const unit = this.#received.get(id) ?? this.#serializer.codeUnit(id);
      if (unit === undefined) continue;
      found.set(id, unit);
      wanted.push(...unit.needs, ...unitsIn(unit.descriptors));
    }
    return [...found.values()];
  }
}

/** Remote functions, actor classes and handles inside values bring their code along. */
export function unitsIn(descriptors: readonly unknown[]): string[] {
  const ids: string[] = [];
  for (const descriptor of descriptors as readonly RuntimeDescriptor[]) {
    if (descriptor.kind === "remoteFunction" || descriptor.kind === "actorClass") ids.push(descriptor.unitId);
    if (descriptor.kind !== "objectRef") ids.push(...codeOfDescriptor(descriptor));
  }
  return ids;
}

import type { ObjectId, WorkerId } from "../base/mod.ts";
import type { OwnedObject, StoreClient } from "../clients/mod.ts";
import type { BorrowedObjectReport, EncodedValueRecord, OwnedObjectReport, StoredRecord, WorkerObjectsReport } from "../protocol/mod.ts";
import { callSiteOf, takenFrom } from "./call-sites.ts";
import { type CallSite, ENCODED, type ObjectEntry } from "./object-entry.ts";
import type { KeptObject, References } from "./references.ts";
import type { StoredLifetimes } from "./stored-lifetimes.ts";
import type { PendingTask } from "./task.ts";

/** Objects of others that one worker reports; the owners name the borrowers of the rest. */
const BORROWED_REPORTED_MAX = 10_000;

export interface LargeObjectsEnvironment {
  readonly workerId: WorkerId;
  readonly pid: number;
  readonly isDriver: boolean;
  readonly store: StoreClient;
  readonly lifetimes: Pick<StoredLifetimes, "entriesInUse">;
  readonly references: Pick<References, "reasons">;
  actorClassName(): string | null;
}

/**
 * What this worker knows of the objects in shared memory: how those that it owns came to be, and why it keeps those that it has.
 * Small objects that stay with their owner cost nothing here, for they are not registered anywhere.
 */
export class LargeObjects {
  readonly #env: LargeObjectsEnvironment;

  constructor(environment: LargeObjectsEnvironment) {
    this.#env = environment;
  }

  // ------------------------------------------------------------------ how they came to be

  put(stored: StoredRecord, entry: ObjectEntry, site: CallSite): void {
    this.#env.store.describe(stored, { objectId: entry.id, createdBy: "put()", places: takenFrom(site) });
  }

  /** Before the entry is settled, which drops its site. Values of a stream have the site of their call. */
  result(stored: StoredRecord, entry: ObjectEntry, task: PendingTask): void {
    const site = entry.site ?? task.stream?.end.site ?? null;
    this.#env.store.describe(stored, { objectId: entry.id, createdBy: `${task.name}()`, places: site === null ? null : takenFrom(site) });
  }

  argument(stored: StoredRecord, index: number, task: PendingTask, site: CallSite): void {
    this.#env.store.describe(stored, { objectId: null, createdBy: `argument ${index + 1} of ${task.name}()`, places: takenFrom(site) });
  }

  // ------------------------------------------------------------------ to see

  /** With 0 it only collects garbage: what depends on that happens in later turns. */
  answer(ownedMax: number, send: (report: WorkerObjectsReport | null) => void): void {
    if (ownedMax > 0) return send(this.#report(ownedMax));
    this.#env.store.collectGarbage();
    setImmediate(() => setImmediate(() => send(null)));
  }

  /** The largest ones that it owns, at most `ownedMax`, and what it has of others. */
  #report(ownedMax: number): WorkerObjectsReport {
    const { workerId, pid, isDriver, store, references } = this.#env;
    const inUse = new Set<ObjectId>();
    for (const entry of this.#env.lifetimes.entriesInUse()) if (isStored(entry)) inUse.add(entry.id);
    const counted = new Map<ObjectId, KeptObject>();
    const borrowed: BorrowedObjectReport[] = [];
    for (const kept of references.reasons((entry) => entry.ownerId !== workerId || isStored(entry))) {
      const { entry } = kept;
      if (entry.ownerId === workerId) counted.set(entry.id, kept);
      else if (borrowed.length < BORROWED_REPORTED_MAX) borrowed.push({ objectId: entry.id, references: kept.references });
    }
    const all = store.owned();
    // The same order as the store's, so that each object that it lists is among them.
    const largest = all.filter(({ isFreed }) => !isFreed).sort((a, b) => b.byteLength - a.byteLength || a.id - b.id).slice(0, ownedMax);
    const sites = new Map<string, string | null>();
    const owned = [...largest, ...all.filter(({ isFreed }) => isFreed)].map((object) => ownedReport(object, callSiteOf(object.origin?.places ?? [], sites), counted, inUse));
    return { workerId, pid, isDriver, actorClassName: this.#env.actorClassName(), owned, borrowed };
  }
}

function ownedReport({ node, id, origin, isFreed }: OwnedObject, callSite: string | null, counted: ReadonlyMap<ObjectId, KeptObject>, inUse: ReadonlySet<ObjectId>): OwnedObjectReport {
  const { objectId = null, createdBy = null } = origin ?? {};
  const base = { node, storedId: id, objectId, createdBy, callSite };
  if (isFreed) return { ...base, references: [], borrowerIds: [] };
  if (origin === null) return { ...base, references: ["UNKNOWN_STATUS"], borrowerIds: [] };
  if (objectId === null) return { ...base, references: ["USED_BY_PENDING_TASK"], borrowerIds: [] };
  const kept = counted.get(objectId);
  const isInUse = inUse.has(objectId);
  // One that was never shared lives by its ref, or by a call that has it as an argument.
  const references = new Set(kept?.references ?? (isInUse ? [] : ["LOCAL_REFERENCE" as const]));
  if (isInUse) references.add("USED_BY_PENDING_TASK");
  return { ...base, references: [...references], borrowerIds: kept?.borrowerIds ?? [] };
}

function isStored(entry: ObjectEntry): boolean {
  return entry.status === ENCODED && (entry.content as EncodedValueRecord).stored !== undefined;
}

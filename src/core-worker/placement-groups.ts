import { PlacementGroupAlreadyExistsError, PlacementGroupRemovedError, sequencedId, type Clock, type PlacementGroupId, type RayError, recordOf, type SystemErrorRecord, type WorkerId } from "../base/mod.ts";
import type { EncodedValueRecord, PlacementGroupRecord, PlacementGroupSpec, ToNode } from "../protocol/mod.ts";
import { systemFailure } from "./object-entry.ts";
import type { ObjectRef } from "./object-ref.ts";
import type { Awaited } from "./run-scope.ts";
import type { Submission } from "./submission.ts";

export interface PlacementGroupsEnvironment {
  readonly workerId: WorkerId;
  readonly clock: Clock;
  submission(): Submission;
  encode(value: unknown, label: string): EncodedValueRecord;
  /** With others of this turn in one frame. */
  sendToNodeSoon(message: ToNode): void;
  hold(): () => void;
  block(reject: (reason: Error) => void, what: Awaited | null): () => void;
}

/** Stands for a group in the entry of its `ready()` until that is settled. */
export class AwaitedGroup {
  readonly groupId: PlacementGroupId;
  constructor(groupId: PlacementGroupId) {
    this.groupId = groupId;
  }
}

/** Null: the group is there. */
type Decided = (error: RayError | null) => void;

/** What is known here of one group: of one that was made here, or that somebody here has asked after. */
interface Watched {
  record: PlacementGroupRecord | null;
  /** Told once, when the group is there or removed. */
  readonly waiting: Set<Decided>;
}

/** Placement groups as the programs of this worker see them. */
export class PlacementGroups {
  readonly #env: PlacementGroupsEnvironment;
  /** Groups that live, as far as is known here. */
  readonly #watched = new Map<PlacementGroupId, Watched>();
  #made = 0;

  constructor(environment: PlacementGroupsEnvironment) {
    this.#env = environment;
  }

  create(details: Omit<PlacementGroupSpec, "groupId">): PlacementGroupId {
    const groupId = sequencedId(this.#env.workerId, ++this.#made);
    this.#watched.set(groupId, { record: null, waiting: new Set() });
    this.#env.sendToNodeSoon({ type: "createPlacementGroup", spec: { groupId, ...details } });
    return groupId;
  }

  changed(record: PlacementGroupRecord): void {
    const watched = this.#watched.get(record.groupId);
    if (watched === undefined) return;
    watched.record = record;
    if (record.phase === "REMOVED") this.#watched.delete(record.groupId);
    else if (record.phase !== "CREATED") return;
    if (watched.waiting.size > 0) decide(watched, record.phase === "CREATED" ? null : removalError(record));
  }

  /** Nothing is heard of any group any more. */
  failAll(error: RayError): void {
    for (const watched of this.#watched.values()) decide(watched, error);
  }

  /** Those that somebody here waits for. */
  *awaited(): Iterable<PlacementGroupId> {
    for (const [groupId, { waiting }] of this.#watched) if (waiting.size > 0) yield groupId;
  }

  /** Somebody asks after a group of this worker's: if there is one, the GCS has heard of it before this answer. */
  where(groupId: PlacementGroupId): void {
    this.#env.sendToNodeSoon({ type: "placementGroupTold", groupId });
  }

  /** Calls `tell` once, at once if the group is there. Returns how to stop waiting. */
  #whenDecided(groupId: PlacementGroupId, tell: Decided): () => void {
    let watched = this.#watched.get(groupId);
    if (watched === undefined) {
      this.#watched.set(groupId, (watched = { record: null, waiting: new Set() }));
      this.#env.sendToNodeSoon({ type: "watchPlacementGroup", groupId });
    }
    const { record, waiting } = watched;
    if (record?.phase === "CREATED") tell(null);
    else waiting.add(tell);
    return () => waiting.delete(tell);
  }

  /** A ref that has `group` as its value once that is there; it fails when the group is removed before. */
  ready(groupId: PlacementGroupId, group: object): ObjectRef {
    const submission = this.#env.submission();
    submission.checkRunning("ready()");
    const entry = submission.newEntry(0);
    entry.isMadeBy(new AwaitedGroup(groupId), null);
    this.#whenDecided(groupId, (error) => {
      if (error === null) entry.settleEncoded(this.#env.encode(group, "a placement group"));
      else entry.settleFailed(systemFailure(recordOf(error) as SystemErrorRecord));
    });
    return submission.refOf(entry);
  }

  /** Whether the group is there within so long. Rejects when it is removed. */
  async wait(groupId: PlacementGroupId, timeoutMs: number): Promise<boolean> {
    this.#env.submission().checkRunning("wait()");
    if (this.#watched.get(groupId)?.record?.phase === "CREATED") return true;
    const cleanUps = [this.#env.hold()];
    try {
      return await new Promise<boolean>((resolve, reject) => {
        const timer = this.#env.clock.after(timeoutMs, () => resolve(false));
        const decided = (error: RayError | null): void => (error === null ? resolve(true) : reject(error));
        cleanUps.push(() => timer.cancel(), this.#env.block(reject, null), this.#whenDecided(groupId, decided));
      });
    } finally {
      for (const cleanUp of cleanUps) cleanUp();
    }
  }
}

function decide({ waiting }: Watched, error: RayError | null): void {
  const all = [...waiting];
  waiting.clear();
  for (const tell of all) tell(error);
}

function removalError({ groupId, removal, isNameTaken }: PlacementGroupRecord): RayError {
  if (isNameTaken) return new PlacementGroupAlreadyExistsError(`placement group ${groupId} was not made: ${removal}; choose another name, or get that one with getPlacementGroup()`);
  return new PlacementGroupRemovedError(`placement group ${groupId} is removed: ${removal}`);
}

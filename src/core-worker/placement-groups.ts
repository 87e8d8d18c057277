import { PlacementGroupAlreadyExistsError, PlacementGroupRemovedError, RenewedMap, sequencedId, type Clock, type PlacementGroupId, type RayError, recordOf, type SystemErrorRecord, type WorkerId } from "../base/mod.ts";
import { type EncodedValueRecord, type PlacementGroupFate, type PlacementGroupSpec, REMOVED_BY_PROGRAM, type ToNode } from "../protocol/mod.ts";
import type { NodeRequests } from "./node-requests.ts";
import { systemFailure } from "./object-entry.ts";
import type { ObjectRef } from "./object-ref.ts";
import type { Awaited } from "./run-scope.ts";
import type { Submission } from "./submission.ts";

export interface PlacementGroupsEnvironment {
  readonly workerId: WorkerId;
  readonly clock: Clock;
  readonly requests: NodeRequests;
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
  isThere: boolean;
  /** Told once, when the group is there or removed. */
  readonly waiting: Set<Decided>;
}

/** Placement groups as the programs of this worker see them. */
export class PlacementGroups {
  readonly #env: PlacementGroupsEnvironment;
  /** Groups that live, as far as is known here. */
  readonly #watched = new RenewedMap<PlacementGroupId, Watched>();
  #made = 0;

  constructor(environment: PlacementGroupsEnvironment) {
    this.#env = environment;
  }

  create(details: Omit<PlacementGroupSpec, "groupId">): PlacementGroupId {
    const groupId = sequencedId(this.#env.workerId, ++this.#made);
    this.#watched.set(groupId, { isThere: false, waiting: new Set() });
    this.#env.sendToNodeSoon({ type: "createPlacementGroup", spec: { groupId, ...details } });
    return groupId;
  }

  changed(fate: PlacementGroupFate): void {
    const watched = this.#watched.get(fate.groupId);
    if (watched === undefined) return;
    watched.isThere = fate.phase === "CREATED";
    if (fate.phase === "REMOVED") this.#watched.delete(fate.groupId);
    else if (!watched.isThere) return;
    if (watched.waiting.size > 0) decide(watched, watched.isThere ? null : removalError(fate));
  }

  /** Resolves when all that it had has been given back. */
  async remove(groupId: PlacementGroupId): Promise<void> {
    const removal = this.#env.requests.askSoon<null>((requestId) => ({ type: "removePlacementGroup", requestId, groupId }));
    this.changed({ groupId, phase: "REMOVED", removal: REMOVED_BY_PROGRAM, isNameTaken: false });
    await removal;
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
      this.#watched.set(groupId, (watched = { isThere: false, waiting: new Set() }));
      this.#env.sendToNodeSoon({ type: "watchPlacementGroup", groupId });
    }
    const { isThere, waiting } = watched;
    if (isThere) tell(null);
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
    if (this.#watched.get(groupId)?.isThere === true) return true;
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

function removalError({ groupId, removal, isNameTaken }: PlacementGroupFate): RayError {
  if (isNameTaken) return new PlacementGroupAlreadyExistsError(`placement group ${groupId} was not made: ${removal}; choose another name, or get that one with getPlacementGroup()`);
  return new PlacementGroupRemovedError(`placement group ${groupId} is removed: ${removal}`);
}

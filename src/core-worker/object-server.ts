import type { SystemErrorRecord, WorkerId } from "../base/mod.ts";
import type { EncodedValueRecord, ObjectOutcome, PeerMessage, PrimaryRecord, WorkerDeath } from "../protocol/mod.ts";
import type { CodeLoader } from "./code-loader.ts";
import { ENCODED, FAILED, type Failure, type ObjectEntry, PENDING, systemFailure } from "./object-entry.ts";
import type { Peer } from "./peer.ts";
import type { Lineage } from "./lineage.ts";
import { storedIn } from "./lost-arguments.ts";
import type { References } from "./references.ts";
import type { Recovered } from "./repeated-call.ts";

export interface ObjectServerEnvironment {
  readonly workerId: WorkerId;
  readonly references: References;
  readonly code: CodeLoader;
  readonly lineage: Lineage;
  peer(workerId: WorkerId): Peer;
  deathOf(workerId: WorkerId): WorkerDeath | undefined;
}

/** Gives borrowers the objects that this worker owns, and asks other owners for theirs. */
export class ObjectServer {
  readonly #env: ObjectServerEnvironment;
  readonly #requested = new Map<number, ObjectEntry>();
  readonly #requestOf = new WeakMap<ObjectEntry, number>();
  /** Those that were here and are lost, and who waits for them. */
  readonly #recovering = new Map<ObjectEntry, Recovered[]>();
  #nextRequest = 1;

  constructor(environment: ObjectServerEnvironment) {
    this.#env = environment;
  }

  // ------------------------------------------------------------------ as a borrower

  /** Asks the owner, once; its answer settles the entry. Nothing to do for an object of our own. */
  fetch(entry: ObjectEntry): void {
    if (entry.ownerId === this.#env.workerId || this.#requestOf.has(entry)) return;
    const death = this.#env.deathOf(entry.ownerId);
    if (death !== undefined) return entry.settleFailed(ownerDied(entry, death));
    this.#requestOf.set(entry, this.#request(entry, null));
  }

  #request(entry: ObjectEntry, lost: PrimaryRecord | null): number {
    const requestId = this.#nextRequest++;
    this.#requested.set(requestId, entry);
    this.#env.peer(entry.ownerId).sendMessage({ type: "fetch", requestId, objectId: entry.id, lost });
    return requestId;
  }

  /** The copy that this worker was told of is lost. The owner has another, or makes one. */
  recover(entry: ObjectEntry, { node, id }: PrimaryRecord, recovered: Recovered): void {
    if (entry.ownerId === this.#env.workerId) return this.#env.lineage.recover(entry, { node, id }, recovered);
    const stored = entry.status === ENCODED ? storedIn(entry) : undefined;
    if (stored === undefined || stored.node !== node || stored.id !== id) return recovered(null);
    const waiting = this.#recovering.get(entry);
    if (waiting !== undefined) return void waiting.push(recovered);
    const death = this.#env.deathOf(entry.ownerId);
    if (death !== undefined) return recovered(ownerDied(entry, death).error);
    this.#recovering.set(entry, [recovered]);
    this.#request(entry, { node, id });
  }

  #recovered(entry: ObjectEntry, refusal: SystemErrorRecord | null): boolean {
    const waiting = this.#recovering.get(entry);
    this.#recovering.delete(entry);
    for (const recovered of waiting ?? []) recovered(refusal);
    return waiting !== undefined;
  }

  onFetched(owner: Peer, message: PeerMessage & { type: "fetched" }): void {
    const entry = this.#requested.get(message.requestId);
    this.#requested.delete(message.requestId);
    if (entry === undefined) return;
    const { outcome } = message;
    if (outcome.kind === "value" && message.transit !== 0) this.#env.references.receiveContents(entry, outcome.value.descriptors, owner, message.transit);
    if (entry.status === PENDING) {
      if (outcome.kind === "value") entry.settleEncoded(outcome.value);
      else entry.settleFailed(outcome);
    } else if (outcome.kind === "systemError") {
      // It may be there after all, for another attempt.
      this.#recovered(entry, outcome.error);
    } else {
      if (outcome.kind === "value") entry.replace(ENCODED, outcome.value);
      else entry.replace(FAILED, outcome);
      this.#recovered(entry, null);
    }
  }

  workerLost(workerId: WorkerId, death: WorkerDeath): void {
    for (const [requestId, entry] of this.#requested) {
      if (entry.ownerId !== workerId) continue;
      this.#requested.delete(requestId);
      const failure = ownerDied(entry, death);
      if (!this.#recovered(entry, failure.error)) entry.settleFailed(failure);
    }
  }

  failAll(failure: Failure): void {
    for (const entry of this.#requested.values()) entry.settleFailed(failure);
    this.#requested.clear();
    for (const entry of [...this.#recovering.keys()]) {
      entry.replace(FAILED, failure);
      this.#recovered(entry, null);
    }
  }

  // ------------------------------------------------------------------ as the owner

  onFetch(borrower: Peer, { requestId, objectId, lost }: PeerMessage & { type: "fetch" }): void {
    const entry = this.#env.references.entry(objectId);
    if (entry === undefined) {
      const failure = systemFailure({ kind: "ObjectFreedError", message: `object ${objectId} was freed by its owner (worker ${this.#env.workerId}): no reference to it was counted any more`, subjectId: objectId });
      borrower.sendMessage({ type: "fetched", requestId, outcome: failure, transit: 0 });
    } else if (entry.status === PENDING) {
      entry.whenSettled(() => this.#answer(borrower, requestId, entry));
    } else if (lost !== null) {
      this.#env.lineage.recover(entry, lost, (refusal) => {
        if (refusal === null) this.#answer(borrower, requestId, entry);
        else borrower.sendMessage({ type: "fetched", requestId, outcome: systemFailure(refusal), transit: 0 });
      });
    } else {
      this.#answer(borrower, requestId, entry);
    }
  }

  #answer(borrower: Peer, requestId: number, entry: ObjectEntry): void {
    let transit = 0;
    const outcome = this.#outcomeOf(entry);
    if (outcome.kind === "value") {
      const { code, descriptors } = outcome.value;
      this.#env.code.share(borrower, code, descriptors);
      if (descriptors.length > 0) transit = this.#env.references.pinForTransit(borrower.workerId, descriptors);
    }
    borrower.sendMessage({ type: "fetched", requestId, outcome, transit });
  }

  #outcomeOf(entry: ObjectEntry): ObjectOutcome {
    if (entry.status === FAILED) return entry.content as Failure;
    if (entry.status === ENCODED) return { kind: "value", value: entry.content as EncodedValueRecord };
    return { kind: "value", value: this.#env.references.encodePrimitive(entry.content) };
  }
}

function ownerDied(entry: ObjectEntry, death: WorkerDeath): { readonly kind: "systemError"; readonly error: SystemErrorRecord } {
  return { kind: "systemError", error: { kind: "OwnerDiedError", message: `object ${entry.id} is lost: its owner (worker ${entry.ownerId}) ${death.reason}`, subjectId: entry.id } };
}

import type { WorkerId } from "../base/mod.ts";
import type { EncodedValueRecord, ObjectOutcome, PeerMessage, WorkerDeath } from "../protocol/mod.ts";
import type { CodeLoader } from "./code-loader.ts";
import { ENCODED, FAILED, type Failure, type ObjectEntry, PENDING, systemFailure } from "./object-entry.ts";
import type { Peer } from "./peer.ts";
import type { References } from "./references.ts";

export interface ObjectServerEnvironment {
  readonly workerId: WorkerId;
  readonly references: References;
  readonly code: CodeLoader;
  peer(workerId: WorkerId): Peer;
  deathOf(workerId: WorkerId): WorkerDeath | undefined;
}

/** Gives borrowers the objects that this worker owns, and asks other owners for theirs. */
export class ObjectServer {
  readonly #env: ObjectServerEnvironment;
  readonly #requested = new Map<number, ObjectEntry>();
  readonly #requestOf = new WeakMap<ObjectEntry, number>();
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
    const requestId = this.#nextRequest++;
    this.#requestOf.set(entry, requestId);
    this.#requested.set(requestId, entry);
    this.#env.peer(entry.ownerId).sendMessage({ type: "fetch", requestId, objectId: entry.id });
  }

  onFetched(owner: Peer, message: PeerMessage & { type: "fetched" }): void {
    const entry = this.#requested.get(message.requestId);
    this.#requested.delete(message.requestId);
    if (entry === undefined) return;
    const { outcome } = message;
    if (outcome.kind !== "value") return entry.settleFailed(outcome);
    if (message.transit !== 0) this.#env.references.receiveContents(entry, outcome.value.descriptors, owner, message.transit);
    entry.settleEncoded(outcome.value);
  }

  workerLost(workerId: WorkerId, death: WorkerDeath): void {
    for (const [requestId, entry] of this.#requested) {
      if (entry.ownerId !== workerId) continue;
      this.#requested.delete(requestId);
      entry.settleFailed(ownerDied(entry, death));
    }
  }

  failAll(failure: Failure): void {
    for (const entry of this.#requested.values()) entry.settleFailed(failure);
    this.#requested.clear();
  }

  // ------------------------------------------------------------------ as the owner

  onFetch(borrower: Peer, requestId: number, objectId: string): void {
    const entry = this.#env.references.entry(objectId);
    if (entry === undefined) {
      const failure = systemFailure({ kind: "ObjectFreedError", message: `object ${objectId} was freed by its owner (worker ${this.#env.workerId}): no reference to it was counted any more`, subjectId: objectId });
      borrower.sendMessage({ type: "fetched", requestId, outcome: failure, transit: 0 });
    } else if (entry.status === PENDING) {
      entry.whenSettled(() => this.#answer(borrower, requestId, entry));
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

function ownerDied(entry: ObjectEntry, death: WorkerDeath): Failure {
  return systemFailure({ kind: "OwnerDiedError", message: `object ${entry.id} is lost: its owner (worker ${entry.ownerId}) ${death.reason}`, subjectId: entry.id });
}

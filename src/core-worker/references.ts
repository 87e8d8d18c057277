import { Finalizer, sequenceIn, type WorkerId } from "../base/mod.ts";
import type { EncodedValueRecord, ObjectPlace, ReferenceType, RuntimeDescriptor } from "../protocol/mod.ts";
import type { Serializer } from "../serialization/mod.ts";
import { HELD, type HandleHolder } from "./handle-holder.ts";
import { ENCODED, ObjectEntry, systemFailure } from "./object-entry.ts";
import { ObjectRef, RefHold, type RefHost } from "./object-ref.ts";
import type { Peer } from "./peer.ts";
import { ReferenceState, type ReferenceInstruction } from "./reference-state.ts";
import type { StoredLifetimes } from "./stored-lifetimes.ts";

/**
 * What an ended worker had borrowed is kept for so long: it may have sent a ref on just before, and whoever gets that has to tell us.
 */
const BORROWER_LOST_GRACE_MS = 2_000;

/** Objects that an owner is told of in one message. */
const REGISTRATION_IDS_MAX = 10_000;

export interface ReferencesEnvironment {
  readonly workerId: WorkerId;
  readonly refHost: RefHost;
  readonly lifetimes: StoredLifetimes;
  after(delayMs: number, callback: () => void): void;
  serializer(): Serializer;
  peer(workerId: WorkerId): Peer;
  /** The last handle of an actor that this worker created is gone everywhere. */
  actorOutOfScope(actorId: string): void;
  /** The last handle here of an actor that another worker created is gone. */
  actorNotUsed(actorId: string): void;
}

/** Keeps shared objects alive for as long as anybody needs them; ReferenceState decides, this acts. */
export class References {
  readonly #env: ReferencesEnvironment;
  readonly #state: ReferenceState;
  /** Entries that others may ask for, by id: own ones once they were shared, borrowed ones while they are needed. */
  readonly #shared = new Map<string, SharedObject>();
  readonly #transits = new Map<number, { readonly receiverId: WorkerId; readonly ids: readonly string[] }>();
  #nextTransit = 1;
  readonly #confirmations = new Map<number, { readonly ownerId: WorkerId; readonly confirm: () => void; readonly confirmation: Promise<void> }>();
  #nextConfirmation = 1;
  /** By owner: what it is still to be told in this turn. */
  readonly #registrations = new Map<WorkerId, Registration>();
  /** While a value is decoded: confirmations that it waits for. */
  #collecting: { senderId: WorkerId; awaited: Promise<void>[] } | null = null;
  readonly #handles = new Finalizer<string>((id) => {
    const shared = this.#shared.get(id);
    if (shared !== undefined && shared.hold?.deref() === undefined) shared.hold = null;
    this.unpin([id]);
  });
  /** By stored value: what is named in it. */
  readonly #contents = new Set<readonly string[]>();
  readonly #containers = new Finalizer<readonly string[]>((ids) => {
    this.#contents.delete(ids);
    this.unpin(ids);
  });

  constructor(environment: ReferencesEnvironment) {
    this.#env = environment;
    this.#state = new ReferenceState(environment.workerId);
  }

  // ------------------------------------------------------------------ sharing

  /** A ref is being written into a value: from now on its object is counted. */
  shareRef(ref: ObjectRef<unknown>, entry: ObjectEntry): RuntimeDescriptor {
    let shared = this.#shared.get(entry.id);
    if (shared === undefined) this.#shared.set(entry.id, (shared = { entry, hold: null }));
    if (ObjectRef.holdOf(ref) === null) this.#hold(ref, shared);
    const place = placeOf(entry);
    return { kind: "objectRef", objectId: entry.id, ownerId: entry.ownerId, ...(place === null ? null : { place }) };
  }

  /**
   * Counts a ref until it is collected or released. All refs of one object share one hold: a registration with the garbage collector
   * costs more than everything else about a ref, and a value may hold thousands of them.
   */
  #hold(ref: ObjectRef<unknown>, shared: SharedObject): void {
    let hold = shared.hold?.deref();
    if (hold === undefined) {
      const { id, ownerId } = shared.entry;
      hold = new RefHold(id);
      shared.hold = new WeakRef(hold);
      this.#apply(this.#state.pin(id, ownerId));
      this.#handles.register(hold, id, hold);
    }
    ObjectRef.attach(ref, hold);
  }

  /** Counts a live handle of an actor until it is collected or released. */
  holdHandle(handle: HandleHolder, id: string, ownerId: WorkerId): void {
    handle[HELD] = id;
    this.#apply(this.#state.pin(id, ownerId));
    this.#handles.register(handle, id, handle);
  }

  dropHandle(handle: HandleHolder): void {
    const id = handle[HELD];
    if (id !== null && this.#handles.unregister(handle)) this.unpin([id]);
  }

  /** A ref was released. One that was never shared is the only one of its object. */
  dropRef(ref: ObjectRef<unknown>, entry: ObjectEntry): void {
    const hold = ObjectRef.detach(ref);
    if (hold === null) return this.#env.lifetimes.unreferenced(entry);
    if (hold.count > 0 || !this.#handles.unregister(hold)) return;
    const shared = this.#shared.get(hold.id);
    if (shared?.hold?.deref() === hold) shared.hold = null;
    this.unpin([hold.id]);
  }

  reviveRef(descriptor: RuntimeDescriptor & { kind: "objectRef" }): ObjectRef {
    const { objectId, ownerId, place } = descriptor;
    const known = this.#shared.get(objectId) ?? this.#unknown(objectId, ownerId);
    if (place !== undefined) known.entry.settleEncoded({ format: place.format, header: new Uint8Array(place.header), buffers: [], descriptors: [], code: [], stored: place.stored });
    const ref = new ObjectRef(this.#env.refHost, known.entry);
    if (this.#shared.has(objectId)) this.#hold(ref, known);
    return ref;
  }

  /** An object that this worker has not heard of: another's, or one of its own that was freed. */
  #unknown(objectId: string, ownerId: WorkerId): SharedObject {
    const entry = new ObjectEntry(ownerId, sequenceIn(objectId), sequenceIn(objectId), objectId);
    const shared: SharedObject = { entry, hold: null };
    if (ownerId === this.#env.workerId) {
      entry.settleFailed(systemFailure({ kind: "ObjectFreedError", message: `object ${objectId} was freed: its last reference was gone before this one arrived`, subjectId: objectId }));
    } else {
      this.#shared.set(objectId, shared);
    }
    return shared;
  }

  /** An object of another's, whether it is known here or not. */
  borrowed(id: string, ownerId: WorkerId): ObjectEntry {
    return (this.#shared.get(id) ?? this.#unknown(id, ownerId)).entry;
  }

  /** One of this worker's that was freed is named by a value once more; whoever sends that counts it. */
  restore(entry: ObjectEntry): void {
    if (!this.#shared.has(entry.id)) this.#shared.set(entry.id, { entry, hold: null });
  }

  entry(id: string): ObjectEntry | undefined {
    return this.#shared.get(id)?.entry;
  }

  isHeld(handle: HandleHolder): boolean {
    return handle[HELD] !== null;
  }

  // ------------------------------------------------------------------ pins

  pinReference(id: string, ownerId: WorkerId): string[] {
    this.#apply(this.#state.pin(id, ownerId));
    return [id];
  }

  /** One pin for every object and actor that a value names. */
  pinAll(descriptors: readonly unknown[]): string[] {
    const ids: string[] = [];
    for (const descriptor of descriptors as readonly RuntimeDescriptor[]) {
      const reference = referenceOf(descriptor);
      if (reference === null) continue;
      if (descriptor.kind === "objectRef" && !this.#shared.has(reference.id)) this.#unknown(reference.id, reference.ownerId);
      this.#apply(this.#state.pin(reference.id, reference.ownerId));
      ids.push(reference.id);
    }
    return ids;
  }

  unpin(ids: readonly string[]): void {
    for (const id of ids) this.#apply(this.#state.unpin(id));
  }

  /** What a stored value names lives at least as long as the value. */
  holdContents(container: ObjectEntry, descriptors: readonly unknown[]): void {
    const ids = this.pinAll(descriptors);
    if (ids.length === 0) return;
    this.#contents.add(ids);
    this.#containers.register(container, ids);
  }

  /** Keeps what a value names until its receiver has confirmed that it counts it too. */
  pinForTransit(receiverId: WorkerId, descriptors: readonly unknown[]): number {
    const transit = this.#nextTransit++;
    this.#transits.set(transit, { receiverId, ids: this.pinAll(descriptors) });
    return transit;
  }

  releaseTransits(transits: readonly number[]): void {
    for (const transit of transits) {
      const pinned = this.#transits.get(transit);
      this.#transits.delete(transit);
      if (pinned !== undefined) this.unpin(pinned.ids);
    }
  }

  // ------------------------------------------------------------------ receiving

  /** Decodes; `confirmed` resolves when owners other than the sender know that this worker holds what the value names. */
  decodeFrom(value: EncodedValueRecord, senderId: WorkerId): { value: unknown; confirmed: Promise<void> | undefined } {
    const { result, confirmed } = this.#collect(senderId, () => this.#env.serializer().decode(value, { adoptBuffers: true }));
    return { value: result, confirmed };
  }

  /** Takes over what a received value names, then tells the sender that it may let go. */
  receiveContents(container: ObjectEntry, descriptors: readonly unknown[], sender: Peer, transit: number): void {
    const { confirmed } = this.#collect(sender.workerId, () => this.holdContents(container, descriptors));
    const release = (): void => void sender.sendMessage({ type: "releaseTransit", transits: [transit] });
    if (confirmed === undefined) release();
    else void confirmed.then(release);
  }

  #collect<T>(senderId: WorkerId, body: () => T): { result: T; confirmed: Promise<void> | undefined } {
    const outer = this.#collecting;
    const collecting = (this.#collecting = { senderId, awaited: [] as Promise<void>[] });
    try {
      const result = body();
      return { result, confirmed: collecting.awaited.length === 0 ? undefined : Promise.all(collecting.awaited).then(() => undefined) };
    } finally {
      this.#collecting = outer;
    }
  }

  /** Whether every owner knows all that this worker holds. */
  get isAllConfirmed(): boolean {
    return this.#confirmations.size === 0;
  }

  /** Resolves when every owner knows all that this worker holds by now. */
  async allConfirmed(): Promise<void> {
    await Promise.all([...this.#confirmations.values()].map(({ confirmation }) => confirmation));
  }

  encodePrimitive(value: unknown): EncodedValueRecord {
    return this.#env.serializer().encode(value, "an object");
  }

  // ------------------------------------------------------------------ other workers

  borrowerAdded(borrower: Peer, ids: readonly string[], ackId: number): void {
    for (const id of ids) this.#apply(this.#state.addBorrower(id, borrower.workerId));
    borrower.sendMessage({ type: "borrowerAdded", ackId });
  }

  borrowerRemoved(borrowerId: WorkerId, ids: readonly string[]): void {
    for (const id of ids) this.#apply(this.#state.removeBorrower(id, borrowerId));
  }

  confirmed(ackId: number): void {
    const waiting = this.#confirmations.get(ackId);
    this.#confirmations.delete(ackId);
    waiting?.confirm();
  }

  workerLost(workerId: WorkerId, reason: string): void {
    for (const [ackId, waiting] of this.#confirmations) if (waiting.ownerId === workerId) this.confirmed(ackId);
    for (const [transit, { receiverId }] of this.#transits) if (receiverId === workerId) this.releaseTransits([transit]);
    this.#env.after(BORROWER_LOST_GRACE_MS, () => this.#apply(this.#state.borrowerLost(workerId)));
    for (const id of this.#state.ownerLost(workerId)) {
      const entry = this.#shared.get(id)?.entry;
      this.#shared.delete(id);
      entry?.settleFailed(systemFailure({ kind: "OwnerDiedError", message: `object ${id} is lost: its owner (worker ${workerId}) ${reason}`, subjectId: id }));
    }
  }

  #apply(instructions: readonly ReferenceInstruction[]): void {
    for (const instruction of instructions) {
      switch (instruction.type) {
        case "free":
          this.#free(instruction.id);
          break;
        case "register":
          this.#register(instruction.ownerId, instruction.id);
          break;
        case "unregister":
          if (!this.#shared.delete(instruction.id)) this.#env.actorNotUsed(instruction.id);
          this.#env.peer(instruction.ownerId).sendMessage({ type: "removeBorrower", ids: [instruction.id] });
          break;
      }
    }
  }

  #free(id: string): void {
    const entry = this.#shared.get(id)?.entry;
    if (entry === undefined) return this.#env.actorOutOfScope(id);
    this.#shared.delete(id);
    this.#env.lifetimes.unreferenced(entry);
  }

  #register(ownerId: WorkerId, id: string): void {
    const registration = this.#registrations.get(ownerId) ?? this.#newRegistration(ownerId);
    if (registration.ids.push(id) === REGISTRATION_IDS_MAX) this.#registrations.delete(ownerId);
    // Messages to the sender keep their order, so it needs no confirmation of what it will read before our reply.
    const collecting = this.#collecting;
    if (collecting !== null && collecting.senderId !== ownerId && collecting.awaited.at(-1) !== registration.confirmation) collecting.awaited.push(registration.confirmation);
  }

  /** Those of one turn go in one message: a value may name thousands of objects. */
  #newRegistration(ownerId: WorkerId): Registration {
    const ackId = this.#nextConfirmation++;
    let confirm = (): void => undefined;
    const confirmation = new Promise<void>((resolve) => { confirm = resolve; });
    const registration: Registration = { ids: [], confirmation };
    this.#confirmations.set(ackId, { ownerId, confirm, confirmation });
    const isSent = this.#env.peer(ownerId).sendSoon(() => {
      if (this.#registrations.get(ownerId) === registration) this.#registrations.delete(ownerId);
      return { type: "addBorrower", ids: registration.ids, ackId };
    });
    if (isSent) this.#registrations.set(ownerId, registration);
    // The owner is gone: nobody will confirm, and nothing is left to keep alive.
    else this.confirmed(ackId);
    return registration;
  }

  /** Whether others would lose something with this worker. */
  ownsShared(): boolean {
    return this.#transits.size > 0 || this.#state.isNeeded();
  }

  /** For state queries: why this worker keeps the objects that are counted, as far as `isWanted` of them. */
  reasons(isWanted: (entry: ObjectEntry) => boolean): KeptObject[] {
    const inValues = countsOf(this.#contents);
    const inTransit = countsOf(Array.from(this.#transits.values(), ({ ids }) => ids));
    return Array.from(this.#shared.values()).filter(({ entry }) => isWanted(entry)).map(({ entry, hold }) => {
      const { pins, borrowerIds } = this.#state.reasons(entry.id);
      const live = hold === null ? 0 : 1;
      const contained = inValues.get(entry.id) ?? 0;
      const sent = inTransit.get(entry.id) ?? 0;
      const references: ReferenceType[] = [];
      if (live > 0) references.push("LOCAL_REFERENCE");
      if (pins > live + contained + sent) references.push("USED_BY_PENDING_TASK");
      if (contained > 0) references.push("CAPTURED_IN_OBJECT");
      if (sent > 0) references.push("IN_TRANSIT");
      return { entry, references, borrowerIds };
    });
  }

  /** For state queries and tests. */
  snapshot(): ReturnType<ReferenceState["snapshot"]> {
    return this.#state.snapshot();
  }
}

/** A counted object, and why it is kept. */
export interface KeptObject {
  readonly entry: ObjectEntry;
  readonly references: readonly ReferenceType[];
  readonly borrowerIds: readonly WorkerId[];
}

function countsOf(lists: Iterable<readonly string[]>): Map<string, number> {
  const counts = new Map<string, number>();
  for (const ids of lists) for (const id of ids) counts.set(id, (counts.get(id) ?? 0) + 1);
  return counts;
}

/** An object that others may ask for, or that another worker owns. */
interface Registration {
  readonly ids: string[];
  readonly confirmation: Promise<void>;
}

interface SharedObject {
  readonly entry: ObjectEntry;
  /** Of the refs that live here. */
  hold: WeakRef<RefHold> | null;
}

function placeOf({ status, content }: ObjectEntry): ObjectPlace | null {
  if (status !== ENCODED) return null;
  const { format, header, stored, descriptors, code } = content as EncodedValueRecord;
  return stored === undefined || descriptors.length > 0 || code.length > 0 ? null : { format, header, stored };
}

function referenceOf(descriptor: RuntimeDescriptor): { id: string; ownerId: WorkerId } | null {
  switch (descriptor.kind) {
    case "objectRef":
      return { id: descriptor.objectId, ownerId: descriptor.ownerId };
    case "actorHandle":
      return descriptor.isDetached ? null : { id: descriptor.actorId, ownerId: descriptor.ownerId };
    case "placementGroup":
    case "remoteFunction":
    case "actorClass":
      return null;
  }
}

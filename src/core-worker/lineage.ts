import { Finalizer, forgetOldest, nodeKeyOf, type NodeKey, type ReconstructionFailureReason, sequencedId, sequenceIn, type SystemErrorRecord, type WorkerId } from "../base/mod.ts";
import type { StoreClient } from "../clients/mod.ts";
import type { EncodedValueRecord, PrimaryRecord, RuntimeDescriptor, StoredRecord } from "../protocol/mod.ts";
import type { ActorClient } from "./actor-client.ts";
import { type LineageInstruction, type LineageRefusal, LineageState } from "./lineage-state.ts";
import { ENCODED, FAILED, type Failure, ObjectEntry, PENDING, PRIMITIVE, systemFailure } from "./object-entry.ts";
import type { References } from "./references.ts";
import type { Recovered, RepeatedCall } from "./repeated-call.ts";
import { RepeatedStream } from "./repeated-stream.ts";
import type { StoredLifetimes } from "./stored-lifetimes.ts";
import { type CallTemplate, type CancelOptions, clientOf, EncodedArg, type PendingTask, STREAMING } from "./task.ts";

/** Of the arguments that one worker keeps for the case that results are lost, as in Ray. */
const LINEAGE_BYTES_MAX = 1024 ** 3;
/** What one task takes beside its arguments, and one argument beside its bytes: about. */
const TASK_BYTES = 500;
const ARGUMENT_BYTES = 100;
/** Nodes that are gone and whose objects need not be asked for first. */
const LOST_NODES_REMEMBERED_MAX = 1_000;

export interface LineageEnvironment {
  readonly workerId: WorkerId;
  readonly store: StoreClient;
  readonly references: References;
  readonly lifetimes: StoredLifetimes;
  readonly bytesMax: number | undefined;
  again(call: RepeatedCall): PendingTask;
  cancel(task: PendingTask, options: CancelOptions): void;
}

/** An argument whose bytes are in the store: how to find it is kept, not the object. */
class KeptRef {
  readonly sequence: number;
  readonly weak: WeakRef<ObjectEntry>;
  constructor(entry: ObjectEntry) {
    this.sequence = entry.sequence;
    this.weak = new WeakRef(entry);
  }
}
class KeptBorrowed {
  readonly id: string;
  readonly ownerId: WorkerId;
  constructor({ id, ownerId }: ObjectEntry) {
    this.id = id;
    this.ownerId = ownerId;
  }
}

/** A task as it can be run again. */
interface KeptTask {
  readonly template: CallTemplate;
  readonly name: string;
  readonly client: ActorClient<PendingTask> | null;
  /** Primitives, EncodedArgs, ObjectEntries with a small value, KeptRefs, KeptBorroweds. */
  readonly args: readonly unknown[];
  /** Objects of this worker's that values among the arguments name. */
  readonly contained: readonly ObjectEntry[];
  /** Of a stream: whether it has come to its end. */
  readonly end: ObjectEntry | null;
}

interface KeptResult {
  /** Which of the results of its task. */
  readonly index: number;
  readonly weak: WeakRef<ObjectEntry>;
}

interface Run {
  readonly pending: PendingTask;
  /** By the index of the result. */
  readonly made: ReadonlyMap<number, ObjectEntry>;
  isCancelled: boolean;
}

/**
 * Makes again the large objects of this worker's that were lost, by running once more what has made them. LineageState decides.
 * Nothing is kept for tasks whose results are small.
 */
export class Lineage {
  readonly #env: LineageEnvironment;
  readonly #state: LineageState;
  /** Those that may run again. */
  readonly #tasks = new Map<number, KeptTask>();
  readonly #results = new Map<number, KeptResult>();
  readonly #collected = new Finalizer<number>((object) => this.#freed(object));
  readonly #runs = new Map<number, Run>();
  readonly #repeated = new WeakSet<PendingTask>();
  readonly #waiting = new Map<ObjectEntry, Recovered[]>();
  /** Objects that were freed and made again, for tasks that wait for them. */
  readonly #remade = new Map<number, ObjectEntry>();
  /** What is there for tasks that run again stays until they have it. */
  readonly #held = new Map<number, ObjectEntry>();
  readonly #lostNodes = new Map<NodeKey, true>();
  #isClosed = false;

  constructor(environment: LineageEnvironment) {
    this.#env = environment;
    this.#state = new LineageState(environment.bytesMax ?? LINEAGE_BYTES_MAX);
  }

  // ------------------------------------------------------------------ keeping

  /** A result is in the store. Before its call ends, which lets go of the arguments. */
  kept(task: PendingTask, entry: ObjectEntry, index: number): void {
    if (this.#repeated.has(task)) return;
    if (!this.#state.hasTask(task.sequence)) this.#keep(task);
    this.#results.set(entry.sequence, { index, weak: new WeakRef(entry) });
    this.#collected.register(entry, entry.sequence, entry);
    this.#state.addObject(task.sequence, entry.sequence, task.retriesLeft);
    this.#forget();
  }

  #keep(task: PendingTask): void {
    const { sequence, template, retriesLeft } = task;
    const refusal = template.maxRetries === 0 ? "retriesDisabled" : task.args.some(isStoredValue) ? "put" : null;
    if (refusal !== null) return this.#state.addTask({ task: sequence, needs: [], bytes: 0, retriesLeft, refusal });
    const needs: number[] = [];
    const contained: ObjectEntry[] = [];
    let bytes = TASK_BYTES;
    const args = task.args.map((arg) => {
      const kept = this.#keptArg(arg);
      bytes += ARGUMENT_BYTES + bytesOf(kept);
      if (kept instanceof KeptRef) needs.push(kept.sequence);
      else if (kept instanceof EncodedArg) contained.push(...this.#named(kept.value.descriptors));
      return kept;
    });
    for (const { sequence: named } of contained) needs.push(named);
    bytes += contained.length * ARGUMENT_BYTES;
    this.#tasks.set(sequence, { template, name: task.name, client: template.queue === null ? clientOf(task) : null, args, contained, end: task.stream?.end ?? null });
    this.#state.addTask({ task: sequence, needs, bytes, retriesLeft, refusal: null });
  }

  #keptArg(arg: unknown): unknown {
    if (!(arg instanceof ObjectEntry)) return arg;
    if (arg.status === PRIMITIVE) return arg.content;
    const value = arg.status === ENCODED ? (arg.content as EncodedValueRecord) : null;
    if (value !== null && value.stored === undefined) return value.descriptors.length === 0 ? new EncodedArg(value) : arg;
    return arg.ownerId === this.#env.workerId ? new KeptRef(arg) : new KeptBorrowed(arg);
  }

  #named(descriptors: readonly unknown[]): ObjectEntry[] {
    return (descriptors as readonly RuntimeDescriptor[]).flatMap((descriptor) => {
      const entry = descriptor.kind === "objectRef" && descriptor.ownerId === this.#env.workerId ? this.#env.references.entry(descriptor.objectId) : undefined;
      return entry ?? [];
    });
  }

  /** No ref and no call needs it any more. */
  freed(entry: ObjectEntry): void {
    const result = this.#results.get(entry.sequence);
    if (result === undefined || result.weak.deref() !== entry) return;
    this.#collected.unregister(entry);
    this.#freed(entry.sequence);
  }

  #freed(object: number): void {
    this.#state.freed(object);
    this.#forget();
  }

  #forget(): void {
    const { tasks, objects } = this.#state.takeDropped();
    for (const task of tasks) this.#tasks.delete(task);
    for (const object of objects) this.#results.delete(object);
  }

  nodeLost(workerOfIt: WorkerId): void {
    forgetOldest(this.#lostNodes.set(nodeKeyOf(workerOfIt), true), LOST_NODES_REMEMBERED_MAX);
  }

  /** One of this worker's lies elsewhere from now on. What is left where it was is freed; if nobody needs the object any more, so is what is there. */
  moved(from: PrimaryRecord, to: StoredRecord): void {
    const { store } = this.#env;
    store.adopt(to);
    const origin = store.originOf(from);
    let isNeeded = false;
    for (const entry of origin?.objectId == null ? [] : this.#standingFor(sequenceIn(origin.objectId))) {
      const stored = storedOf(entry);
      if (stored === undefined || stored.node !== from.node || stored.id !== from.id) continue;
      entry.replace(ENCODED, { ...(entry.content as EncodedValueRecord), stored: to });
      store.release(stored);
      isNeeded = true;
    }
    if (!isNeeded) store.release(to);
    else if (origin !== null) store.describe(to, origin);
  }

  /** All that may have the value of this object, also of a run that has not ended. */
  #standingFor(object: number): ObjectEntry[] {
    const task = this.#state.taskOf(object);
    const made = task === undefined ? undefined : this.#runs.get(task)?.made.values();
    return [this.#results.get(object)?.weak.deref(), this.#remade.get(object), this.#held.get(object), ...(made ?? [])].filter((entry) => entry !== undefined);
  }

  // ------------------------------------------------------------------ making again

  /** Its copy, as it was when somebody looked for it, is lost. */
  recover(entry: ObjectEntry, lost: Pick<StoredRecord, "node" | "id">, recovered: Recovered): void {
    const stored = storedOf(entry);
    if (stored === undefined || stored.node !== lost.node || stored.id !== lost.id) return recovered(null);
    const waiting = this.#waiting.get(entry);
    if (waiting !== undefined) return void waiting.push(recovered);
    const outcome = this.#isClosed ? { object: entry.sequence, reason: "retriesDisabled" as const } : this.#state.lost(entry.sequence, (object, task) => this.#isThere(object, task));
    if (!Array.isArray(outcome)) return recovered(this.#refusal(entry, outcome));
    this.#waiting.set(entry, [recovered]);
    this.#act(outcome);
  }

  #isThere(object: number, task: number): boolean {
    const entry = this.#find(object, task);
    if (entry === undefined) {
      // It may have been collected, and that not be told yet.
      this.#state.freed(object);
      return false;
    }
    const stored = storedOf(entry);
    if (stored !== undefined && (this.#lostNodes.has(stored.node) || this.#waiting.has(entry))) return false;
    this.#held.set(object, entry);
    return true;
  }

  /** What stands for the object now, for a task that needs it. */
  #find(object: number, task: number): ObjectEntry | undefined {
    const held = this.#held.get(object) ?? this.#remade.get(object);
    if (held !== undefined) return held;
    const { args, contained } = this.#tasks.get(task) as KeptTask;
    const named = contained.find(({ sequence }) => sequence === object);
    if (named !== undefined && (storedOf(named) === undefined || this.#env.references.entry(named.id) === named)) return named;
    if (this.#state.isFreed(object)) return undefined;
    return args.find((arg): arg is KeptRef => arg instanceof KeptRef && arg.sequence === object)?.weak.deref();
  }

  #act(instructions: readonly LineageInstruction[], failure: Failure | null = null): void {
    for (const instruction of instructions) {
      switch (instruction.type) {
        case "run":
          this.#run(instruction.task);
          break;
        case "fail":
          for (const object of this.#state.objectsOf(instruction.task)) this.#fail(this.#target(object), failure as Failure);
          break;
        case "drop":
          this.#drop(instruction.object);
          break;
      }
    }
    if (this.#runs.size === 0) this.#held.clear();
    this.#forget();
  }

  #run(task: number): void {
    const { template, client, args, contained, end } = this.#tasks.get(task) as KeptTask;
    // A generator that has not come to its end goes on elsewhere under this number.
    const sequence = end === null || end.status !== PENDING ? task : null;
    const actual = args.map((arg) => {
      if (arg instanceof KeptRef) return this.#find(arg.sequence, task);
      return arg instanceof KeptBorrowed ? this.#env.references.borrowed(arg.id, arg.ownerId) : arg;
    });
    for (const named of contained) this.#env.references.restore(this.#find(named.sequence, task) ?? named);
    const made = new Map<number, ObjectEntry>();
    const add = (index: number, object: number): void => void made.set(index, new ObjectEntry(this.#env.workerId, object, task));
    let stream: RepeatedStream | null = null;
    if (template.returns === STREAMING) {
      for (const object of this.#state.objectsOf(task)) if (this.#isWanted(object)) add((this.#results.get(object) as KeptResult).index, object);
      stream = new RepeatedStream(new ObjectEntry(this.#env.workerId, task, task), task, made);
    } else {
      for (let index = 0; index < template.returns; index++) add(index, task + index);
    }
    const entries = stream !== null ? stream.end : template.returns === 1 ? (made.get(0) as ObjectEntry) : [...made.values()];
    const pending = this.#env.again({ template, client, sequence, args: actual, entries, stream, retriesLeft: this.#state.retriesLeft(task) });
    if (stream !== null) stream.sequence = pending.sequence;
    this.#repeated.add(pending);
    this.#runs.set(task, { pending, made, isCancelled: false });
    const entriesOfRun = stream === null ? [...made.values()] : [...made.values(), stream.end];
    let unsettled = entriesOfRun.length;
    const settled = (): void => { if (--unsettled === 0) this.#ended(task); };
    for (const entry of entriesOfRun) {
      // Its actor may be dead.
      if (entry.status === PENDING) entry.whenSettled(settled);
      else queueMicrotask(settled);
    }
  }

  /** What a run of its task is to fill: it is referenced, or was made again for a task that waits. */
  #target(object: number): ObjectEntry | undefined {
    return this.#state.isFreed(object) ? this.#remade.get(object) : this.#results.get(object)?.weak.deref();
  }

  #isWanted(object: number): boolean {
    const target = this.#target(object);
    const stored = target === undefined ? undefined : storedOf(target);
    if (target !== undefined && stored !== undefined) return this.#waiting.has(target) || this.#lostNodes.has(stored.node);
    return this.#state.isFreed(object) && this.#state.isAwaited(object);
  }

  #ended(task: number): void {
    const run = this.#runs.get(task);
    if (run === undefined || this.#isClosed) return;
    this.#runs.delete(task);
    const failed = [...run.made.values(), ...(run.pending.stream === null ? [] : [run.pending.stream.end])].find(({ status }) => status === FAILED);
    const failure = failed === undefined ? null : run.isCancelled ? this.#cancelledFailure(task) : (failed.content as Failure);
    const told: Recovered[] = [];
    for (const object of this.#state.objectsOf(task)) {
      const made = run.made.get((this.#results.get(object) as KeptResult).index);
      if (failure === null && made !== undefined) this.#made(object, made, told);
      else if (failure !== null) this.#fail(this.#target(object), failure);
    }
    for (const made of run.made.values()) if (!this.#isUsed(made)) this.#release(made);
    this.#act(this.#state.ended(task, run.pending.retriesLeft, failure !== null), failure);
    for (const recovered of told) recovered(null);
    this.#runForRest(task);
  }

  /** Of a stream: what was found to be lost after the run had begun. */
  #runForRest(task: number): void {
    for (const object of this.#state.objectsOf(task)) {
      const target = this.#target(object);
      const stored = target === undefined ? undefined : storedOf(target);
      const waiting = target === undefined ? undefined : this.#waiting.get(target);
      if (target === undefined || stored === undefined || waiting === undefined || this.#state.isRebuilding(object)) continue;
      this.#waiting.delete(target);
      for (const recovered of waiting) this.recover(target, stored, recovered);
    }
  }

  #made(object: number, made: ObjectEntry, told: Recovered[]): void {
    const target = this.#target(object);
    if (target === undefined) {
      if (this.#isWanted(object)) this.#remade.set(object, made);
      return;
    }
    if (!this.#isWanted(object)) return;
    const { status, content } = made;
    if (status === ENCODED) this.#env.references.holdContents(target, (content as EncodedValueRecord).descriptors);
    const lost = storedOf(target) as StoredRecord;
    target.replace(status, content);
    this.#env.store.release(lost);
    told.push(...(this.#waiting.get(target) ?? []));
    this.#waiting.delete(target);
  }

  #isUsed(made: ObjectEntry): boolean {
    return this.#remade.get(made.sequence) === made || this.#target(made.sequence)?.content === made.content;
  }

  #release(made: ObjectEntry): void {
    const stored = storedOf(made);
    if (stored !== undefined) this.#env.store.release(stored);
  }

  /** One that nobody waits for stays as it is: it may be there after all. */
  #fail(target: ObjectEntry | undefined, failure: Failure): void {
    const waiting = target === undefined ? undefined : this.#waiting.get(target);
    if (target === undefined || waiting === undefined) return;
    this.#waiting.delete(target);
    if (failure.kind === "systemError" && failure.error.kind === "ObjectReconstructionFailedError") return void waiting.forEach((recovered) => recovered(failure.error));
    target.replace(FAILED, failure);
    for (const recovered of waiting) recovered(null);
  }

  #drop(object: number): void {
    const entry = this.#remade.get(object);
    if (entry === undefined || this.#waiting.has(entry)) return;
    this.#remade.delete(object);
    this.#held.delete(object);
    if (this.#env.references.entry(entry.id) !== entry) this.#env.lifetimes.unreferenced(entry);
  }

  // ------------------------------------------------------------------ ending

  /** False if it is not being made again. */
  cancel(entry: ObjectEntry, options: CancelOptions): boolean {
    const task = this.#state.taskOf(entry.sequence);
    if (task === undefined || !this.#waiting.has(entry)) return false;
    const run = this.#runs.get(task);
    if (run !== undefined) run.isCancelled = true;
    this.#act(this.#state.cancelled(task), this.#cancelledFailure(task));
    if (run !== undefined) this.#env.cancel(run.pending, options);
    return true;
  }

  #cancelledFailure(task: number): Failure {
    const id = sequencedId(this.#env.workerId, task);
    return systemFailure({ kind: "ObjectReconstructionFailedError", message: `the results of ${this.#nameOf(task)} are lost (task ${id}), and it was cancelled when it ran again`, subjectId: id, reason: "cancelled" });
  }

  /** Whoever waits gets this. */
  failAll(failure: Failure): void {
    this.#isClosed = true;
    for (const [entry, waiting] of this.#waiting) {
      entry.replace(FAILED, failure);
      for (const recovered of waiting) recovered(null);
    }
    this.#waiting.clear();
    this.#runs.clear();
    this.#remade.clear();
    this.#held.clear();
  }

  // ------------------------------------------------------------------ errors

  #refusal(entry: ObjectEntry, { object, reason }: LineageRefusal): SystemErrorRecord {
    const task = this.#state.taskOf(object);
    const why = REASONS[reason](task === undefined ? "" : this.#nameOf(task));
    const lost = `object ${entry.id} is lost`;
    const message = object === entry.sequence ? `${lost}: ${why}` : `${lost}, and so is object ${sequencedId(this.#env.workerId, object)}, which is needed to make it again: ${why}`;
    return { kind: "ObjectReconstructionFailedError", message, subjectId: entry.id, reason };
  }

  #nameOf(task: number): string {
    const kept = this.#tasks.get(task);
    return kept === undefined ? "its task" : `${kept.name}()`;
  }

  /** For state queries and tests. */
  snapshot(): ReturnType<LineageState["snapshot"]> {
    return this.#state.snapshot();
  }
}

const REASONS: Readonly<Record<ReconstructionFailureReason, (name: string) => string>> = {
  put: () => "no task has made it, but put(), or a large argument by value has gone into it; keep such values where they can be had again, or make them in a task",
  retriesDisabled: (name) => `${name} may not run again: give the task maxRetries, or the call maxTaskRetries`,
  retriesUsedUp: (name) => `${name} has used up its retries (maxRetries, maxTaskRetries)`,
  lineageEvicted: () => "how it was made is forgotten, for too much had to be remembered (MANTARAY_MAX_LINEAGE_BYTES)",
  cancelled: (name) => `${name} was cancelled when it ran again`,
  madeOtherwise: (name) => `${name} ran again and did not yield the same number of values`,
};

function storedOf({ status, content }: ObjectEntry): StoredRecord | undefined {
  return status === ENCODED ? (content as EncodedValueRecord).stored : undefined;
}

/** Its bytes went with the call. */
function isStoredValue(arg: unknown): boolean {
  return arg instanceof EncodedArg && arg.value.stored !== undefined;
}

function bytesOf(arg: unknown): number {
  if (typeof arg === "string") return 2 * arg.length;
  const value = arg instanceof EncodedArg ? arg.value : arg instanceof ObjectEntry && arg.status === ENCODED ? (arg.content as EncodedValueRecord) : null;
  if (value === null) return 0;
  return value.buffers.reduce((sum, { byteLength }) => sum + byteLength, value.header.byteLength);
}

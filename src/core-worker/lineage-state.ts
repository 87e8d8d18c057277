import { invariant, type ReconstructionFailureReason } from "../base/mod.ts";

/** A task that has made large objects, and what it would take to run it again. */
export interface LineageTask {
  /** Of the task, at its owner. */
  readonly task: number;
  /** Objects of the owner's that it needs as arguments, or inside of them. */
  readonly needs: readonly number[];
  /** What is kept for it. */
  readonly bytes: number;
  /** -1 without limit. */
  readonly retriesLeft: number;
  /** Why it can never run again; null if it can. */
  readonly refusal: ReconstructionFailureReason | null;
}

export type LineageInstruction =
  /** Everything that it needs is there. */
  | { readonly type: "run"; readonly task: number }
  /** It will not run: what it needs could not be made again. */
  | { readonly type: "fail"; readonly task: number }
  /** An object that was freed, and made again for others: they have it now. */
  | { readonly type: "drop"; readonly object: number };

/** Why an object cannot be made again: for the want of this one, which may be itself. */
export interface LineageRefusal {
  readonly object: number;
  readonly reason: ReconstructionFailureReason;
}

type Phase = "idle" | "waiting" | "running";

interface TaskRecord {
  readonly task: number;
  needs: readonly number[];
  bytes: number;
  retriesLeft: number;
  refusal: ReconstructionFailureReason | null;
  phase: Phase;
  /** What it needs and is not there. */
  readonly missing: Set<number>;
  readonly objects: Set<number>;
}

interface ObjectRecord {
  readonly record: TaskRecord;
  isFreed: boolean;
  /** Tasks that are to have it when they run, and wait for it or for others. */
  readonly waiting: Set<TaskRecord>;
}

/**
 * How one worker's large objects can be made again. Pure. Tasks and objects are numbers of their owner's. Only tasks with a result in
 * the object store are here: a small result is kept by whoever needs it, and cannot be lost without its owner.
 *
 *              kept (1)            lost (4)                      what it needs is there (5)
 *   unknown ───────────▶ idle ───────────────▶ waiting for arguments ──────────────────▶ running
 *      ▲                 │  ▲                          │ one cannot be had (6)              │ ended (7)
 *      └── freed (2) ────┘  └──────────────────────────┴────────────────────────────────────┘
 *
 * (1) One of its results is in the store. (2) No result of it is referenced, and no other task that is here needs one.
 * (3) Beyond the limit of bytes the oldest idle tasks are *evicted*: they stay, as what cannot be made again, until (2).
 * (4) One of its results is lost, or was freed and is needed by a task that runs again. Uses up a retry. However many wait for it,
 *     it runs once. (5) At once, if nothing of it is missing. (6) With all that wait for it in turn.
 * (7) Who waits for its results goes on. With an error, they fail.
 */
export class LineageState {
  readonly #bytesMax: number;
  readonly #tasks = new Map<number, TaskRecord>();
  readonly #objects = new Map<number, ObjectRecord>();
  /** By object: how many of the tasks need it. */
  readonly #needed = new Map<number, number>();
  /** The oldest first. */
  readonly #evictable = new Set<TaskRecord>();
  #bytes = 0;
  #dropped: { tasks: number[]; objects: number[] } = { tasks: [], objects: [] };

  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax;
  }

  hasTask(task: number): boolean {
    return this.#tasks.has(task);
  }
  isFreed(object: number): boolean {
    return this.#objects.get(object)?.isFreed === true;
  }
  taskOf(object: number): number | undefined {
    return this.#objects.get(object)?.record.task;
  }
  objectsOf(task: number): readonly number[] {
    return [...(this.#tasks.get(task)?.objects ?? [])];
  }
  retriesLeft(task: number): number {
    return this.#tasks.get(task)?.retriesLeft ?? 0;
  }
  /** Whether a task waits for it that runs again. */
  isAwaited(object: number): boolean {
    return (this.#objects.get(object)?.waiting.size ?? 0) > 0;
  }
  isRebuilding(object: number): boolean {
    const record = this.#objects.get(object)?.record;
    return record !== undefined && record.phase !== "idle";
  }

  /** (1) Before its first object. */
  addTask({ task, needs, bytes, retriesLeft, refusal }: LineageTask): void {
    invariant(!this.#tasks.has(task), () => `task ${task} is kept already`);
    const record: TaskRecord = { task, needs, bytes, retriesLeft, refusal, phase: "idle", missing: new Set(), objects: new Set() };
    this.#tasks.set(task, record);
    this.#bytes += bytes;
    for (const need of needs) this.#needed.set(need, (this.#needed.get(need) ?? 0) + 1);
    if (refusal === null) this.#evictable.add(record);
  }

  /** (1) A result of the task is in the store; so many retries it has left. */
  addObject(task: number, object: number, retriesLeft: number): void {
    const record = this.#tasks.get(task);
    invariant(record !== undefined, () => `task ${task} of object ${object} is not kept`);
    record.retriesLeft = retriesLeft;
    record.objects.add(object);
    this.#objects.set(object, { record, isFreed: false, waiting: new Set() });
    this.#evict();
  }

  /** (2) Nobody holds the object any more. */
  freed(object: number): void {
    const known = this.#objects.get(object);
    if (known === undefined || known.isFreed) return;
    known.isFreed = true;
    this.#forgetUnneeded([object]);
  }

  /** What need not be kept any more, since this was asked last: the arguments of these tasks, and all that is known of these objects. */
  takeDropped(): { readonly tasks: readonly number[]; readonly objects: readonly number[] } {
    const dropped = this.#dropped;
    if (dropped.tasks.length > 0 || dropped.objects.length > 0) this.#dropped = { tasks: [], objects: [] };
    return dropped;
  }

  /** (3) */
  #evict(): void {
    if (this.#bytes <= this.#bytesMax) return;
    for (const record of this.#evictable) {
      if (this.#bytes <= this.#bytesMax) break;
      if (record.phase !== "idle") continue;
      record.refusal = "lineageEvicted";
      const { needs } = record;
      this.#dropArguments(record);
      this.#forgetUnneeded(needs);
    }
  }

  #dropArguments(record: TaskRecord): void {
    this.#bytes -= record.bytes;
    this.#evictable.delete(record);
    for (const need of record.needs) {
      const count = (this.#needed.get(need) as number) - 1;
      if (count === 0) this.#needed.delete(need);
      else this.#needed.set(need, count);
    }
    record.bytes = 0;
    record.needs = [];
    this.#dropped.tasks.push(record.task);
  }

  /** In a loop, for a chain may be long. */
  #forgetUnneeded(candidates: readonly number[]): void {
    const open = [...candidates];
    for (let object = open.pop(); object !== undefined; object = open.pop()) {
      const known = this.#objects.get(object);
      if (known === undefined || !known.isFreed || this.#needed.has(object) || known.waiting.size > 0 || known.record.phase !== "idle") continue;
      const { record } = known;
      this.#objects.delete(object);
      this.#dropped.objects.push(object);
      record.objects.delete(object);
      if (record.objects.size > 0) continue;
      this.#tasks.delete(record.task);
      open.push(...record.needs);
      this.#dropArguments(record);
    }
  }

  // ------------------------------------------------------------------ making again

  /** (4) `isThere`: whether an object is, for a task that needs it. */
  lost(object: number, isThere: (object: number, task: number) => boolean): LineageRefusal | LineageInstruction[] {
    const plan = this.#plan(object, isThere);
    if (!Array.isArray(plan)) return plan;
    const instructions: LineageInstruction[] = [];
    for (const { record, missing } of plan) {
      record.phase = "waiting";
      if (record.retriesLeft > 0) record.retriesLeft--;
      for (const need of missing) record.missing.add(need);
      // Of what was freed, what is there was made again for another task.
      for (const need of record.needs) if (record.missing.has(need) || this.isFreed(need)) this.#objects.get(need)?.waiting.add(record);
    }
    const touched: number[] = [];
    for (const { record } of plan) if (record.missing.size === 0) this.#run(record, instructions, touched);
    this.#drop(touched, instructions);
    return instructions;
  }

  /** The tasks that must run and do not yet; nothing changes when one of them cannot. */
  #plan(object: number, isThere: (object: number, task: number) => boolean): LineageRefusal | { record: TaskRecord; missing: number[] }[] {
    const planned = new Map<TaskRecord, number[]>();
    const open = [object];
    for (let wanted = open.pop(); wanted !== undefined; wanted = open.pop()) {
      const record = this.#objects.get(wanted)?.record;
      if (record === undefined) return { object: wanted, reason: "put" };
      if (record.phase !== "idle" || planned.has(record)) continue;
      if (record.refusal !== null) return { object: wanted, reason: record.refusal };
      if (record.retriesLeft === 0) return { object: wanted, reason: "retriesUsedUp" };
      const missing = [...new Set(record.needs)].filter((need) => !isThere(need, record.task));
      planned.set(record, missing);
      open.push(...missing);
    }
    return Array.from(planned, ([record, missing]) => ({ record, missing }));
  }

  #run(record: TaskRecord, instructions: LineageInstruction[], touched: number[]): void {
    record.phase = "running";
    instructions.push({ type: "run", task: record.task });
    this.#stopAwaiting(record, touched);
  }

  #stopAwaiting(record: TaskRecord, touched: number[]): void {
    record.missing.clear();
    for (const need of record.needs) {
      this.#objects.get(need)?.waiting.delete(record);
      touched.push(need);
    }
  }

  #drop(touched: readonly number[], instructions: LineageInstruction[]): void {
    for (const object of new Set(touched)) {
      const known = this.#objects.get(object);
      if (known?.isFreed === true && known.waiting.size === 0) instructions.push({ type: "drop", object });
    }
    this.#forgetUnneeded(touched);
  }

  /** (7) It ran to its end, or failed. */
  ended(task: number, retriesLeft: number, isFailed: boolean): LineageInstruction[] {
    const ended = this.#tasks.get(task);
    invariant(ended !== undefined && ended.phase === "running", () => `task ${task} ended but did not run again`);
    ended.retriesLeft = retriesLeft;
    const instructions: LineageInstruction[] = [];
    this.#release(ended, isFailed, instructions);
    return instructions;
  }

  /** It is not to run again, now or later: somebody has cancelled it. (6) for those that wait for it. */
  cancelled(task: number): LineageInstruction[] {
    const record = this.#tasks.get(task);
    if (record === undefined) return [];
    record.refusal = "cancelled";
    if (record.phase !== "waiting") return [];
    const instructions: LineageInstruction[] = [{ type: "fail", task }];
    this.#release(record, true, instructions);
    return instructions;
  }

  #release(first: TaskRecord, isFailed: boolean, instructions: LineageInstruction[]): void {
    const open = [first];
    const touched: number[] = [];
    for (let record = open.pop(); record !== undefined; record = open.pop()) {
      record.phase = "idle";
      this.#stopAwaiting(record, touched);
      for (const object of record.objects) {
        touched.push(object);
        for (const waiting of [...(this.#objects.get(object) as ObjectRecord).waiting]) {
          if (isFailed) {
            if (!waiting.missing.has(object)) continue;
            instructions.push({ type: "fail", task: waiting.task });
            this.#stopAwaiting(waiting, touched);
            open.push(waiting);
          } else if (waiting.missing.delete(object) && waiting.missing.size === 0) {
            this.#run(waiting, instructions, touched);
          }
        }
      }
    }
    this.#drop(touched, instructions);
  }

  /** For state queries and tests. */
  snapshot(): { tasks: number; objects: number; bytes: number; rebuilding: number } {
    const rebuilding = [...this.#tasks.values()].filter(({ phase }) => phase !== "idle").length;
    return { tasks: this.#tasks.size, objects: this.#objects.size, bytes: this.#bytes, rebuilding };
  }
}

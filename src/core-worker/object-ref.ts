import { sequencedId } from "../base/mod.ts";
import type { RuntimeDescriptor } from "../protocol/mod.ts";
import { FAILED, ObjectEntry, PENDING } from "./object-entry.ts";

/** How an object of the runtime says what it is inside a value; looked up by symbol so that two copies of the package agree. */
export const DESCRIBE: unique symbol = Symbol.for("mantaray.describe") as never;

export interface RuntimeObject {
  [DESCRIBE](): RuntimeDescriptor;
}

export interface GetOptions {
  /** Give up after so many milliseconds with a GetTimeoutError; 0: only what is there already. Default: no limit. */
  readonly timeoutMs?: number;
  readonly signal?: AbortSignal;
}

/** What all live refs of one counted object in this worker hold together: the object is pinned until the hold is collected. */
export class RefHold {
  readonly id: string;
  /** Refs that were not released. Those that were collected meanwhile are still counted. */
  count = 0;
  constructor(id: string) {
    this.id = id;
  }
}

/** What a ref needs of the worker it lives in. */
export interface RefHost {
  getOne(ref: ObjectRef<unknown>, options: GetOptions | undefined): Promise<unknown>;
  describeRef(ref: ObjectRef<unknown>, entry: ObjectEntry): RuntimeDescriptor;
  releaseRef(ref: ObjectRef<unknown>, entry: ObjectEntry): void;
}

/**
 * A future: the address of one immutable object in the cluster. Not a thenable, so that an async function may return one
 * without unwrapping it. Pass it to tasks, store it in objects, compare it by `hex()`.
 */
export class ObjectRef<T = unknown> implements RuntimeObject {
  declare readonly __value?: T;
  readonly #host: RefHost;
  #entry: ObjectEntry;
  #isReleased = false;
  #hold: RefHold | null = null;

  /** @internal */
  constructor(host: RefHost, entry: ObjectEntry) {
    this.#host = host;
    this.#entry = entry;
  }

  /** Same as `ray.get(this, options)`. */
  get(options?: GetOptions): Promise<T> {
    return this.#host.getOne(this, options) as Promise<T>;
  }

  /** 32 hexadecimal digits: the owner and a count. Equal for two refs of the same object. */
  hex(): string {
    return this.#entry.id;
  }

  /** The task that makes the object, or that put it; 32 hexadecimal digits. */
  taskId(): string {
    return sequencedId(this.#entry.ownerId, this.#entry.taskSequence);
  }

  /** Drops this handle now instead of at garbage collection. Also runs at the end of a `using` block. Idempotent. */
  release(): void {
    if (this.#isReleased) return;
    this.#isReleased = true;
    const entry = this.#entry;
    // The variable that holds this ref may live on for long: only the name of the object is left in it, not its value.
    this.#entry = new ObjectEntry(entry.ownerId, entry.sequence, entry.taskSequence, entry.id);
    this.#host.releaseRef(this, entry);
  }

  [Symbol.dispose](): void {
    this.release();
  }

  [DESCRIBE](): RuntimeDescriptor {
    return this.#host.describeRef(this, this.#entry);
  }

  toJSON(): string {
    return `ObjectRef(${this.hex()})`;
  }

  [Symbol.for("nodejs.util.inspect.custom")](): string {
    return `ObjectRef(${this.hex()})`;
  }

  /** @internal The entry behind a ref, or undefined for anything else. */
  static entryOf(value: unknown): ObjectEntry | undefined {
    return typeof value === "object" && value !== null && #entry in value ? value.#entry : undefined;
  }

  /** @internal Undefined for what is no ref, or was released. */
  static usableEntryOf(value: unknown): ObjectEntry | undefined {
    return typeof value === "object" && value !== null && #entry in value && !value.#isReleased ? value.#entry : undefined;
  }

  /** @internal Whether its error, if there is one, has no place in the program to show yet. */
  static needsSite(ref: unknown): boolean {
    const entry = ObjectRef.entryOf(ref);
    return entry !== undefined && entry.site === null && (entry.status === PENDING || entry.status === FAILED);
  }

  /** @internal From now on it keeps its object alive. */
  static attach(ref: ObjectRef<unknown>, hold: RefHold): void {
    ref.#hold = hold;
    hold.count++;
  }

  /** @internal */
  static holdOf(ref: ObjectRef<unknown>): RefHold | null {
    return ref.#hold;
  }

  /** @internal Null if it had none, else the hold, with one ref less. */
  static detach(ref: ObjectRef<unknown>): RefHold | null {
    const hold = ref.#hold;
    ref.#hold = null;
    if (hold !== null) hold.count--;
    return hold;
  }

  /** @internal */
  static isReleased(ref: ObjectRef<unknown>): boolean {
    return ref.#isReleased;
  }
}

export function describeRuntimeObject(object: object): RuntimeDescriptor | undefined {
  const describe = (object as Partial<RuntimeObject>)[DESCRIBE];
  return typeof describe === "function" ? describe.call(object) : undefined;
}

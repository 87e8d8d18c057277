import type { RuntimeDescriptor } from "../protocol/mod.ts";
import { DESCRIBE, type ObjectRef, type RuntimeObject } from "./object-ref.ts";
import type { ActorDescription } from "./task.ts";
import type { ActorClient } from "./actor-client.ts";
import type { PendingTask } from "./task.ts";

/** What a handle needs of the worker it lives in. */
export interface HandleHost {
  callActor(handle: ActorHandleObject, client: ActorClient<PendingTask>, method: string, args: unknown[], options: object | null): unknown;
  actorReady(handle: ActorHandleObject, client: ActorClient<PendingTask>): ObjectRef<void>;
  terminateActor(handle: ActorHandleObject, client: ActorClient<PendingTask>): ObjectRef<void>;
  releaseHandle(handle: ActorHandleObject, description: ActorDescription): void;
  checkMethodOptions(options: unknown, label: string): object;
}

/** `handle.method`: call it with `.remote(...)`, or with `.options({...}).remote(...)`. */
export class ActorMethodObject {
  readonly #call: (args: unknown[], options: object | null) => unknown;
  readonly #check: (options: unknown) => object;
  readonly #options: object | null;

  constructor(call: (args: unknown[], options: object | null) => unknown, check: (options: unknown) => object, options: object | null) {
    this.#call = call;
    this.#check = check;
    this.#options = options;
  }

  remote(...args: unknown[]): unknown {
    return this.#call(args, this.#options);
  }

  options(options: object): ActorMethodObject {
    return new ActorMethodObject(this.#call, this.#check, { ...this.#options, ...this.#check(options) });
  }
}

/**
 * A reference to an actor, with one property for each public method of its class. The runtime's own members win over
 * methods of the same name.
 */
export class ActorHandleObject implements RuntimeObject {
  readonly #host: HandleHost;
  readonly #client: ActorClient<PendingTask>;
  readonly #description: ActorDescription;
  #isReleased = false;

  constructor(host: HandleHost, client: ActorClient<PendingTask>, description: ActorDescription) {
    this.#host = host;
    this.#client = client;
    this.#description = description;
    for (const [name, method] of Object.entries(description.methods)) {
      if (name in ActorHandleObject.prototype) continue;
      let made: ActorMethodObject | null = null;
      Object.defineProperty(this, name, {
        enumerable: true,
        get: () => (made ??= new ActorMethodObject(
          (args, options) => host.callActor(this, client, name, args, options),
          (options) => host.checkMethodOptions(options, `${description.className}.${name}`),
          method.options,
        )),
      });
    }
  }

  /** 16 hexadecimal digits. */
  get actorId(): string {
    return this.#client.actorId;
  }

  /** Resolves once the constructor has run; rejects with what it threw. */
  ready(): ObjectRef<void> {
    return this.#host.actorReady(this, this.#client);
  }

  /** Stops the actor after the calls already submitted. Resolves when it has ended, for whatever reason; its name is free then. */
  terminate(): ObjectRef<void> {
    return this.#host.terminateActor(this, this.#client);
  }

  /** Drops this handle now instead of at garbage collection. The actor ends with its last handle, unless detached. */
  release(): void {
    if (this.#isReleased) return;
    this.#isReleased = true;
    this.#host.releaseHandle(this, this.#description);
  }

  [Symbol.dispose](): void {
    this.release();
  }

  [DESCRIBE](): RuntimeDescriptor {
    const { actorId, ownerId, isDetached } = this.#client;
    const { className, methods, rules } = this.#description;
    return { kind: "actorHandle", actorId, ownerId, isDetached, className, methods, rules };
  }

  toJSON(): string {
    return `ActorHandle(${this.#description.className}, ${this.actorId})`;
  }

  [Symbol.for("nodejs.util.inspect.custom")](): string {
    return `ActorHandle(${this.#description.className}, ${this.actorId})`;
  }

  static isHandle(value: unknown): value is ActorHandleObject {
    return typeof value === "object" && value !== null && #client in value;
  }
  static isReleased(handle: ActorHandleObject): boolean {
    return handle.#isReleased;
  }
  static clientOf(handle: ActorHandleObject): ActorClient<PendingTask> {
    return handle.#client;
  }
}

import type { RuntimeDescriptor } from "../protocol/mod.ts";
import { HELD, type HandleHolder } from "./handle-holder.ts";
import { DESCRIBE, type ObjectRef, type RuntimeObject } from "./object-ref.ts";
import type { ActorClient } from "./actor-client.ts";
import type { ActorType } from "./actor-type.ts";
import type { PendingTask } from "./task.ts";

/** What a handle needs of the worker it lives in. */
export interface HandleHost {
  callActor(handle: ActorHandleObject, client: ActorClient<PendingTask>, method: string, args: unknown[], options: object | null): unknown;
  actorReady(handle: ActorHandleObject, client: ActorClient<PendingTask>): ObjectRef<void>;
  terminateActor(handle: ActorHandleObject, client: ActorClient<PendingTask>): ObjectRef<void>;
  releaseHandle(handle: ActorHandleObject): void;
  checkMethodOptions(options: unknown, label: string): object;
}

/** `handle.method`: call it with `.remote(...)`, or with `.options({...}).remote(...)`. */
export class ActorMethodObject {
  readonly #handle: ActorHandleObject;
  readonly #name: string;
  readonly #options: object | null;

  constructor(handle: ActorHandleObject, name: string, options: object | null) {
    this.#handle = handle;
    this.#name = name;
    this.#options = options;
  }

  remote(...args: unknown[]): unknown {
    return ActorHandleObject.call(this.#handle, this.#name, args, this.#options);
  }

  options(options: object): ActorMethodObject {
    return new ActorMethodObject(this.#handle, this.#name, { ...this.#options, ...ActorHandleObject.checkOptions(this.#handle, this.#name, options) });
  }
}

/**
 * A reference to an actor, with one property for each public method of its class. The runtime's own members win over
 * methods of the same name.
 */
export class ActorHandleObject implements RuntimeObject, HandleHolder {
  [HELD]: string | null = null;
  readonly #host: HandleHost;
  readonly #client: ActorClient<PendingTask>;
  /** Of the class that it was made with; what `getIfExists` found may be of another one. */
  readonly #type: ActorType;
  #isReleased = false;

  constructor(host: HandleHost, client: ActorClient<PendingTask>, type: ActorType) {
    this.#host = host;
    this.#client = client;
    this.#type = type;
  }

  /** The properties for the methods are those of a class that all handles of a type share: a handle itself is small. */
  static of(host: HandleHost, client: ActorClient<PendingTask>, type: ActorType): ActorHandleObject {
    let HandleClass = handleClasses.get(type);
    if (HandleClass === undefined) handleClasses.set(type, (HandleClass = handleClassOf(type)));
    return new HandleClass(host, client, type);
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
    this.#host.releaseHandle(this);
  }

  [Symbol.dispose](): void {
    this.release();
  }

  [DESCRIBE](): RuntimeDescriptor {
    const { actorId, ownerId, isDetached, isShared } = this.#client;
    const { className, methods, rules } = this.#client.type as ActorType;
    return { kind: "actorHandle", actorId, ownerId, isDetached, isShared, className, methods, rules };
  }

  toJSON(): string {
    return `ActorHandle(${this.#type.className}, ${this.actorId})`;
  }

  [Symbol.for("nodejs.util.inspect.custom")](): string {
    return `ActorHandle(${this.#type.className}, ${this.actorId})`;
  }

  static call(handle: ActorHandleObject, method: string, args: unknown[], options: object | null): unknown {
    return handle.#host.callActor(handle, handle.#client, method, args, options);
  }
  static checkOptions(handle: ActorHandleObject, method: string, options: unknown): object {
    return handle.#host.checkMethodOptions(options, `${handle.#type.className}.${method}`);
  }
  /** Of the actor itself, where it turned out to be of another type than the handle. */
  static optionsOf(handle: ActorHandleObject, type: ActorType, name: string, options: object | null): object | null {
    const actual = handle.#client.type as ActorType;
    if (actual === type) return options;
    const method = actual.methods[name];
    return method === undefined ? options : method.options;
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

const handleClasses = new WeakMap<ActorType, typeof ActorHandleObject>();

function handleClassOf(type: ActorType): typeof ActorHandleObject {
  const HandleClass = class extends ActorHandleObject {};
  for (const [name, { options }] of Object.entries(type.methods)) {
    if (name in ActorHandleObject.prototype) continue;
    Object.defineProperty(HandleClass.prototype, name, {
      enumerable: true,
      get(this: ActorHandleObject) { return new ActorMethodObject(this, name, ActorHandleObject.optionsOf(this, type, name, options)); },
    });
  }
  return HandleClass;
}

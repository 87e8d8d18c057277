import { RuntimeStateError } from "../base/mod.ts";
import type { ActorClient } from "./actor-client.ts";
import { ActorHandleObject, type HandleHost } from "./actor-handle.ts";
import type { ActorManager } from "./actor-manager.ts";
import type { CallOptions } from "./call-templates.ts";
import type { Failure } from "./object-entry.ts";
import type { ObjectRef } from "./object-ref.ts";
import type { References } from "./references.ts";
import type { Submission } from "./submission.ts";
import { type PendingTask, TERMINATE } from "./task.ts";

export interface ActorCallsEnvironment {
  readonly references: References;
  actors(): ActorManager;
  submission(): Submission;
  hold(): () => void;
  checkMethodOptions(options: unknown, label: string): object;
}

/** What the handles of this worker do: calls, and the actor's beginning and end. */
export class ActorCalls implements HandleHost {
  readonly #env: ActorCallsEnvironment;

  constructor(environment: ActorCallsEnvironment) {
    this.#env = environment;
  }

  callActor(handle: ActorHandleObject, client: ActorClient<PendingTask>, method: string, args: unknown[], options: object | null): unknown {
    checkNotReleased(handle, client.className);
    const callOptions = options as CallOptions | null;
    const callable = this.#env.actors().methodOf(client, method, callOptions?.concurrencyGroup ?? null);
    return this.#env.submission().call(callable, client, args, callOptions, handle);
  }

  actorReady(handle: ActorHandleObject, client: ActorClient<PendingTask>): ObjectRef<void> {
    return this.#refOfLife(handle, client, "ready()", (settle) => this.#env.actors().whenReady(client, settle));
  }

  terminateActor(handle: ActorHandleObject, client: ActorClient<PendingTask>): ObjectRef<void> {
    checkNotReleased(handle, client.className);
    this.#env.submission().call(this.#env.actors().methodOf(client, TERMINATE, null), client, [], null, handle);
    return this.#refOfLife(handle, client, "terminate()", (settle) => this.#env.actors().whenDead(client, settle));
  }

  /** A ref that is there when the actor is, or when it is not any more. */
  #refOfLife(handle: ActorHandleObject, client: ActorClient<PendingTask>, label: string, when: (settle: (failure: Failure | null) => void) => void): ObjectRef<void> {
    checkNotReleased(handle, client.className);
    const submission = this.#env.submission();
    const { references } = this.#env;
    submission.checkRunning(label);
    const entry = submission.newEntry(0);
    entry.isMadeBy(client, null);
    const release = this.#env.hold();
    // Like a call, it keeps the actor until it is answered.
    const pinned = !client.isDetached && references.isHeld(handle) ? references.pinReference(client.actorId, client.ownerId) : [];
    when((failure) => {
      release();
      references.unpin(pinned);
      if (failure === null) entry.settlePrimitive(undefined);
      else entry.settleFailed(failure);
    });
    return submission.refOf(entry) as ObjectRef<void>;
  }

  releaseHandle(handle: ActorHandleObject): void {
    this.#env.actors().releaseHandle(handle);
  }

  checkMethodOptions(options: unknown, label: string): object {
    return this.#env.checkMethodOptions(options, label);
  }
}

function checkNotReleased(handle: ActorHandleObject, className: string): void {
  if (ActorHandleObject.isReleased(handle)) throw new RuntimeStateError(`this handle of ${className} was released and cannot be used any more`);
}

import { ActorNotFoundError, InvalidArgumentError } from "../base/mod.ts";
import { ActorHandleObject, describe } from "../core-worker/mod.ts";
import type { FoundActor } from "../protocol/mod.ts";
import { aBoolean, checkOptions } from "./option-checks.ts";
import { currentRuntime } from "./runtime.ts";
import type { ActorHandle, ActorHandleBase } from "./types.ts";

/**
 * Ends an actor at once; calls that run or wait there fail with ActorDiedError. Resolves when its worker has ended, wherever that is: none
 * of its code runs any more. (In isolation `shared` the worker lives on, and with it timers that the actor has set.)
 * `noRestart: false` lets it start again if `maxRestarts` allows.
 */
export async function kill(actor: ActorHandleBase, options: { noRestart?: boolean } = {}): Promise<void> {
  if (!ActorHandleObject.isHandle(actor)) throw new InvalidArgumentError(`kill() takes an actor handle, but got ${describe(actor)}; to stop a task, use cancel(ref)`);
  checkOptions(options, { noRestart: aBoolean }, "kill()");
  const { core } = currentRuntime();
  await core.requests.ask((requestId) => ({ type: "killActor", requestId, actorId: actor.actorId, noRestart: options.noRestart ?? true }));
}

/**
 * A handle of the actor with this name.
 *
 * @throws ActorNotFoundError when no live actor has it.
 */
export async function getActor<I = any>(name: string, namespace?: string): Promise<ActorHandle<I>> {
  if (typeof name !== "string" || name === "") throw new InvalidArgumentError(`getActor() takes a name, but got ${describe(name)}`);
  if (namespace !== undefined && (typeof namespace !== "string" || namespace === "")) throw new InvalidArgumentError(`the namespace given to getActor() must be a string, but is ${describe(namespace)}`);
  const runtime = currentRuntime();
  const where = namespace ?? runtime.namespace;
  const found = await runtime.core.requests.ask<FoundActor | null>((requestId) => ({ type: "findActor", requestId, name, namespace: where }));
  if (found === null) throw new ActorNotFoundError(`no live actor is named '${name}' in namespace '${where}'; names are unique within a namespace, and end with their actor`);
  return runtime.core.actors.reviveHandle({ kind: "actorHandle", ...found }) as unknown as ActorHandle<I>;
}

/** Names of live actors: of this program's namespace, or of all. */
export async function listNamedActors(options: { allNamespaces?: boolean } = {}): Promise<{ name: string; namespace: string }[]> {
  checkOptions(options, { allNamespaces: aBoolean }, "listNamedActors()");
  const runtime = currentRuntime();
  const namespace = options.allNamespaces === true ? null : runtime.namespace;
  return runtime.core.requests.ask((requestId) => ({ type: "listNamedActors", requestId, namespace }));
}

/**
 * Inside an actor's method: leaves the method and ends the actor. Not restarted; this call and those that wait fail with
 * ActorDiedError.
 */
export function exitActor(): never {
  return currentRuntime().core.exitActor();
}

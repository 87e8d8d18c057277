import { newActorId, type JobId, type RandomSource, type WorkerId } from "../base/mod.ts";
import type { ActorArg, ActorSpec, ActorTemplate, EncodedValueRecord, ToNode } from "../protocol/mod.ts";
import { ActorHandleObject } from "./actor-handle.ts";
import type { ActorManager } from "./actor-manager.ts";
import type { CodeExports } from "./code-exports.ts";
import { type CodeLoader, unitsIn } from "./code-loader.ts";
import type { NodeRequests } from "./node-requests.ts";
import { codeOfMethods } from "./retried-errors.ts";
import { creationRefused } from "./failure-errors.ts";
import type { Submission } from "./submission.ts";
import type { CodeSource } from "./task.ts";

/** What the options of an actor class say, compiled once: actors that are made with the same object share what is kept of it. */
export type ActorSetting = Omit<ActorTemplate, "ownerId" | "jobId" | "unitId" | "units" | "parentId">;

export interface ActorCreationEnvironment {
  readonly workerId: WorkerId;
  readonly random: RandomSource;
  readonly exports: CodeExports;
  readonly code: CodeLoader;
  readonly actors: ActorManager;
  readonly submission: Submission;
  readonly requests: NodeRequests;
  jobId(): JobId;
  /** The actor that the running code is of. */
  currentActor(): { readonly spec: ActorSpec } | undefined;
  sendToNodeSoon(message: ToNode): void;
}

/** Makes actors: a handle at once, and the GCS is told when the arguments of the constructor are there. */
export class ActorCreation {
  readonly #env: ActorCreationEnvironment;
  /** Of shared actors. */
  readonly #templates = new WeakMap<ActorSetting, ActorTemplate>();

  constructor(environment: ActorCreationEnvironment) {
    this.#env = environment;
  }

  create(source: CodeSource, setting: ActorSetting, args: unknown[]): ActorHandleObject {
    const env = this.#env;
    const unitId = env.exports.unitIdOf(source);
    env.exports.exportMentioned();
    const actorId = newActorId(env.random);
    const { isDetached, isShared, className, methods, rules } = setting;
    const parentId = this.#parentId();
    const handle = env.actors.createHandle({ actorId, ownerId: env.workerId, isDetached, isShared, className, methods, rules });
    env.submission.whenArgsReady(args, `${className}()`, (values, failure, release) => {
      if (failure !== null) {
        env.actors.creationFailed(actorId, failure);
        release?.();
        return;
      }
      // What the arguments name stays alive until the constructor has taken it over.
      if (release !== null) env.actors.whenReady(ActorHandleObject.clientOf(handle), release);
      const codeOfArgs = values.flatMap((arg) => (isEncoded(arg) ? [...arg.code, ...unitsIn(arg.descriptors)] : []));
      // A name can be refused; without one there is nothing to wait for.
      if (isShared && setting.name === null) env.sendToNodeSoon({ type: "createSharedActor", template: this.#template(setting, unitId, parentId, codeOfArgs), actorId, args: values });
      else this.#ask({ ...this.#newTemplate(setting, unitId, parentId, codeOfArgs), actorId, args: values });
      env.actors.created(actorId);
    });
    return handle;
  }

  #ask(spec: ActorSpec): void {
    this.#env.requests.askSoon((requestId) => ({ type: "createActor", requestId, spec })).catch((error: unknown) => {
      this.#env.actors.creationFailed(spec.actorId, creationRefused(error));
    });
  }

  #parentId(): string | null {
    const spec = this.#env.currentActor()?.spec;
    return spec?.isShared === true ? spec.actorId : null;
  }

  #template(setting: ActorSetting, unitId: string, parentId: string | null, codeOfArgs: readonly string[]): ActorTemplate {
    if (codeOfArgs.length > 0) return this.#newTemplate(setting, unitId, parentId, codeOfArgs);
    const known = this.#templates.get(setting);
    if (known !== undefined && known.unitId === unitId && known.parentId === parentId) return known;
    const template = this.#newTemplate(setting, unitId, parentId, []);
    this.#templates.set(setting, template);
    return template;
  }

  #newTemplate(setting: ActorSetting, unitId: string, parentId: string | null, codeOfArgs: readonly string[]): ActorTemplate {
    const { workerId, code } = this.#env;
    return actorTemplate(setting, { ownerId: workerId, jobId: this.#env.jobId(), unitId, units: code.closure([unitId, ...codeOfMethods(setting.methods), ...codeOfArgs]), parentId });
  }
}

/** With its keys in one order, whoever makes it: a worker that waits has read a message of this shape (actor-rehearsal.ts). */
export function actorTemplate(setting: ActorSetting, { ownerId, jobId, unitId, units, parentId }: Omit<ActorTemplate, keyof ActorSetting>): ActorTemplate {
  const { className, methods, rules, name, namespace, isDetached, getIfExists, maxRestarts, maxConcurrency, resources, workerKind, strategy, bundle, isShared } = setting;
  return { className, methods, rules, name, namespace, isDetached, getIfExists, maxRestarts, maxConcurrency, resources, workerKind, strategy, bundle, isShared, ownerId, jobId, unitId, units, parentId };
}

export function isEncoded(arg: ActorArg): arg is EncodedValueRecord {
  return typeof arg === "object" && arg !== null;
}

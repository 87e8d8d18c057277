import { packMessage, unpackMessage } from "../clients/mod.ts";
import { type FromNode, plainWorkerKind } from "../protocol/mod.ts";
import { rehearsalUnit, Serializer } from "../serialization/mod.ts";
import { actorTemplate } from "./actor-creation.ts";
import { CodeLoader } from "./code-loader.ts";
import { RunRecorder } from "./run-recorder.ts";

const NOBODY = "rehearsal";

type StartMessage = Extract<FromNode, { type: "startActor" }>;

/**
 * An actor that nobody knows, and what takes the place of all that a real one leaves traces in. Its message has been
 * bytes: V8 takes 0.1 ms to make the shapes of one that it reads for the first time, and forgets them with their last
 * object, so whoever rehearses keeps it.
 */
export function rehearsal(pid: number, worker: { flushToNode(): void }) {
  const silent = (): void => {};
  const unit = rehearsalUnit();
  const setting = {
    className: unit.name, methods: { increment: { isGenerator: false, options: null } }, rules: { maxTaskRetries: 0, maxPendingCalls: -1, groups: {}, allowsOvertaking: false },
    name: null, namespace: "", isDetached: false, getIfExists: false, maxRestarts: 0, maxConcurrency: null, resources: { CPU: 1 }, workerKind: plainWorkerKind("thread"), strategy: null, bundle: null, isShared: false,
  };
  const template = actorTemplate(setting, { ownerId: NOBODY, jobId: NOBODY, unitId: unit.id, units: [unit], parentId: null });
  const message = asReceived({ type: "startActor", spec: { ...template, actorId: NOBODY, args: [1] }, wasRestarted: false, acceleratorIds: null });
  const serializer = new Serializer({ workerId: NOBODY, runtimeObjects: { describe: () => undefined, revive: (descriptor) => descriptor as object } });
  const stage = {
    serializer, code: new CodeLoader(serializer, () => Promise.resolve([])), runs: new RunRecorder({ workerId: NOBODY, pid, timeOriginMs: 0, after: (_delayMs, report) => report(), report: silent }),
    worker: { sendToNode: (answer: object) => void packMessage(answer), sendToNodeSoon: silent, flushToNode: () => worker.flushToNode() }, exit: silent,
  };
  return { stage, message };
}

function asReceived(message: StartMessage): StartMessage {
  return unpackMessage(packMessage(message)) as StartMessage;
}

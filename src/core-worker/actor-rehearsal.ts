import { type ActorSpec, plainWorkerKind } from "../protocol/mod.ts";
import { rehearsalUnit, Serializer } from "../serialization/mod.ts";
import { CodeLoader } from "./code-loader.ts";
import { RunRecorder } from "./run-recorder.ts";

const NOBODY = "rehearsal";

/** An actor that nobody knows, and what takes the place of all that a real one leaves traces in. */
export function rehearsal(pid: number, worker: { flushToNode(): void }) {
  const silent = (): void => {};
  const unit = rehearsalUnit();
  const spec: ActorSpec = {
    actorId: NOBODY, ownerId: NOBODY, jobId: NOBODY, className: unit.name, unitId: unit.id, units: [unit], args: [1], methods: {},
    rules: { maxTaskRetries: 0, maxPendingCalls: -1, groups: {}, allowsOvertaking: false }, name: null, namespace: "", isDetached: false, getIfExists: false, maxRestarts: 0, maxConcurrency: null,
    resources: {}, workerKind: plainWorkerKind("thread"), strategy: null, bundle: null, isShared: false, parentId: null,
  };
  const serializer = new Serializer({ workerId: NOBODY, runtimeObjects: { describe: () => undefined, revive: (descriptor) => descriptor as object } });
  const stage = {
    serializer, code: new CodeLoader(serializer, () => Promise.resolve([])), runs: new RunRecorder({ workerId: NOBODY, pid, timeOriginMs: 0, after: (_delayMs, report) => report(), report: silent }),
    worker: { sendToNode: silent, sendToNodeSoon: silent, flushToNode: () => worker.flushToNode() }, exit: silent,
  };
  return { stage, spec };
}

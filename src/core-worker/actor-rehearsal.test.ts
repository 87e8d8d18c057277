import assert from "node:assert/strict";
import { test } from "node:test";
import { plainWorkerKind } from "../protocol/mod.ts";
import { actorTemplate, type ActorSetting } from "./actor-creation.ts";
import { rehearsal } from "./actor-rehearsal.ts";

class Counter {}

const SETTING: ActorSetting = {
  isShared: false, bundle: null, strategy: null, workerKind: plainWorkerKind("process"), resources: { CPU: 2 }, maxConcurrency: null, maxRestarts: 1, getIfExists: false, isDetached: false, namespace: "n", name: null,
  rules: { maxTaskRetries: 0, maxPendingCalls: -1, groups: {}, allowsOvertaking: false }, methods: {}, className: Counter.name,
};

test("an actor is described by the same keys in the same order, whoever says what it is, and so is the one that is rehearsed", () => {
  const template = actorTemplate(SETTING, { parentId: null, units: [], unitId: "u", jobId: "j", ownerId: "o" });
  const { message } = rehearsal(1, { flushToNode: () => undefined });
  assert.deepEqual(Object.keys(message.spec), [...Object.keys(template), "actorId", "args"]);
  for (const key of ["rules", "workerKind", "resources"] as const) assert.deepEqual(Object.keys(message.spec[key]), Object.keys(SETTING[key]), key);
  assert.deepEqual({ ...template, ...SETTING }, template);
});

import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { partsOf, RecentTemplates, specFrom } from "./actor-template.ts";
import type { ActorTemplate } from "./node-messages.ts";
import { plainWorkerKind } from "./worker-kind.ts";

function templateOf(details: Partial<ActorTemplate> = {}): ActorTemplate {
  return {
    ownerId: "owner", jobId: "j", className: "Counter", unitId: "u", units: [], methods: {}, rules: { maxTaskRetries: 0, maxPendingCalls: -1, groups: {}, allowsOvertaking: false }, name: null, namespace: "n", isDetached: false, getIfExists: false,
    maxRestarts: 0, maxConcurrency: null, resources: {}, workerKind: plainWorkerKind("thread"), strategy: null, bundle: null, isShared: true, parentId: null,
    ...details,
  };
}

describe("templates of actors", () => {
  test("a specification reads as a whole and has only its own parts", () => {
    const template = templateOf();
    const spec = specFrom(template, "a", [1, "two"]);
    assert.deepEqual([spec.className, spec.ownerId, spec.actorId, spec.args], ["Counter", "owner", "a", [1, "two"]]);
    assert.deepEqual(Object.keys(spec), ["actorId", "args"]);
  });

  test("it comes apart into what it was made of, whether it was made from a template or not", () => {
    const template = templateOf();
    assert.equal(partsOf(specFrom(template, "a", [])).template, template);
    assert.deepEqual(partsOf({ ...template, actorId: "a", args: [1] }), { template, actorId: "a", args: [1] });
  });

  test("copies of one template that come in several frames become one", () => {
    const kept: ActorTemplate[] = [];
    const recent = new RecentTemplates((template) => { kept.push(template); return template; });
    const first = recent.same(templateOf());
    assert.equal(recent.same(templateOf()), first);
    assert.notEqual(recent.same(templateOf({ maxRestarts: 1 })), first);
    assert.notEqual(recent.same(templateOf({ ownerId: "other" })), first);
    assert.equal(kept.length, 3);
  });

  test("those that are over are not kept, nor found again", () => {
    const recent = new RecentTemplates((template) => template);
    const first = recent.same(templateOf());
    const other = recent.same(templateOf({ ownerId: "other" }));
    recent.forget(({ ownerId }) => ownerId === "owner");
    assert.notEqual(recent.same(templateOf()), first);
    assert.equal(recent.same(templateOf({ ownerId: "other" })), other);
  });
});

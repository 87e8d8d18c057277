import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { describeEnvironment, mergeEnvironment, SETUP_TIMEOUT_MS_DEFAULT } from "./environment-record.ts";

describe("records of runtime environments", () => {
  test("variables are merged key by key, and the later ones win", () => {
    const parent = mergeEnvironment(null, { envVars: { A: "1", B: "1" } });
    const child = mergeEnvironment(parent, { envVars: { B: "2", C: "" } });
    assert.deepEqual(child?.envVars, { A: "1", B: "2", C: "" });
    assert.deepEqual(parent?.envVars, { A: "1", B: "1" });
  });

  test("equal content has the same hash, whatever the order; other content has another", () => {
    const hash = (envVars: Record<string, string>): string => mergeEnvironment(null, { envVars })!.hash;
    assert.equal(hash({ A: "1", B: "2" }), hash({ B: "2", A: "1" }));
    assert.equal(mergeEnvironment(mergeEnvironment(null, { envVars: { A: "1" } }), { envVars: { B: "2" } })!.hash, hash({ A: "1", B: "2" }));
    assert.equal(new Set([hash({ A: "1" }), hash({ A: "2" }), hash({ B: "1" }), hash({ A: "1", B: "" }), hash({ A: '1","B' })]).size, 5);
  });

  test("how long the set-up may take makes no other workers, and is inherited", () => {
    const parent = mergeEnvironment(null, { envVars: { A: "1" }, config: { setupTimeoutMs: 5 } });
    assert.equal(parent?.hash, mergeEnvironment(null, { envVars: { A: "1" } })?.hash);
    assert.equal(mergeEnvironment(parent, { envVars: { B: "1" } })?.config.setupTimeoutMs, 5);
    assert.equal(mergeEnvironment(null, { envVars: { B: "1" } })?.config.setupTimeoutMs, SETUP_TIMEOUT_MS_DEFAULT);
  });

  test("what asks for nothing is none", () => {
    assert.equal(mergeEnvironment(null, {}), null);
    assert.equal(mergeEnvironment(null, { envVars: {}, config: { setupTimeoutMs: 5 } }), null);
    assert.deepEqual(describeEnvironment(null), {});
  });
});

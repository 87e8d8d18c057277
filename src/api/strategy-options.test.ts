import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { InvalidArgumentError } from "../base/mod.ts";
import { strategyKeyOf, type StrategyRecord } from "../protocol/mod.ts";
import { checkActorOptions, checkTaskOptions } from "./options.ts";
import { strategyOf } from "./strategy-options.ts";
import type { PlacementOptions, SchedulingStrategy } from "./types.ts";

const compiled = (options: PlacementOptions): StrategyRecord | null => strategyOf(options, "task f()");
const refused = (options: unknown, what: RegExp): void => {
  for (const check of [() => checkTaskOptions(options, "task f()"), () => checkActorOptions(options, "task f()")]) {
    assert.throws(check, (error: unknown) => error instanceof InvalidArgumentError && what.test(error.message), `${JSON.stringify(options)}: ${what}`);
  }
};

describe("where tasks and actors may run, as options say it", () => {
  test("nothing is carried where any node will do", () => {
    for (const options of [{}, { schedulingStrategy: "DEFAULT" }, { labelSelector: {} }, { labelSelector: {}, schedulingStrategy: "DEFAULT" }] as const) assert.equal(compiled(options), null);
  });

  test("a selector and a strategy hold together", () => {
    const zone = { key: "zone", values: ["a"], isNegated: false };
    const slow = { key: "disk", values: ["slow"], isNegated: true };
    assert.deepEqual(compiled({ labelSelector: { zone: "a" } }), { required: [zone], preference: { type: "pack" } });
    assert.deepEqual(compiled({ schedulingStrategy: "SPREAD", labelSelector: { zone: "a" } }), { required: [zone], preference: { type: "spread" } });
    assert.deepEqual(compiled({ schedulingStrategy: { type: "nodeAffinity", nodeId: "0123", soft: true } }), { required: [], preference: { type: "node", nodeId: "0123", isSoft: true } });
    assert.deepEqual(compiled({ schedulingStrategy: { type: "nodeLabel", hard: { disk: "!slow" } }, labelSelector: { zone: "a" } }), { required: [zone, slow], preference: { type: "pack" } });
    assert.deepEqual(compiled({ schedulingStrategy: { type: "nodeLabel", soft: { zone: "a" } } }), { required: [], preference: { type: "labels", preferred: [zone] } });
  });

  test("what says the same has the same key, whatever its order", () => {
    const key = (options: PlacementOptions): string => strategyKeyOf(compiled(options) as StrategyRecord);
    assert.equal(key({ labelSelector: { zone: "in(a,b)", disk: "x" } }), key({ labelSelector: { disk: "in(x)", zone: "in(b,a)" } }));
    assert.notEqual(key({ labelSelector: { zone: "a" } }), key({ labelSelector: { zone: "!a" } }));
    assert.notEqual(key({ labelSelector: { zone: "a" } }), key({ labelSelector: { zone: "a" }, schedulingStrategy: "SPREAD" }));
  });

  test("what makes no sense is refused, with where and what", () => {
    refused({ labelSelector: { zone: "in(a" } }, /^option 'labelSelector' of task f\(\), label 'zone': "in\(a" is not understood/);
    refused({ labelSelector: { zone: 1 } }, /option 'labelSelector' of task f\(\) must be an object whose 'zone' is a string/);
    refused({ labelSelector: "zone" }, /option 'labelSelector' of task f\(\) must be an object/);
    refused({ schedulingStrategy: "spread" }, /must be one of "DEFAULT", "SPREAD", or an object/);
    refused({ schedulingStrategy: { type: "nodeAffinty", nodeId: "0", soft: true } }, /'type' is one of "nodeAffinity", "nodeLabel", "placementGroup"/);
    refused({ schedulingStrategy: {} }, /'type' is one of/);
    refused({ schedulingStrategy: { type: "nodeAffinity", nodeId: "0" } }, /option 'schedulingStrategy' of task f\(\) needs 'nodeId'.*'soft'/);
    refused({ schedulingStrategy: { type: "nodeAffinity", nodeId: "", soft: true } }, /'nodeId' .*must be a string that is not empty/);
    refused({ schedulingStrategy: { type: "nodeAffinity", nodeId: "0", softly: true } }, /no option 'softly'; did you mean 'soft'/);
    refused({ schedulingStrategy: { type: "nodeLabel" } }, /needs 'hard' or 'soft'/);
    refused({ schedulingStrategy: { type: "nodeLabel", hard: { zone: "a b" } } }, /in 'hard', label 'zone': "a b" is not understood/);
    refused({ schedulingStrategy: { type: "nodeLabel", soft: { "a b": "a" } } }, /in 'soft': "a b" cannot be the key of a label/);
    refused({ schedulingStrategy: { type: "placementGroup", placementGroup: {} } satisfies object as SchedulingStrategy }, /'placementGroup' in option 'schedulingStrategy' of task f\(\) must be a placement group/);
  });
});

import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { InvalidArgumentError } from "../base/mod.ts";
import type { LabelCondition } from "../protocol/mod.ts";
import { describeCondition, meetsCondition, meetsConditions, parseLabelSelector, whyNoLabelKey, whyNoLabelValue } from "./label-selector.ts";

const where = "option 'labelSelector' of task f()";
const parsed = (text: string): LabelCondition => parseLabelSelector({ zone: text }, where)[0] as LabelCondition;

describe("label selectors", () => {
  test("have the forms of a value and of a list, each also negated", () => {
    const cases: [string, boolean, boolean, boolean][] = [
      // text, zone is a, zone is c, no zone
      ["a", true, false, false],
      ["!a", false, true, true],
      ["in(a,b)", true, false, false],
      ["in( b , a )", true, false, false],
      ["!in(a,b)", false, true, true],
      ["*", true, true, false],
      ["!*", false, false, true],
    ];
    for (const [text, a, c, none] of cases) {
      const condition = parsed(text);
      assert.deepEqual([{ zone: "a" }, { zone: "c" }, {}].map((labels) => meetsCondition(labels as Record<string, string>, condition)), [a, c, none], text);
    }
  });

  test("are met by a node that meets every one of them", () => {
    const conditions = parseLabelSelector({ zone: "in(a,b)", "mantaray.io/node-id": "!0123" }, where);
    assert.ok(meetsConditions({ zone: "b" }, conditions));
    assert.ok(!meetsConditions({ zone: "b", "mantaray.io/node-id": "0123" }, conditions));
    assert.ok(!meetsConditions({}, conditions));
    assert.ok(meetsConditions({}, []));
  });

  test("do not take a field that every object has for a label", () => {
    assert.ok(!meetsCondition({}, { key: "constructor", values: null, isNegated: false }));
  });

  test("that are not understood are told with where and what", () => {
    for (const text of ["", "!", "in()", "in(a,)", "in(a", "in(a,b)c", "!!a", "a b", "-a", "a".repeat(64), "in(a, b c)", "!in(,)", "**"]) {
      assert.throws(() => parsed(text), (error: unknown) => error instanceof InvalidArgumentError && error.message.includes(`${where}, label 'zone'`) && error.message.includes(JSON.stringify(text)), text);
    }
    assert.throws(() => parsed("in(a, b c)"), /in the list at "b c"/);
    assert.throws(() => parseLabelSelector({ "a zone": "a" }, where), (error: unknown) => error instanceof InvalidArgumentError && error.message.startsWith(`${where}: "a zone" cannot be the key of a label`));
  });

  test("take keys with a DNS name before them, as Kubernetes does", () => {
    for (const key of ["zone", "a", "A.b_c-9", "mantaray.io/node-id", "x/y", "a".repeat(63), `${"a".repeat(60)}.io/z`]) assert.equal(whyNoLabelKey(key), null, key);
    for (const key of ["", "/", "a/", "/a", "a/b/c", "Upper.io/a", "a..b/c", "-a", "a-", "a".repeat(64), `${"a.".repeat(127)}/z`]) assert.notEqual(whyNoLabelKey(key), null, key);
    assert.equal(whyNoLabelValue("p4d.24xlarge"), null);
    assert.match(whyNoLabelValue("two words") as string, /"two words" cannot be the value of a label/);
  });

  test("are read back as they are described, whatever the order of what is listed", () => {
    const value = fc.stringMatching(/^[a-z0-9]([a-z0-9_.-]{0,5}[a-z0-9])?$/);
    const text = fc.record({ values: fc.array(value, { minLength: 1, maxLength: 4 }), isNegated: fc.boolean() });
    fc.assert(fc.property(text, ({ values, isNegated }) => {
      const condition = parsed(`${isNegated ? "!" : ""}in(${values.join(",")})`);
      assert.deepEqual(parsed(`${isNegated ? "!" : ""}in(${[...values].reverse().join(", ")})`), condition);
      const [, described] = /^zone: "(.*)"$/.exec(describeCondition(condition)) as unknown as [string, string];
      assert.deepEqual(parsed(described), condition);
    }));
  });
});

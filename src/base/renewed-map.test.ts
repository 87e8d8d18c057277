import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { RenewedMap, RenewedSet } from "./mod.ts";

const KEYS = 40;

test("whatever is added and deleted, it has what a Map has, in the same order", () => {
  const steps = fc.array(fc.record({ key: fc.nat(KEYS - 1), isDeleted: fc.boolean() }), { minLength: 300, maxLength: 1_000 });
  fc.assert(fc.property(steps, (all) => {
    const renewed = new RenewedMap<number, object>();
    const renewedSet = new RenewedSet<number>();
    const model = new Map<number, object>();
    for (const { key, isDeleted } of all) {
      if (isDeleted) {
        const wasThere = model.delete(key);
        assert.equal(renewed.delete(key), wasThere);
        assert.equal(renewedSet.delete(key), wasThere);
      } else {
        const value = {};
        model.set(key, value);
        renewed.set(key, value);
        renewedSet.add(key);
      }
      assert.equal(renewed.size, model.size);
      assert.equal(renewedSet.has(key), model.has(key));
      assert.equal(renewed.get(key), model.get(key));
    }
    assert.deepEqual([...renewed], [...model]);
    assert.deepEqual([...renewed.values()], [...model.values()]);
    assert.deepEqual([...renewedSet], [...model.keys()]);
  }), { numRuns: 50 });
});

test("a walk may delete what it meets, however much that is", () => {
  const many = 1_000;
  const map = new RenewedMap<number, number>();
  for (let key = 0; key < many; key++) map.set(key, key);
  const met: number[] = [];
  for (const key of map.keys()) {
    met.push(key);
    map.delete(key);
  }
  assert.equal(met.length, many);
  assert.equal(map.size, 0);
  assert.deepEqual([...map.set(1, 2)], [[1, 2]]);
});

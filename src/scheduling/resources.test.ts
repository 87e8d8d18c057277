import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { toAmounts, toQuantities } from "../base/mod.ts";
import { describeLack, fits, lacking, ResourceLedger } from "./resources.ts";

const amounts = fc.dictionary(fc.constantFrom("CPU", "GPU", "slots"), fc.integer({ min: 1, max: 40_000 }));

describe("resources", () => {
  test("fractions add up exactly", () => {
    const ledger = new ResourceLedger(toAmounts({ CPU: 1 }));
    const tenth = toAmounts({ CPU: 0.1 });
    for (let taken = 0; taken < 10; taken++) {
      assert.ok(ledger.hasRoomFor(tenth));
      ledger.take(tenth);
    }
    assert.deepEqual(toQuantities(ledger.available), { CPU: 0 });
    assert.ok(!ledger.hasRoomFor(tenth));
  });

  test("an absent resource counts as zero, and nothing fits always", () => {
    assert.equal(lacking({ GPU: 1 }, { CPU: 1 }), "GPU");
    assert.equal(lacking({}, {}), undefined);
    assert.ok(fits({ CPU: 5 }, { CPU: 5 }));
    assert.ok(!fits({ CPU: 6 }, { CPU: 5 }));
  });

  test("what is free now and what could ever be free are two questions", () => {
    const ledger = new ResourceLedger({ CPU: 2 });
    ledger.take({ CPU: 2 });
    assert.ok(!ledger.hasRoomFor({ CPU: 1 }));
    assert.ok(ledger.canEverHold({ CPU: 2 }));
    assert.ok(!ledger.canEverHold({ CPU: 3 }));
    assert.ok(!ledger.canEverHold({ GPU: 1 }));
  });

  test("free amounts may go below zero, and then nothing has room", () => {
    const ledger = new ResourceLedger({ CPU: 1 });
    ledger.take({ CPU: 1 });
    ledger.take({ CPU: 1 });
    assert.deepEqual(ledger.available, { CPU: -1 });
    assert.ok(!ledger.hasRoomFor({ CPU: 1 }));
    assert.ok(ledger.hasRoomFor({}), "what takes nothing always has room");
    ledger.give({ CPU: 1 });
    assert.ok(!ledger.hasRoomFor({ CPU: 1 }));
    ledger.give({ CPU: 1 });
    assert.ok(ledger.hasRoomFor({ CPU: 1 }));
  });

  test("whatever is taken and given back leaves the totals, which never change", () => {
    fc.assert(
      fc.property(amounts, fc.array(amounts, { maxLength: 20 }), fc.nat(), (totals, takes, start) => {
        const ledger = new ResourceLedger(totals);
        for (const taken of takes) ledger.take(taken);
        for (let index = 0; index < takes.length; index++) ledger.give(takes[(index + start) % takes.length] as Record<string, number>);
        for (const name of Object.keys(ledger.available)) assert.equal(ledger.available[name], totals[name] ?? 0);
        assert.deepEqual({ ...ledger.totals }, { ...totals });
      }),
    );
  });

  test("a lack is told with the resource, what is wanted and what there is", () => {
    const totals = toAmounts({ CPU: 2, GPU: 0 });
    assert.equal(describeLack(toAmounts({ CPU: 8 }), totals), "8 CPU, but the cluster has 2");
    assert.equal(describeLack(toAmounts({ CPU: 1, GPU: 0.5, slots: 3 }), totals), "0.5 GPU, but the cluster has none; 3 slots, but the cluster has none");
    assert.equal(describeLack(toAmounts({ CPU: 2 }), totals), "");
  });
});

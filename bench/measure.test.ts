import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { measureInterleaved, statisticsOf } from "./measure.ts";

describe("statistics", () => {
  it("takes the middle of an odd number of samples, the mean of the two middle ones of an even number", () => {
    assert.deepEqual(statisticsOf([5, 1, 9]), { median: 5, min: 1, max: 9, samples: [5, 1, 9] });
    assert.equal(statisticsOf([4, 1, 2, 9]).median, 3);
  });
});

describe("interleaving", () => {
  it("gives everybody a turn in every round, another one first each time, and does not count the first", async () => {
    const turns: string[] = [];
    const outcomes = await measureInterleaved({
      contestants: ["a", "b"],
      rounds: 2,
      measure: async (contestant) => ({ figure: turns.push(contestant) }),
    });
    assert.deepEqual(turns, ["a", "b", "b", "a", "a", "b"]);
    assert.deepEqual(outcomes.get("a")!.figures.get("figure")!.samples, [4, 5]);
    assert.deepEqual(outcomes.get("b")!.figures.get("figure")!.samples, [3, 6]);
  });

  it("goes on without a contestant that fails, and says why", async () => {
    const outcomes = await measureInterleaved({
      contestants: ["good", "bad"],
      rounds: 3,
      measure: async (contestant) => {
        if (contestant === "bad") throw new Error("it broke");
        return { figure: 1 };
      },
    });
    assert.equal(outcomes.get("good")!.figures.get("figure")!.samples.length, 3);
    assert.equal(outcomes.get("bad")!.failure, "it broke");
    assert.equal(outcomes.get("bad")!.figures.size, 0);
  });
});

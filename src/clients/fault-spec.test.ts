import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { InvalidArgumentError } from "../base/mod.ts";
import { type Fault, FaultDecisions, parseFaults } from "./fault-spec.ts";

const NAME = "MANTARAY_TESTING_FAULTS";
const none = { below: () => { throw new Error("a seed was given"); } };

describe("faults as they are written", () => {
  test("are rules for kinds of messages, and a seed", () => {
    assert.deepEqual(parseFaults("kind=load:fail=0.25:drop=0.5:times=2; kind=*:delayMs=1-5;seed=7", NAME), {
      seed: 7,
      rules: [
        { kind: "load", fail: 0.25, drop: 0.5, delayMsMin: 0, delayMsMax: 0, after: 0, times: 2 },
        { kind: "*", fail: 0, drop: 0, delayMsMin: 1, delayMsMax: 5, after: 0, times: Infinity },
      ],
    });
  });

  for (const [text, why] of [["fail=0.1", /says no kind/], ["kind=load:fail=2", /'fail=2', where a number from 0 to 1/], ["kind=load:delayMs=5-1", /milliseconds/], ["kind=load:fial=1", /'fial' is none of/], ["kind", /not of the form/], ["kind=a:fail=0.6:drop=0.6", /more than 1 together/]] as const) {
    test(`'${text}' is refused, with the reason and an example`, () => {
      assert.throws(() => parseFaults(text, NAME), (error: Error) => error instanceof InvalidArgumentError && why.test(error.message) && error.message.startsWith(NAME) && error.message.includes("written like"));
    });
  }

  test("happen as often as they should, the same for the same seed, and no more than so many times", () => {
    const draw = (text: string): Fault[] => {
      const decisions = new FaultDecisions(parseFaults(text, NAME), none);
      return Array.from({ length: 1_000 }, () => decisions.of(["fromWorker", "leaseDemand"]));
    };
    const drawn = draw("kind=leaseDemand:fail=0.2:drop=0.3:delayMs=2-4;seed=1");
    const count = (type: string): number => drawn.filter((fault) => fault.type === type).length;
    assert.ok(count("fail") > 150 && count("fail") < 250 && count("drop") > 250 && count("drop") < 350, JSON.stringify([count("fail"), count("drop")]));
    assert.deepEqual([...new Set(drawn.map(({ delayMs }) => delayMs))].sort(), [2, 3, 4]);
    assert.deepEqual(draw("kind=leaseDemand:fail=0.2:drop=0.3:delayMs=2-4;seed=1"), drawn);
    assert.equal(draw("kind=fromWorker:fail=1:times=3;seed=1").filter(({ type }) => type === "fail").length, 3);
    assert.deepEqual(draw("kind=*:drop=1:after=2:times=1;seed=1").slice(0, 4).map(({ type }) => type), ["none", "none", "drop", "none"]);
    assert.ok(draw("kind=load:fail=1;seed=1").every(({ type }) => type === "none"), "another kind");
  });
});

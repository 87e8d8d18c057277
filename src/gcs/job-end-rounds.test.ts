import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { JobEndRounds } from "./job-end-rounds.ts";

describe("the end of a program on all nodes", () => {
  test("is after two rounds with the same answers", () => {
    const rounds = new JobEndRounds();
    assert.equal(rounds.begin("j", ["a", "b"]), true);
    assert.equal(rounds.answered("j", "a", 0), "waits");
    assert.equal(rounds.answered("j", "b", 0), "again");
    rounds.begin("j", ["a", "b"]);
    assert.equal(rounds.answered("j", "b", 0), "waits");
    assert.equal(rounds.answered("j", "a", 0), "over");
    assert.equal(rounds.answered("j", "a", 0), "waits", "and once only");
  });

  test("is not before a worker's end on one node has been told to all others", () => {
    const rounds = new JobEndRounds();
    const answers = [[0, 0], [0, 1], [1, 1], [1, 1]].map(([a, b]) => {
      rounds.begin("j", ["a", "b"]);
      return [rounds.answered("j", "a", a as number), rounds.answered("j", "b", b as number)];
    });
    assert.deepEqual(answers, [["waits", "again"], ["waits", "again"], ["waits", "again"], ["waits", "over"]]);
  });

  test("is not waited for longer than a node does", () => {
    const rounds = new JobEndRounds();
    rounds.begin("j", ["a", "b"]);
    assert.equal(rounds.answered("j", "a", null), "over");
    assert.equal(rounds.answered("j", "b", 0), "waits");
  });

  test("does not hang on a node that is lost, whose workers may be owners elsewhere", () => {
    const rounds = new JobEndRounds();
    rounds.begin("j", ["a", "b"]);
    rounds.answered("j", "a", 0);
    assert.deepEqual(rounds.nodeLost("b"), ["j"]);
    rounds.begin("j", ["a"]);
    assert.equal(rounds.answered("j", "a", 0), "over");
    rounds.begin("j", ["a", "c"]);
    assert.equal(rounds.answered("j", "a", 0), "waits");
    assert.equal(rounds.answered("j", "c", 0), "again");
    rounds.begin("j", ["a", "c"]);
    rounds.answered("j", "a", 0);
    assert.deepEqual(rounds.nodeLost("c"), ["j"], "also in the last round");
  });

  test("is at once where there is no node", () => {
    assert.equal(new JobEndRounds().begin("j", []), false);
  });
});

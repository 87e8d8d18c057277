import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { type Candidate, chooseToEnd, describeShortage } from "./memory-pressure.ts";

const GIBIBYTE = 1024 ** 3;
const candidate = (workerId: string, group: string, began: number, more: Partial<Candidate> = {}): Candidate => ({ workerId, pid: null, group, began, isRetriable: true, isActor: false, usedBytes: null, ...more });

describe("who is ended when memory is short", () => {
  test("the newest of the owner who has most", () => {
    assert.equal(chooseToEnd([candidate("a", "x", 1), candidate("b", "x", 2), candidate("c", "y", 3)])?.workerId, "b");
  });

  test("of owners who have equally many, the newest of all", () => {
    assert.equal(chooseToEnd([candidate("a", "x", 1), candidate("b", "y", 4), candidate("c", "x", 3), candidate("d", "y", 2)])?.workerId, "b");
  });

  test("what may not run again only when nothing else is left", () => {
    const last = candidate("last", "y", 9, { isRetriable: false });
    assert.equal(chooseToEnd([candidate("a", "x", 1), last, candidate("z", "y", 8, { isRetriable: false })])?.workerId, "a");
    assert.equal(chooseToEnd([last])?.workerId, "last");
    assert.equal(chooseToEnd([]), null);
  });

  test("one whose process has next to nothing is spared, unless all have", () => {
    const small = candidate("small", "x", 5, { usedBytes: 30 * 1024 ** 2 });
    assert.equal(chooseToEnd([small, candidate("large", "x", 1, { usedBytes: GIBIBYTE, isRetriable: false })])?.workerId, "large");
    assert.equal(chooseToEnd([small])?.workerId, "small");
  });
});

test("the reason names what there is, what is in use and by whom, the largest first", () => {
  const processes = [{ pid: 1, what: "the program", usedBytes: 0.5 * GIBIBYTE }, { pid: 2, what: "a worker of tasks", usedBytes: 12 * GIBIBYTE }];
  assert.equal(
    describeShortage({ usedBytes: 15.5 * GIBIBYTE, totalBytes: 16 * GIBIBYTE, where: "this machine" }, 0.95, processes),
    "was ended because memory runs short: 15.5 GiB of the 16.0 GiB of this machine were in use, more than 95 %; most has a worker of tasks (pid 2) 12.0 GiB, the program (pid 1) 512 MiB",
  );
});

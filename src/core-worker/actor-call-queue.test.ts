import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { ActorCallQueue } from "./actor-call-queue.ts";

function startable(queue: ActorCallQueue<string>): string[] {
  const started: string[] = [];
  for (let next = queue.next(); next !== undefined; next = queue.next()) started.push(next);
  return started;
}

describe("the calls of an actor", () => {
  test("(1) start in order once the constructor has run, as many at once as allowed", () => {
    const queue = new ActorCallQueue<string>({});
    for (const call of ["a", "b", "c"]) queue.add(call, null);
    assert.deepEqual(startable(queue), []);
    queue.open(2);
    assert.deepEqual(startable(queue), ["a", "b"]);
    queue.ended(null);
    assert.deepEqual(startable(queue), ["c"]);
    queue.ended(null);
    assert.ok(!queue.isDrained);
    queue.ended(null);
    assert.ok(queue.isDrained);
  });

  test("that are over and run again come before others, and beside those that wait for what they make", () => {
    const queue = new ActorCallQueue<string>({});
    queue.open(1);
    for (const call of ["a", "b"]) queue.add(call, null);
    assert.deepEqual(startable(queue), ["a"]);
    queue.addRepeated("again", null);
    assert.deepEqual(startable(queue), [], "a runs");
    queue.held(null, 1);
    assert.deepEqual(startable(queue), ["again"], "a waits, and b does not overtake it");
    queue.ended(null);
    queue.held(null, -1);
    queue.addRepeated("once more", null);
    queue.ended(null);
    assert.deepEqual(startable(queue), ["once more"]);
    queue.ended(null);
    assert.deepEqual(startable(queue), ["b"]);
    queue.addRepeated("last", null);
    assert.deepEqual(queue.takeWaiting(), ["last"]);
  });

  test("groups have limits of their own and do not wait for each other", () => {
    const queue = new ActorCallQueue<string>({ io: 2, slow: 1 });
    queue.open(1);
    for (const call of ["i1", "i2", "i3"]) queue.add(call, "io");
    for (const call of ["u1", "u2"]) queue.add(call, null);
    for (const call of ["s1", "s2"]) queue.add(call, "slow");
    assert.deepEqual(startable(queue).sort(), ["i1", "i2", "s1", "u1"]);
    queue.ended("slow");
    assert.deepEqual(startable(queue), ["s2"]);
    queue.ended("io");
    queue.ended("io");
    assert.deepEqual(startable(queue), ["i3"]);
    assert.equal(queue.running, 3);
  });

  test("(2) the last call starts after all that came before it, in whatever group, and nothing after it", () => {
    const queue = new ActorCallQueue<string>({ io: 1 });
    queue.open(1);
    queue.add("u1", null);
    queue.add("i1", "io");
    queue.add("i2", "io");
    queue.addLast("last");
    queue.addLast("last again");
    queue.add("late", null);
    assert.deepEqual(startable(queue), ["u1", "i1"]);
    queue.ended(null);
    assert.deepEqual(startable(queue), [], "i2 has not started");
    queue.ended("io");
    assert.deepEqual(startable(queue), ["i2", "last"], "which runs on beside the last call");
    queue.ended("io");
    queue.ended(null);
    assert.ok(queue.isDrained);
    assert.deepEqual(queue.takeWaiting().sort(), ["last again", "late"]);
  });

  test("(3) nothing starts any more once it is stopped; what waits is given out, the last call too", () => {
    const queue = new ActorCallQueue<string>({ io: 1 });
    queue.open(1);
    queue.add("u1", null);
    queue.add("u2", null);
    queue.add("i1", "io");
    queue.addLast("last");
    assert.deepEqual(startable(queue), ["u1", "i1"]);
    queue.stop();
    queue.ended(null);
    queue.ended("io");
    assert.deepEqual(startable(queue), []);
    assert.ok(queue.isDrained);
    assert.deepEqual(queue.takeWaiting(), ["u2", "last"]);
    assert.deepEqual(queue.takeWaiting(), []);
  });
});

test("whatever happens: no group runs more than it may, each starts in order, and nothing is lost", () => {
  const groups = { one: 1, three: 3 } as const;
  const limits = new Map<string | null, number>([[null, 2], ...Object.entries(groups)]);
  const step = fc.oneof(
    { weight: 5, arbitrary: fc.tuple(fc.constant("add" as const), fc.constantFrom(null, "one", "three")) },
    { weight: 4, arbitrary: fc.tuple(fc.constant("end" as const), fc.constantFrom(null, "one", "three")) },
    { weight: 1, arbitrary: fc.tuple(fc.constantFrom("open" as const, "last" as const), fc.constant(null)) },
  );
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60, size: "max" }), (steps) => {
      const queue = new ActorCallQueue<{ id: number; group: string | null }>(groups);
      const running = new Map<string | null, number>();
      const newest = new Map<string | null, number>();
      let added = 0;
      let started = 0;
      let lastId = Number.POSITIVE_INFINITY;
      let isOpen = false;
      for (const [action, group] of steps) {
        if (action === "add") queue.add({ id: ++added, group }, group);
        else if (action === "last") {
          queue.addLast({ id: ++added, group: null });
          lastId = Math.min(lastId, added);
        } else if (action === "open") { isOpen = true; queue.open(2); }
        else if ((running.get(group) ?? 0) > 0) {
          running.set(group, (running.get(group) as number) - 1);
          queue.ended(group);
        }
        for (let next = queue.next(); next !== undefined; next = queue.next()) {
          assert.ok(isOpen);
          started++;
          running.set(next.group, (running.get(next.group) ?? 0) + 1);
          assert.ok(next.id <= lastId, "nothing after the last one");
          if (next.id === lastId) continue;
          assert.ok((running.get(next.group) as number) <= (limits.get(next.group) as number));
          assert.ok(next.id > (newest.get(next.group) ?? 0));
          newest.set(next.group, next.id);
        }
        assert.equal(queue.running, [...running.values()].reduce((sum, count) => sum + count, 0));
      }
      assert.equal(started + queue.takeWaiting().length, added);
    }),
  );
});

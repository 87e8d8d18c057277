import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { plainWorkerKind } from "../protocol/mod.ts";
import { ACTORS_BEFORE_NEXT_HOST, BLOCKED_MS_MAX, SharedHostState, SILENT_MS_MAX, TICK_MS, type SharedHostInstruction } from "./shared-host-state.ts";

const THREAD = plainWorkerKind("thread");
const types = (instructions: readonly SharedHostInstruction[]): string[] => instructions.map(({ type }) => type);
const nobody = (): number => 0;
function hostIdIn(instructions: readonly SharedHostInstruction[]): string {
  const found = instructions.find((instruction) => instruction.type === "openHost");
  assert.ok(found?.type === "openHost", JSON.stringify(instructions));
  return found.hostId;
}

/** One open host w1 with actors a1, a2, …, which has answered. */
function open(actors: number, hostsMax = 1): SharedHostState {
  const state = new SharedHostState(hostsMax);
  const hostId = hostIdIn(state.place("a1", "job", THREAD, "driver"));
  state.hostPlaced(hostId, "w1");
  for (let index = 2; index <= actors; index++) state.place(`a${index}`, "job", THREAD, "driver");
  state.answered("w1");
  return state;
}

function ticks(state: SharedHostState, count: number, running = nobody): SharedHostInstruction[] {
  return Array.from({ length: count }, () => state.tick(running)).flat();
}

describe("hosts of shared actors: the numbered transitions", () => {
  test("(1) (2) the first actor opens a host and is placed with it, and it is asked whether it has got through", () => {
    const state = new SharedHostState(2);
    const opening = state.place("a", "job", THREAD, "driver");
    assert.deepEqual(types(opening), ["openHost"]);
    assert.deepEqual(state.place("b", "job", THREAD, "driver"), [], "which waits for it too");
    assert.deepEqual(state.hostPlaced(hostIdIn(opening), "w1"), [
      { type: "placed", actorId: "a", workerId: "w1", number: 1 },
      { type: "ping", workerId: "w1" },
      { type: "placed", actorId: "b", workerId: "w1", number: 2 },
    ]);
    assert.deepEqual(types(state.place("c", "job", THREAD, "driver")), ["placed"], "one question is enough");
    state.answered("w1");
    assert.deepEqual(types(state.place("d", "job", THREAD, "driver")), ["placed", "ping"]);
  });

  test("(1) where there can be no host, all that wait for it learn so, and the next one tries again", () => {
    const state = new SharedHostState(1);
    const hostId = hostIdIn(state.place("a", "job", THREAD, "driver"));
    state.place("b", "job", THREAD, "driver");
    assert.deepEqual(state.hostRefused(hostId), ["a", "b"]);
    assert.ok(!state.isHost(hostId));
    assert.deepEqual(types(state.place("c", "job", THREAD, "driver")), ["openHost"]);
  });

  test("(1) what was cancelled is not placed", () => {
    const state = new SharedHostState(1);
    const hostId = hostIdIn(state.place("a", "job", THREAD, "driver"));
    state.place("b", "job", THREAD, "driver");
    state.cancel("a");
    assert.deepEqual(types(state.hostPlaced(hostId, "w1")), ["placed", "ping"]);
  });

  test("(1) another host is opened when each has enough; meanwhile the open ones take more, afterwards it catches up", () => {
    const state = open(ACTORS_BEFORE_NEXT_HOST, 2);
    const next = state.place("more", "job", THREAD, "driver");
    assert.deepEqual(types(next).sort(), ["openHost", "ping", "placed"]);
    assert.deepEqual(types(state.place("even more", "job", THREAD, "driver")), ["placed"], "one at a time");
    state.hostPlaced(hostIdIn(next), "w2");
    for (let index = 0; index < ACTORS_BEFORE_NEXT_HOST + 2; index++) {
      const placed = state.place(`b${index}`, "job", THREAD, "driver").find(({ type }) => type === "placed");
      assert.ok(placed?.type === "placed" && placed.workerId === "w2");
    }
    assert.ok(!types(state.place("last", "job", THREAD, "driver")).includes("openHost"), "and no more than hostsMax");
  });

  test("(1) jobs and kinds of worker do not share hosts", () => {
    const state = open(1);
    assert.deepEqual(types(state.place("d", "job", THREAD, null)), ["openHost"], "what a detached one starts goes on when the program has left");
    assert.deepEqual(types(state.place("b", "other job", THREAD, "driver")), ["openHost"]);
    assert.deepEqual(types(state.place("c", "job", plainWorkerKind("process"), "driver")), ["openHost"]);
  });

  test("(3) a host without actors is asked to end after a while, unless one comes; it may refuse", () => {
    const state = open(1);
    assert.ok(!state.needsTicks());
    state.actorEnded("w1", "a1");
    assert.ok(state.needsTicks());
    assert.deepEqual(ticks(state, 1), []);
    state.place("b", "job", THREAD, "driver");
    state.answered("w1");
    assert.ok(!state.needsTicks());
    state.actorEnded("w1", "b");
    assert.deepEqual(types(ticks(state, 5)), ["retire"]);
    assert.deepEqual(types(state.place("c", "job", THREAD, "driver")), ["openHost"], "it may be gone any moment");
    state.retireRefused("w1");
    assert.deepEqual(types(ticks(state, 2)), ["retire"]);
  });

  test("(4) a silent host is reported once with who runs there, and gets no more actors until it answers", () => {
    const state = open(3);
    assert.deepEqual(state.callsWait("w1"), [{ type: "ping", workerId: "w1" }]);
    assert.deepEqual(state.callsWait("w1"), []);
    assert.deepEqual(ticks(state, SILENT_MS_MAX / TICK_MS, () => 2), []);
    assert.deepEqual(state.tick(() => 2), [{ type: "silent", workerId: "w1", actorId: "a2", actorCount: 3 }]);
    assert.deepEqual(state.tick(() => 2), []);
    assert.deepEqual(types(state.place("elsewhere", "job", THREAD, "driver")), ["openHost"]);
    state.answered("w1");
    assert.ok(!state.snapshot().some(({ isSilent }) => isSilent));
    assert.deepEqual(types(state.place("here", "job", THREAD, "driver")), ["placed", "ping"]);
  });

  test("(5) (6) one that is silent for too long is ended, and who ran there starts again alone", () => {
    const state = open(2);
    state.callsWait("w1");
    const instructions = ticks(state, BLOCKED_MS_MAX / TICK_MS + 1, () => 1);
    assert.deepEqual(types(instructions), ["silent", "endHost"]);
    assert.deepEqual(instructions.at(-1), { type: "endHost", workerId: "w1", actorId: "a1" });
    assert.equal(state.workerLost("w1", null, 1), "a1");
    const own = hostIdIn(state.place("a1", "job", THREAD, "driver"));
    assert.deepEqual(types(state.place("a2", "job", THREAD, "driver")), ["openHost"], "not with the troublemaker");
    assert.deepEqual(types(state.hostPlaced(own, "w2")), ["placed", "ping"]);
  });

  test("(6) whoever is known to have ended a host is the troublemaker, before who was seen running", () => {
    const state = open(2);
    assert.equal(state.workerLost("w1", "a2", 1), "a2");
    assert.deepEqual(types(state.place("a1", "job", THREAD, "driver")), ["openHost"]);
    assert.deepEqual(types(state.place("a2", "job", THREAD, "driver")), ["openHost"]);
    assert.equal(state.workerLost("unknown", null, 1), null);
  });

  test("(6) who has made trouble on another node gets a host of its own here", () => {
    const state = open(2);
    state.noteTroublemaker("b1");
    assert.deepEqual(types(state.place("b1", "job", THREAD, "driver")), ["openHost"]);
    assert.deepEqual(types(state.place("b2", "job", THREAD, "driver")), ["placed", "ping"]);
  });

  test("who was told to end is awaited until it has, or its host is lost", () => {
    const state = open(2);
    for (const ends of [() => state.actorEnded("w1", "a1"), () => state.workerLost("w1", null, 0)]) {
      assert.equal(state.areEnding("job"), false);
      state.ending("w1", "a1");
      state.ending("w1", "a2");
      state.actorEnded("w1", "a2");
      assert.deepEqual([state.areEnding("job"), state.areEnding("other")], [true, false]);
      ends();
      state.place("a1", "job", THREAD, "driver");
      state.place("a2", "job", THREAD, "driver");
    }
    assert.equal(state.areEnding("job"), false);
  });
});

test("random histories: every actor is placed once where there is a host, and the count of hosts stays in its bound", () => {
  const event = fc.oneof(
    fc.record({ kind: fc.constant("place" as const) }), fc.record({ kind: fc.constant("opened" as const) }),
    fc.record({ kind: fc.constantFrom("end" as const, "lose" as const, "answer" as const, "wait" as const), which: fc.nat(20) }), fc.record({ kind: fc.constant("tick" as const) }),
  );
  fc.assert(fc.property(fc.array(event, { maxLength: 200 }), fc.integer({ min: 1, max: 3 }), (events, hostsMax) => {
    const state = new SharedHostState(hostsMax);
    const opening: string[] = [];
    const placed = new Map<string, string>();
    const workers: string[] = [];
    let [actors, made, hasTicked] = [0, 0, false];
    const act = (instructions: readonly SharedHostInstruction[]): void => {
      for (const instruction of instructions) {
        if (instruction.type === "openHost") opening.push(instruction.hostId);
        if (instruction.type === "placed") {
          assert.ok(!placed.has(instruction.actorId) && workers.includes(instruction.workerId));
          placed.set(instruction.actorId, instruction.workerId);
        }
        if (instruction.type === "endHost") lose(instruction.workerId);
      }
    };
    const lose = (workerId: string): void => {
      workers.splice(workers.indexOf(workerId), 1);
      state.workerLost(workerId, null, 0);
      for (const [actorId, host] of placed) if (host === workerId) placed.delete(actorId);
    };
    for (const step of events) {
      const worker = "which" in step ? workers[step.which % Math.max(1, workers.length)] : undefined;
      if (step.kind === "place") act(state.place(`a${actors++}`, "job", THREAD, "driver"));
      else if (step.kind === "tick") act(state.tick(nobody));
      else if (step.kind === "opened") {
        const hostId = opening.shift();
        if (hostId !== undefined) {
          workers.push(`w${++made}`);
          act(state.hostPlaced(hostId, `w${made}`));
        }
      } else if (worker !== undefined && step.kind === "end") {
        const [actorId] = [...placed].find(([, host]) => host === worker) ?? [];
        if (actorId !== undefined && placed.delete(actorId)) state.actorEnded(worker, actorId);
      } else if (worker !== undefined && step.kind === "lose") lose(worker);
      else if (worker !== undefined && step.kind === "answer") state.answered(worker);
      else if (worker !== undefined) act(state.callsWait(worker));
      if (step.kind === "tick") hasTicked = true;
      assert.ok(state.snapshot().reduce((sum, host) => sum + (host.workerId === null ? 0 : host.actors), 0) === placed.size);
      // Only a host that is silent, or has been asked to end, is replaced.
      if (!hasTicked) assert.ok(state.snapshot().length <= hostsMax);
    }
  }));
});

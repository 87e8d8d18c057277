import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { type ActorSpec, plainWorkerKind, type TaskErrorRecord, type WorkerDeath } from "../protocol/mod.ts";
import { type ActorInstruction, ActorState } from "./actor-state.ts";

function specOf(actorId: string, details: Partial<ActorSpec> = {}): ActorSpec {
  return {
    actorId, ownerId: "owner", jobId: "j", className: "Counter", unitId: "u", units: [{ id: "u", name: "Counter", blob: new Uint8Array(), needs: [], descriptors: [], kind: "class", isAsync: false, isGenerator: false, where: "", origin: null }],
    args: [], methods: {}, rules: { maxTaskRetries: 0, maxPendingCalls: -1, groups: {}, allowsOvertaking: false }, name: null, namespace: "n", isDetached: false, getIfExists: false, maxRestarts: 0, maxConcurrency: null, resources: {}, workerKind: plainWorkerKind("thread"), strategy: null, bundle: null, isShared: false, parentId: null,
    ...details,
  };
}
const crash: WorkerDeath = { reason: "exited with code 7", pid: 1, isRetryable: true };
const thrown: TaskErrorRecord = { functionName: "new Counter", taskId: "a", pid: 1, message: "no\nmore", stack: "Error: no", classNames: ["Error"], cause: null };
const types = (instructions: readonly ActorInstruction[]): string[] => instructions.map(({ type }) => type);
type Publish = ActorInstruction & { readonly type: "publish" };
function published(instructions: readonly ActorInstruction[]): Publish {
  const all = instructions.filter((instruction): instruction is Publish => instruction.type === "publish");
  assert.equal(all.length, 1, `one publication: ${JSON.stringify(instructions)}`);
  return all[0] as Publish;
}

/** An actor on worker w1, created by "owner". */
function alive(details: Partial<ActorSpec> = {}): ActorState {
  const state = new ActorState();
  state.create(specOf("a", details));
  state.placed("a", "w1", 0);
  state.started("a", null);
  assert.equal(state.phaseOf("a"), "ALIVE");
  return state;
}

describe("actors: the numbered transitions", () => {
  test("(1) creation asks for a place, once for an id", () => {
    const state = new ActorState();
    const spec = specOf("a");
    assert.deepEqual(state.create(spec), { instructions: [{ type: "place", spec }], error: null });
    assert.deepEqual(state.create(spec), { instructions: [], error: null });
    assert.equal(state.phaseOf("a"), "PENDING_CREATION");
  });

  test("(1) a taken name is an error, in its namespace alone", () => {
    const state = alive({ name: "it" });
    const { instructions, error } = state.create(specOf("b", { name: "it" }));
    assert.deepEqual(instructions, []);
    assert.equal(error?.kind, "ActorAlreadyExistsError");
    assert.equal(state.phaseOf("b"), undefined);
    assert.equal(state.create(specOf("c", { name: "it", namespace: "elsewhere" })).error, null);
  });

  test("(1) with getIfExists the new id stands for the actor that has the name", () => {
    const state = alive({ name: "it" });
    const { instructions, error } = state.create(specOf("b", { name: "it", getIfExists: true, ownerId: "other" }));
    assert.equal(error, null);
    assert.deepEqual(instructions, [
      { type: "publish", watchers: ["other"], state: { actorId: "b", phase: "ALIVE", workerId: "w1", number: 0, death: null, aliasOf: state.findByName("it", "n") } },
    ]);
    assert.equal(state.phaseOf("b"), "ALIVE");
    assert.deepEqual(state.outOfScope("b"), [], "whoever made the alias does not own the actor");
    assert.deepEqual(types(state.kill("b", true)), ["publish", "endWorker"], "but may kill it");
    assert.equal(state.phaseOf("a"), "DEAD");
  });

  test("(2) (3) a placed actor is started, and published when its constructor has run", () => {
    const state = new ActorState();
    const spec = specOf("a");
    state.create(spec);
    assert.deepEqual(state.placed("a", "w1", 0), [{ type: "start", workerId: "w1", spec, number: 0, wasRestarted: false }]);
    assert.equal(published(state.watch("watcher", "a", "owner")).state.workerId, null, "nobody calls it yet");
    const publication = published(state.started("a", null));
    assert.deepEqual([...publication.watchers].sort(), ["owner", "watcher"]);
    assert.deepEqual(publication.state, { actorId: "a", phase: "ALIVE", workerId: "w1", number: 0, death: null, aliasOf: null });
  });

  test("(2) a placement that is refused is its end", () => {
    const state = new ActorState();
    state.create(specOf("a", { name: "it" }));
    const { death } = published(state.placementRefused("a", { kind: "ActorUnschedulableError", message: "needs 9 CPU", subjectId: "a" })).state;
    assert.deepEqual(death, { message: "needs 9 CPU", reason: "notCreated", creation: null, refusal: "ActorUnschedulableError" });
    assert.equal(state.findByName("it", "n"), undefined);
  });

  test("(2) a worker that was found for an actor that ended meanwhile is ended", () => {
    const state = new ActorState();
    state.create(specOf("a"));
    state.kill("a", true);
    assert.deepEqual(types(state.placed("a", "w1", 0)), ["endWorker"]);
  });

  test("(4) a constructor that throws ends the actor with what it threw, restarts or not", () => {
    const state = new ActorState();
    state.create(specOf("a", { maxRestarts: 5 }));
    state.placed("a", "w1", 0);
    const instructions = state.started("a", thrown);
    assert.deepEqual(types(instructions), ["publish", "endWorker"]);
    assert.deepEqual(published(instructions).state.death, { message: "its constructor threw no", reason: "constructorThrew", creation: thrown, refusal: null });
    assert.deepEqual(state.workerLost("w1", crash), []);
    assert.equal(state.phaseOf("a"), "DEAD");
  });

  test("(5) kill ends the worker at once, or the search for one", () => {
    const instructions = alive({ maxRestarts: 5 }).kill("a", true);
    assert.equal(published(instructions).state.phase, "DEAD");
    assert.deepEqual(instructions[1], { type: "endWorker", workerId: "w1", graceful: false, reason: "it was killed with kill()" });

    const pending = new ActorState();
    pending.create(specOf("a"));
    assert.deepEqual(types(pending.kill("a", true)), ["publish", "cancelPlacement"]);
    assert.deepEqual(pending.kill("a", true), [], "once");
  });

  test("(5) with noRestart: false it may start again, as often as it may", () => {
    const state = alive({ maxRestarts: 1 });
    assert.deepEqual(types(state.kill("a", false)), ["endWorker"]);
    assert.deepEqual(types(state.workerLost("w1", crash)), ["publish", "place"]);
    assert.equal(state.phaseOf("a"), "RESTARTING");
    assert.deepEqual(types(state.kill("a", false)), ["publish", "cancelPlacement"], "no restart is left");
  });

  test("(5) killed with noRestart: false while it waits for a worker, the start under way is the restart", () => {
    const state = new ActorState();
    state.create(specOf("a", { maxRestarts: 1 }));
    assert.deepEqual(state.kill("a", false), []);
    state.placed("a", "w1", 0);
    state.started("a", null);
    assert.equal(state.phaseOf("a"), "ALIVE");
    state.workerLost("w1", crash);
    assert.equal(state.phaseOf("a"), "DEAD");
  });

  test("(6) an actor that ends itself is not restarted, and says why", () => {
    const state = alive({ maxRestarts: -1 });
    assert.deepEqual(state.exiting("a", "it ended itself with exitActor()"), []);
    const { state: record } = published(state.workerLost("w1", crash));
    assert.equal(record.death?.message, "it ended itself with exitActor()");
  });

  test("(7) without a handle the worker ends after the calls it has, unless it is detached", () => {
    const instructions = alive().outOfScope("a");
    assert.deepEqual(instructions[1], { type: "endWorker", workerId: "w1", graceful: true, reason: "no handle to it was left" });
    assert.deepEqual(alive({ isDetached: true }).outOfScope("a"), []);
  });

  test("(8) a lost worker restarts it as often as maxRestarts says", () => {
    const state = alive({ maxRestarts: 2 });
    for (const worker of ["w1", "w2"]) {
      const instructions = state.workerLost(worker, crash);
      assert.deepEqual(types(instructions), ["publish", "place"]);
      assert.equal(published(instructions).state.phase, "RESTARTING");
      const next = worker === "w1" ? "w2" : "w3";
      const [start] = state.placed("a", next, 0);
      assert.ok(start?.type === "start" && start.wasRestarted && start.spec.units.length === 1, "with the class and the arguments");
      assert.equal(published(state.started("a", null)).state.workerId, next);
    }
    assert.equal(published(state.workerLost("w3", crash)).state.death?.message, "its worker exited with code 7");
    assert.deepEqual(state.workerLost("w3", crash), [], "told twice, acted on once");
  });

  test("(9) an actor ends with its owner; a detached one does not", () => {
    const instructions = alive().workerLost("owner", crash);
    assert.deepEqual(types(instructions), ["publish", "endWorker"]);
    assert.match(String(published(instructions).state.death?.message), /its owner \(worker owner\) ended: exited with code 7/);
    const detached = alive({ isDetached: true });
    assert.deepEqual(detached.workerLost("owner", crash), []);
    assert.equal(detached.phaseOf("a"), "ALIVE");
  });

  test("(9) a worker may have been both: the actor's and its owner", () => {
    const state = alive({ ownerId: "w1", maxRestarts: -1 });
    assert.deepEqual(types(state.workerLost("w1", crash)), ["publish"]);
    assert.equal(state.phaseOf("a"), "DEAD");
  });

  describe("(10) shared actors", () => {
    const shared = (actorId: string, details: Partial<ActorSpec> = {}): ActorSpec => specOf(actorId, { isShared: true, ...details });
    function aliveTogether(...specs: ActorSpec[]): ActorState {
      const state = new ActorState();
      specs.forEach((spec, index) => {
        state.create(spec);
        state.placed(spec.actorId, "w1", index + 1);
        state.started(spec.actorId, null);
      });
      return state;
    }

    test("share a worker, and each is published with its number", () => {
      const state = aliveTogether(shared("a"), shared("b"));
      assert.deepEqual(published(state.watch("watcher", "b", "owner")).state, { actorId: "b", phase: "ALIVE", workerId: "w1", number: 2, death: null, aliasOf: null });
    });

    test("are ended alone: killed, out of scope, after their constructor threw", () => {
      const state = aliveTogether(shared("a"), shared("b"), shared("c"));
      assert.deepEqual(state.kill("a", true).at(-1), { type: "endShared", workerId: "w1", actorId: "a", graceful: false, mayRestart: false, reason: "it was killed with kill()", endReason: "killed" });
      assert.deepEqual(state.outOfScope("b").at(-1), { type: "endShared", workerId: "w1", actorId: "b", graceful: true, mayRestart: false, reason: "no handle to it was left", endReason: "outOfScope" });
      assert.equal(state.phaseOf("c"), "ALIVE");
      state.create(shared("d"));
      state.placed("d", "w1", 4);
      assert.deepEqual(types(state.started("d", thrown)), ["publish"], "its worker has dropped it already");
      assert.equal(state.phaseOf("c"), "ALIVE");
    });

    test("die when their worker says so, with the reason that they gave, or that it gives", () => {
      const state = aliveTogether(shared("a"), shared("b"));
      state.exiting("a", "it ended itself with exitActor()");
      assert.equal(published(state.ended("a", "whatever")).state.death?.message, "it ended itself with exitActor()");
      assert.equal(published(state.ended("b", "it was killed with kill()")).state.death?.message, "it was killed with kill()");
      assert.deepEqual(state.ended("b", "again"), []);
      assert.deepEqual(state.ended("never", "seen"), []);
    });

    test("restart alone after kill with noRestart: false, as often as they may", () => {
      const state = aliveTogether(shared("a", { maxRestarts: 1 }), shared("b"));
      assert.deepEqual(state.kill("a", false), [{ type: "endShared", workerId: "w1", actorId: "a", graceful: false, mayRestart: true, reason: "it was killed with kill()", endReason: "killed" }]);
      assert.deepEqual(types(state.ended("a", "it was killed with kill()")), ["publish", "place"]);
      assert.equal(state.phaseOf("a"), "RESTARTING");
      const [start] = state.placed("a", "w2", 7);
      assert.ok(start?.type === "start" && start.wasRestarted && start.number === 7);
      state.started("a", null);
      state.kill("a", false);
      assert.deepEqual(types(state.ended("a", "it was killed with kill()")), ["publish"]);
      assert.equal(state.phaseOf("a"), "DEAD");
      assert.equal(state.phaseOf("b"), "ALIVE");
    });

    test("die all with their worker, but for those that restart", () => {
      const state = aliveTogether(shared("a"), shared("b", { maxRestarts: 1 }), shared("c"));
      const instructions = state.workerLost("w1", crash);
      assert.deepEqual([state.phaseOf("a"), state.phaseOf("b"), state.phaseOf("c")], ["DEAD", "RESTARTING", "DEAD"]);
      assert.equal(instructions.filter(({ type }) => type === "place").length, 1);
    });

    test("take with them what they have created, though its owner's worker lives on", () => {
      const state = aliveTogether(shared("parent"), shared("child", { parentId: "parent", ownerId: "w1" }), specOf("detached", { parentId: "parent", ownerId: "w1", isDetached: true }));
      state.create(specOf("grown", { parentId: "parent", ownerId: "w1" }));
      state.placed("grown", "w2", 0);
      state.started("grown", null);
      const instructions = state.kill("parent", true);
      assert.deepEqual([state.phaseOf("child"), state.phaseOf("grown"), state.phaseOf("detached")], ["DEAD", "DEAD", "ALIVE"]);
      assert.ok(instructions.some((instruction) => instruction.type === "endWorker" && instruction.workerId === "w2"));
      assert.ok(instructions.some((instruction) => instruction.type === "endShared" && instruction.actorId === "child"));
    });

    test("keep the arguments of their constructor only if they may need them again", () => {
      const state = new ActorState();
      const [once, again] = [shared("once", { args: [1] }), shared("again", { args: [1], maxRestarts: 1 })];
      for (const spec of [once, again]) {
        state.create(spec);
        state.placed(spec.actorId, "w1", 1);
        state.started(spec.actorId, null);
      }
      state.kill("again", false);
      const place = state.ended("again", "killed").find(({ type }) => type === "place");
      assert.ok(place?.type === "place");
      assert.deepEqual(place.spec.args, [1]);
      assert.equal(place.spec.className, "Counter");
    });
  });
});

describe("actors: names and watchers", () => {
  test("a name ends with its actor and can be taken again", () => {
    const state = alive({ name: "it" });
    assert.equal(state.findByName("it", "n")?.actorId, "a");
    assert.equal(state.findByName("it", "m"), undefined);
    assert.deepEqual(state.listNames(null), [{ name: "it", namespace: "n" }]);
    assert.deepEqual(state.listNames("m"), []);
    state.kill("a", true);
    assert.deepEqual(state.listNames(null), []);
    assert.equal(state.create(specOf("b", { name: "it" })).error, null);
    state.workerLost("w1", crash);
    assert.equal(state.findByName("it", "n")?.actorId, "b", "the old worker's end takes no name away");
  });

  test("namespaces and names are kept apart, whatever they contain", () => {
    const state = alive({ namespace: 'a","b', name: "c" });
    assert.equal(state.findByName('b","c', "a"), undefined);
  });

  test("every death has its reason", () => {
    const reasonAfter = (state: ActorState) => published(state.watch("late", "a", "owner")).state.death?.reason;
    const ends: readonly [reason: string, maxRestarts: number, end: (state: ActorState) => void][] = [
      ["killed", 1, (state) => void state.kill("a", true)],
      ["killed", 0, (state) => { state.kill("a", false); state.workerLost("w1", crash); }],
      ["exited", 1, (state) => { state.exiting("a", "it ended itself"); state.workerLost("w1", crash); }],
      ["outOfScope", 1, (state) => void state.outOfScope("a")],
      ["ownerEnded", 1, (state) => void state.workerLost("owner", crash)],
      ["workerLost", 0, (state) => void state.workerLost("w1", crash)],
      ["workerLost", 1, (state) => { state.kill("a", false); state.workerLost("w1", crash); state.placed("a", "w2", 0); state.started("a", null); state.workerLost("w2", crash); }],
      ["constructorThrew", 1, (state) => { state.workerLost("w1", crash); state.placed("a", "w2", 0); state.started("a", thrown); }],
      ["notCreated", 1, (state) => { state.workerLost("w1", crash); state.placementRefused("a", { kind: "RuntimeEnvSetupError", message: "no", subjectId: "a" }); }],
    ];
    for (const [reason, maxRestarts, end] of ends) {
      const state = alive({ maxRestarts });
      end(state);
      assert.equal(reasonAfter(state), reason);
    }
    const early = new ActorState();
    early.kill("a", true);
    early.create(specOf("a"));
    assert.equal(reasonAfter(early), "killed");
  });

  test("a name is kept over a restart", () => {
    const state = alive({ name: "it", maxRestarts: 1 });
    state.workerLost("w1", crash);
    assert.equal(state.findByName("it", "n")?.actorId, "a");
  });

  test("a dead actor's class and arguments are dropped, its reason is kept for late callers", () => {
    const state = alive();
    state.kill("a", true);
    assert.equal(published(state.watch("late", "a", "owner")).state.death?.message, "it was killed with kill()");
  });

  test("who watches an actor that is not created yet learns of it when it is", () => {
    const state = new ActorState();
    assert.deepEqual(state.watch("early", "a", "owner"), [{ type: "askOwner", ownerId: "owner", actorId: "a" }]);
    assert.deepEqual(state.watch("earlier", "a", "owner"), [], "the owner is asked once");
    state.create(specOf("a"));
    state.placed("a", "w1", 0);
    assert.deepEqual([...published(state.started("a", null)).watchers].sort(), ["earlier", "early", "owner"]);
  });

  test("or that it never will be: by the owner's word, or by its end", () => {
    const death = { message: "an argument failed", reason: "notCreated" as const, creation: null, refusal: null };
    const state = new ActorState();
    state.watch("early", "a", "owner");
    assert.deepEqual(published(state.notCreated("a", death)).state, { actorId: "a", phase: "DEAD", workerId: null, number: 0, death, aliasOf: null });
    assert.deepEqual(state.notCreated("a", death), []);
    state.watch("early", "b", "owner");
    assert.match(String(published(state.workerLost("owner", crash)).state.death?.message), /ended before it created it/);
  });

  test("an actor that is killed before it is created never starts", () => {
    const state = new ActorState();
    assert.deepEqual(state.kill("a", true), []);
    assert.equal(published(state.create(specOf("a")).instructions).state.phase, "DEAD");
  });

  test("events about actors that are not known do nothing", () => {
    const state = new ActorState();
    for (const instructions of [state.outOfScope("x"), state.exiting("x", "r"), state.workerLost("x", crash)]) assert.deepEqual(instructions, []);
  });
});

test("actors: whatever happens, dead ones stay dead, names are unique, and no worker is forgotten", () => {
  const event = fc.oneof(
    fc.tuple(fc.constant("create" as const), fc.nat({ max: 30 }), fc.constantFrom(null, "x", "y"), fc.boolean(), fc.integer({ min: -1, max: 2 })),
    fc.tuple(fc.constantFrom("place" as const, "start" as const, "startFails" as const, "exit" as const, "kill" as const, "killSoftly" as const, "scope" as const, "lose" as const), fc.nat({ max: 30 })),
  );
  fc.assert(
    fc.property(fc.array(event, { maxLength: 100, size: "max" }), (events) => {
      const state = new ActorState();
      const waiting = new Set<string>();
      const hosts = new Map<string, string>();
      const constructing = new Set<string>();
      const ending = new Set<string>();
      const dead = new Set<string>();
      const known = new Set<string>();
      let nextWorker = 0;
      const act = (instructions: readonly ActorInstruction[]): void => {
        for (const instruction of instructions) {
          if (instruction.type === "place") waiting.add(instruction.spec.actorId);
          if (instruction.type === "cancelPlacement") waiting.delete(instruction.actorId);
          if (instruction.type === "endWorker") ending.add(instruction.workerId);
          if (instruction.type === "publish") {
            const actorId = instruction.state.aliasOf?.actorId ?? instruction.state.actorId;
            assert.equal(instruction.state.phase === "ALIVE", instruction.state.workerId !== null, "calls go to live actors");
            if (instruction.state.phase === "DEAD") dead.add(actorId);
            else assert.ok(!dead.has(actorId), "the dead stay dead");
          }
        }
      };
      const lose = (workerId: string): void => {
        hosts.delete(workerId);
        constructing.delete(workerId);
        ending.delete(workerId);
        act(state.workerLost(workerId, crash));
      };
      for (const [what, index, name, getIfExists, maxRestarts] of events as [string, number, string | null, boolean, number][]) {
        const workers = [...hosts.keys()];
        const workerId = workers[index % Math.max(1, workers.length)];
        const actorId = [...known][index % Math.max(1, known.size)];
        if (what === "create") {
          known.add(`a${index}`);
          act(state.create(specOf(`a${index}`, { name, getIfExists: getIfExists && name !== null, maxRestarts })).instructions);
        } else if (what === "place") {
          const [first] = waiting;
          if (first === undefined) continue;
          waiting.delete(first);
          const host = `w${nextWorker++}`;
          hosts.set(host, first);
          constructing.add(host);
          act(state.placed(first, host, 0));
        } else if (what === "start" || what === "startFails") {
          const [host] = constructing;
          if (host === undefined) continue;
          constructing.delete(host);
          act(state.started(hosts.get(host) as string, what === "start" ? null : thrown));
        } else if (what === "lose") {
          if (workerId !== undefined) lose(workerId);
        } else if (actorId !== undefined) {
          if (what === "exit") act(state.exiting(actorId, "it ended itself"));
          if (what === "kill") act(state.kill(actorId, true));
          if (what === "killSoftly") act(state.kill(actorId, false));
          if (what === "scope") act(state.outOfScope(actorId));
        }
        const names = state.listNames(null).map((entry) => `${entry.namespace}/${entry.name}`);
        assert.equal(new Set(names).size, names.length);
        for (const [host, hosted] of hosts) if (state.phaseOf(hosted) === "DEAD") assert.ok(ending.has(host), "the worker of a dead actor is told to end");
        for (const actor of waiting) assert.notEqual(state.phaseOf(actor), "DEAD", "nobody looks for a worker for a dead actor");
      }
    }),
    { numRuns: 500 },
  );
});

describe("(11) actors of a node that drains", () => {
  const NODE = "aaaaaaaa";
  const here = `${NODE}000000000001`;
  const drained: WorkerDeath = { reason: "was on a node that was drained", pid: 0, isRetryable: true, isNodeLost: true, isNodeDrained: true };
  function living(details: Partial<ActorSpec> = {}): ActorState {
    const state = new ActorState();
    state.create(specOf("a", details));
    state.placed("a", here, 0);
    state.started("a", null);
    return state;
  }

  test("move if they may restart, after which all of their restarts are left", () => {
    const state = living({ maxRestarts: 1 });
    const moves = state.nodeDrains(NODE);
    assert.deepEqual(types(moves), ["publish", "move"]);
    assert.equal(published(moves).state.phase, "RESTARTING");
    assert.deepEqual(state.nodeDrains(NODE), [], "told twice");
    assert.deepEqual(types(state.workerLost(here, { reason: "moved", pid: 1, isRetryable: true })), ["publish", "place"]);
    state.placed("a", "w2", 0);
    state.started("a", null);
    assert.deepEqual(types(state.workerLost("w2", crash)), ["publish", "place"], "the one that it has");
    state.placed("a", "w3", 0);
    state.started("a", null);
    assert.equal(published(state.workerLost("w3", crash)).state.phase, "DEAD");
  });

  test("also those without a restart left, but not those that may never restart", () => {
    const state = living({ maxRestarts: 1 });
    state.workerLost(here, crash);
    state.placed("a", here, 0);
    state.started("a", null);
    assert.deepEqual(types(state.nodeDrains(NODE)), ["publish", "move"]);
    assert.deepEqual(living().nodeDrains(NODE), []);
    assert.deepEqual(living({ maxRestarts: 1 }).nodeDrains("bbbbbbbb"), [], "of another node");
  });

  test("restart at no cost, too, if their node ends before they have moved", () => {
    const state = living({ maxRestarts: 1 });
    state.nodeDrains(NODE);
    assert.deepEqual(types(state.workerLost(here, drained)), ["publish", "place"]);
    assert.equal(published(living().workerLost(here, drained)).state.phase, "DEAD", "this one may not");
  });

  test("that have not begun to start begin elsewhere; those that have move when they are there", () => {
    const state = new ActorState();
    state.create(specOf("new"));
    state.create(specOf("starting", { maxRestarts: -1 }));
    state.placed("starting", here, 0);
    assert.deepEqual(state.nodeDrains(NODE), []);
    assert.deepEqual(types(state.placed("new", `${NODE}000000000002`, 0)), ["endWorker", "place"]);
    assert.deepEqual(types(state.started("starting", null)), ["publish", "publish", "move"]);
  });

  test("that are killed on the way are dead", () => {
    const state = living({ maxRestarts: -1 });
    state.nodeDrains(NODE);
    assert.deepEqual(types(state.kill("a", true)), ["publish", "endWorker"]);
    assert.deepEqual(state.workerLost(here, crash), []);
  });

  test("a node that comes again drains no more", () => {
    const state = living({ maxRestarts: -1 });
    state.nodeDrains(NODE);
    state.workerLost(here, drained);
    state.nodeGone(NODE);
    state.placed("a", here, 0);
    assert.deepEqual(types(state.started("a", null)), ["publish"]);
  });
});

import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { AwaitRecord, NodeWaits, PendingRecord, RunRecord, WaitsSurvey } from "../protocol/mod.ts";
import { Explanations } from "./explanation.ts";
import { actorKey, groupKey, taskKey, WaitGraph } from "./wait-graph.ts";

const NODE = "aaaaaaaa00000001";
const DRIVER = "aaaaaaaa000000000001";

function pending(taskSequence: number, rest: Partial<PendingRecord> = {}): PendingRecord {
  return { taskSequence, name: `t${taskSequence}`, callSite: `main.ts:${taskSequence}:1`, makes: [`object ${taskSequence}`], missing: [], actorId: null, workerId: null, isBetweenRuns: false, behind: null, demand: null, ...rest };
}
function run(ownerId: string, taskSequence: number, rest: Partial<RunRecord> = {}): RunRecord {
  return { ownerId, taskSequence, name: `t${taskSequence}`, actorId: null, group: null, isStarted: true, isPaused: false, awaits: [], ...rest };
}
const all = (...missing: string[]): AwaitRecord => ({ missing, missingCount: missing.length, needed: missing.length, endsByItself: false });
const demand = (resources: Record<string, number>, rest: Partial<NonNullable<PendingRecord["demand"]>> = {}): NonNullable<PendingRecord["demand"]> => ({ key: "k", resources, groupId: null, wasTold: false, ...rest });
function node(workers: readonly { id: string; pending?: PendingRecord[]; runs?: RunRecord[] }[], rest: Partial<NodeWaits> = {}): NodeWaits {
  return { nodeId: NODE, totals: { CPU: 40_000 }, available: { CPU: 10_000 }, isDraining: false, demands: [], placements: [], roomWaits: [], unansweredWorkerIds: [], workers: workers.map(({ id, pending: own = [], runs = [] }) => ({ workerId: id, pending: own, runs })), ...rest };
}
function graphOf(nodes: readonly NodeWaits[], rest: Partial<WaitsSurvey> = {}): WaitGraph {
  return new WaitGraph({ nodes, actors: [], groups: [], ...rest });
}
function explained(nodes: readonly NodeWaits[], rest: Partial<WaitsSurvey> = {}): Explanations {
  const graph = graphOf(nodes, rest);
  return new Explanations(graph, nodes, graph.cycles());
}

/** Ping.f (1, of the driver) calls Pong.g (2, of Ping's worker), which calls back (3, of Pong's worker). */
function pingPong({ awaited = all("object 3"), isQueued = true, group = null as string | null } = {}): NodeWaits[] {
  return [
    node([
      { id: DRIVER, pending: [pending(1, { actorId: "ping", workerId: "P", name: "Ping.f" })] },
      { id: "P", pending: [pending(2, { actorId: "pong", workerId: "Q", name: "Pong.g" })], runs: [run(DRIVER, 1, { actorId: "ping", awaits: [all("object 2")] }), run("Q", 3, { actorId: "ping", isStarted: !isQueued, group })] },
    ]),
    node([{ id: "Q", pending: [pending(3, { actorId: "ping", workerId: "P", name: "Ping.h" })], runs: [run("P", 2, { actorId: "pong", awaits: [awaited] })] }], { nodeId: "bbbbbbbb00000001" }),
  ];
}

describe("actors that wait for each other", () => {
  test("are a cycle, which names each actor, method and call", () => {
    const found = explained(pingPong());
    assert.deepEqual(found.graph.cycles().map((cycle) => [...cycle].sort()), [[taskKey(DRIVER, 1), taskKey("P", 2), taskKey("Q", 3)].sort()]);
    const [reason] = found.of([taskKey(DRIVER, 1)]);
    assert.equal(reason?.reason, "cycle");
    assert.deepEqual(reason?.because.map(({ name }) => name), ["Pong.g", "Ping.h"]);
    assert.match(reason?.message ?? "", /Ping\.f\(\) \(of actor ping, called at main\.ts:1:1\) waits for call Pong\.g\(\) \(of actor pong, called at main\.ts:2:1\), which waits for call Ping\.h\(\) .*, which waits for Ping\.f\(\) again: none of them can ever go on/);
    const roots = new Set([...found.graph.keys()].flatMap((key) => found.rootsOf(key)).map(({ key }) => key));
    assert.equal(roots.size, 1, "it is told once, whoever is in it");
  });

  test("are none when the call back runs, has other turns, or the waiting ends by itself", () => {
    assert.deepEqual(graphOf(pingPong({ isQueued: false })).cycles(), []);
    assert.deepEqual(graphOf(pingPong({ group: "io" })).cycles(), []);
    assert.deepEqual(graphOf(pingPong({ awaited: { ...all("object 3"), endsByItself: true } })).cycles(), []);
    assert.deepEqual(graphOf(pingPong({ awaited: { ...all("object 3"), missingCount: 2, needed: 1 } })).cycles(), [], "wait() for one of two");
  });

  test("are none while another call in the actor runs on", () => {
    const nodes = pingPong();
    const [first] = nodes as [NodeWaits];
    const [driver, ping] = first.workers as [NodeWaits["workers"][number], NodeWaits["workers"][number]];
    const busy = { ...first, workers: [{ ...driver, pending: [...driver.pending, pending(9, { actorId: "ping", workerId: "P" })] }, { ...ping, runs: [...ping.runs, run(DRIVER, 9, { actorId: "ping" })] }] };
    assert.deepEqual(graphOf([busy, nodes[1] as NodeWaits]).cycles(), []);
  });

  test("a call of an actor on itself is a cycle of two", () => {
    const nodes = [node([
      { id: DRIVER, pending: [pending(1, { actorId: "a", workerId: "A" })] },
      { id: "A", pending: [pending(1, { actorId: "a", workerId: "A", name: "A.inner", makes: ["inner"] })], runs: [run(DRIVER, 1, { actorId: "a", awaits: [all("inner")] }), run("A", 1, { actorId: "a", isStarted: false })] },
    ])];
    assert.deepEqual(graphOf(nodes).cycles(), [["A/1", taskKey(DRIVER, 1)]]);
  });

  test("with a task between them, and what waits for the cycle, are told as one", () => {
    const nodes = [node([
      { id: DRIVER, pending: [pending(1, { actorId: "a", workerId: "A", name: "A.f" }), pending(7, { missing: ["object 1"] })] },
      { id: "A", pending: [pending(2, { workerId: "T" })], runs: [run(DRIVER, 1, { actorId: "a", awaits: [all("object 2")] }), run("T", 3, { actorId: "a", isStarted: false })] },
      { id: "T", pending: [pending(3, { actorId: "a", workerId: "A", name: "A.h" })], runs: [run("A", 2, { awaits: [all("object 3")] })] },
    ])];
    const found = explained(nodes);
    assert.equal(found.graph.cycles().length, 1);
    assert.equal(found.graph.cycles()[0]?.length, 3);
    const [behind] = found.of([taskKey(DRIVER, 7)]);
    assert.deepEqual([behind?.reason, behind?.because[0]?.reason], ["arguments", "cycle"]);
    assert.deepEqual(found.rootsOf(taskKey(DRIVER, 7)).map(({ reason, isGoingOn }) => [reason, isGoingOn]), [["cycle", false]]);
  });
});

describe("why a task waits", () => {
  const reasonOf = (nodes: readonly NodeWaits[], rest: Partial<WaitsSurvey> = {}, key = taskKey(DRIVER, 1)) => explained(nodes, rest).of([key])[0];

  test("its arguments, as a chain to what makes them", () => {
    const reason = reasonOf([node([{ id: DRIVER, pending: [pending(1, { missing: ["object 2"] }), pending(2, { missing: ["object 3"] }), pending(3, { workerId: "W" })] }, { id: "W", runs: [run(DRIVER, 3)] }])]);
    assert.deepEqual([reason?.reason, reason?.because[0]?.reason, reason?.because[0]?.because[0]?.reason], ["arguments", "arguments", "running"]);
    assert.match(reason?.message ?? "", /^task t1\(\) \(called at main\.ts:1:1\) waits for 1 argument: task t2\(\) .* waits for 1 argument: task t3\(\) .* runs in worker W$/);
  });

  test("resources: how much of what is asked for, free and there, on which node", () => {
    const own = { id: DRIVER, pending: [pending(1, { demand: demand({ CPU: 20_000, tape: 10_000 }) })] };
    const reason = reasonOf([node([own])]);
    assert.deepEqual(reason?.shortages, [{ resource: "CPU", asked: 2, nodes: [{ nodeId: NODE, free: 1, total: 4 }] }, { resource: "tape", asked: 1, nodes: [] }]);
    assert.match(reason?.message ?? "", /waits for 2 CPU, of which 1 of 4 is free on node aaaaaaaa00000001; 1 tape, which no node has/);
    assert.match(reasonOf([node([own]), node([], { isDraining: true })])?.message ?? "", /1 node that is about to leave take nothing new/);
    assert.equal(explained([node([own])]).rootsOf(taskKey(DRIVER, 1))[0]?.isGoingOn, false);
    assert.equal(explained([node([own, { id: "W", runs: [run("X", 5)] }])]).rootsOf(taskKey(DRIVER, 1))[0]?.isGoingOn, true, "a task that runs gives back what it has");
  });

  test("room in an object store, which a worker that sleeps cannot tell of itself", () => {
    const own = { id: DRIVER, pending: [pending(1, { workerId: "W", name: "load" })] };
    const roomWait = { workerId: "W", byteLength: 4 * 2 ** 20, waitedMs: 12_345, usedBytes: 75 * 2 ** 20, capacityBytes: 80 * 2 ** 20, origin: { callSite: "main.ts:7:7", runs: "load" } };
    const found = explained([node([own], { roomWaits: [roomWait], unansweredWorkerIds: ["W"] })]);
    const [reason] = found.of([taskKey(DRIVER, 1)]);
    assert.equal(reason?.reason, "storeFull");
    assert.deepEqual(reason?.because.map(({ kind, id, name, callSite, reason: why }) => [kind, id, name, callSite, why]), [["put", "W", "load", "main.ts:7:7", "storeFull"]]);
    assert.equal(reason?.message, "task load() (called at main.ts:1:1) is at worker W, which sleeps until there is room in the object store: a value of main.ts:7:7 in load() waits in worker W for room in the object store of its node, 4.0 MB for 12.3 s; 75.0 MB of 80.0 MB are in use");
    assert.deepEqual(found.graph.keys(), [taskKey(DRIVER, 1), reason?.because[0] === undefined ? "" : "room W"]);
    assert.equal(found.rootsOf(taskKey(DRIVER, 1))[0]?.isGoingOn, true, "it says so itself");
    assert.deepEqual(explained([node([], { roomWaits: [{ ...roomWait, origin: null }] })]).of(["room W"]).map(({ name, message }) => [name, message.startsWith("a value waits in worker W")]), [["put", true]]);
  });

  test("resources that other programs get first, since they have less", () => {
    const own = { id: DRIVER, pending: [pending(1, { demand: demand({ CPU: 20_000 }) })] };
    const waits = { ownerId: DRIVER, key: "k", hasRoom: false, startingCount: 0, hasEnvironment: false };
    const found = (otherPrograms: number) => explained([node([own], { demands: [{ ...waits, share: { part: 0.5, otherPrograms } }] })]);
    const message = found(1).of([taskKey(DRIVER, 1)])[0]?.message ?? "";
    assert.match(message, /waits for 2 CPU, of which 1 of 4 is free on node aaaaaaaa00000001; programs share a node evenly: this one has 50 % of node aaaaaaaa00000001, and 1 other program that has no more waits there, so what comes free is theirs first$/);
    assert.equal(found(1).rootsOf(taskKey(DRIVER, 1))[0]?.message.includes("50 % of node"), true, "what a program is warned of");
    assert.match(found(3).of([taskKey(DRIVER, 1)])[0]?.message ?? "", /3 other programs that have no more wait there/);
    assert.doesNotMatch(explained([node([own], { demands: [{ ...waits, share: null }] })]).of([taskKey(DRIVER, 1)])[0]?.message ?? "", /programs share/);
  });

  test("a worker, or the environment of one", () => {
    const own = { id: DRIVER, pending: [pending(1, { demand: demand({ CPU: 10_000 }) })] };
    const waits = { ownerId: DRIVER, key: "k", hasRoom: true, startingCount: 1, hasEnvironment: false, share: null };
    assert.deepEqual([reasonOf([node([own], { demands: [waits] })])?.reason, reasonOf([node([own], { demands: [{ ...waits, hasEnvironment: true }] })])?.reason], ["workerStarting", "environment"]);
    assert.equal(reasonOf([node([own], { demands: [{ ...waits, hasRoom: false }] })])?.reason, "resources");
    assert.equal(reasonOf([node([own])])?.reason, "sending", "what it asks for is free, and no node has it waiting: it was given a worker after its owner has answered");
    assert.equal(reasonOf([node([own], { isDraining: true })])?.reason, "resources");
  });

  test("a placement group that is not there", () => {
    const own = { id: DRIVER, pending: [pending(1, { demand: demand({ CPU: 10_000 }, { groupId: "g" }) })] };
    const reason = reasonOf([node([own])], { groups: [{ groupId: "g", name: "pair", strategy: "PACK", bundles: [{ CPU: 20_000 }], infeasible: null }] });
    assert.deepEqual([reason?.reason, reason?.because[0]?.kind, reason?.because[0]?.reason], ["placementGroup", "placementGroup", "resources"]);
    assert.match(reason?.message ?? "", /placement group 'pair' waits for 2 CPU in 1 bundle \(PACK\); free are 1 CPU on node/);
    assert.ok(explained([node([own])], { groups: [] }).graph.has(groupKey("g")) === false);
  });

  test("an actor that starts, starts again, or is not there for want of resources", () => {
    const own = { id: DRIVER, pending: [pending(1, { actorId: "a" })] };
    const actor = { actorId: "a", className: "A", name: null, isRestarting: false, workerId: "W", resources: {}, groupId: null };
    const reasons = [actor, { ...actor, isRestarting: true }, { ...actor, workerId: null, resources: { CPU: 20_000 } }].map((one) => explained([node([own])], { actors: [one] }).of([taskKey(DRIVER, 1), actorKey("a")]).map(({ reason }) => reason));
    assert.deepEqual(reasons, [["actorStarting", "actorStarting"], ["actorRestarting", "actorRestarting"], ["actorStarting", "resources"]]);
  });

  test("an earlier call, a retry, a paused generator, a worker that does not answer, or nothing any more", () => {
    const sent = pending(1, { workerId: "W" });
    const cases: [NodeWaits, string][] = [
      [node([{ id: DRIVER, pending: [pending(1, { actorId: "a", behind: 2 }), pending(2, { actorId: "a", missing: ["object 3"] })] }]), "order"],
      [node([{ id: DRIVER, pending: [pending(1, { isBetweenRuns: true })] }]), "retry"],
      [node([{ id: DRIVER, pending: [sent] }, { id: "W", runs: [run(DRIVER, 1, { isPaused: true })] }]), "backpressure"],
      [node([{ id: DRIVER, pending: [sent] }], { unansweredWorkerIds: ["W"] }), "running"],
      [node([{ id: DRIVER, pending: [sent] }, { id: "W", runs: [run(DRIVER, 1, { isStarted: false })] }]), "queued"],
      [node([{ id: DRIVER, pending: [sent] }]), "sending"],
    ];
    assert.deepEqual(cases.map(([one]) => reasonOf([one])?.reason), cases.map(([, reason]) => reason));
    assert.deepEqual(explained([]).of([taskKey(DRIVER, 1)]), []);
  });
});

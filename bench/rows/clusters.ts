import { CALLS_PER_SECOND, MANTARAY } from "./row.ts";
import type { PublishedFigure, Row } from "./row.ts";

const OUTSTANDING = 10_000;
const RELEASE_LOGS = "release logs of Ray 1.8 to 2.31";
const ON_ONE_MACHINE = { tasks: { value: 14_390, source: `Ray 1.10, ${RELEASE_LOGS}` }, calls: { value: 9_231, source: `Ray 2.21, ${RELEASE_LOGS}` } } as const;
const ACTORS = 1_000;
const ACTOR_NODES = 3;
const WORKER_BYTES = 14 * 2 ** 20;
const RAY_MANY_ACTORS: PublishedFigure = { value: 864, source: "Ray 2.6, many_actors: 10,000 on 65 machines" };

const common = { group: "clusters", figures: [CALLS_PER_SECOND], baseline: "mantaray-thread", roundsMax: 3 } as const;

function processes(peer: string): number {
  return peer === "mantaray-process" ? 1 : 0;
}

/** Of the program, on one node, to workers of another. */
function between(work: "tasks" | "calls", title: string): Row[] {
  const workload = `cluster:${work}`;
  const echoed: Row = {
    ...common,
    key: `cluster_single_${work}`,
    title: `${title}, one at a time`,
    contestants: [...MANTARAY, "one-thread"],
    labels: { "one-thread": "a message and its echo over a bare TCP socket" },
    measure: (peer, bench) =>
      bench.fresh(peer, (contestant) => (peer === "one-thread" ? contestant.run("cluster:echo", { trialMs: bench.trialMs }) : contestant.run(workload, { outstanding: 1, trialMs: bench.trialMs, processes: processes(peer) }))),
  };
  return [echoed, published(`cluster_pipelined_${work}`, `${title}, ${OUTSTANDING.toLocaleString("en-US")} outstanding`, ON_ONE_MACHINE[work], workload, (trialMs) => ({ outstanding: OUTSTANDING, trialMs }))];
}

function published(key: string, title: string, figure: PublishedFigure, workload: string, parameters: (trialMs: number, isQuick: boolean) => Record<string, number>): Row {
  return {
    ...common,
    key,
    title,
    contestants: MANTARAY,
    published: figure,
    measure: (peer, bench) => bench.fresh(peer, (contestant) => contestant.run(workload, { ...parameters(bench.trialMs, bench.isQuick), processes: processes(peer) })),
  };
}

export const CLUSTER_ROWS: readonly Row[] = [
  ...between("tasks", "Empty tasks submitted on one node and run on another"),
  ...between("calls", "Calls of an actor on another node"),
  {
    ...published("cluster_actors", `${ACTORS.toLocaleString("en-US")} actors, each a worker of its own, created on ${ACTOR_NODES} nodes where workers wait (in a quick run: ${ACTORS / 10})`, RAY_MANY_ACTORS, "cluster:createActors", (_trialMs, isQuick) => ({ count: isQuick ? ACTORS / 10 : ACTORS, nodes: ACTOR_NODES })),
    contestants: ["mantaray-thread"],
    needs: (isQuick) => ({ memoryBytes: (isQuick ? ACTORS / 10 : ACTORS) * WORKER_BYTES, sharedMemoryBytes: 0 }),
  },
];

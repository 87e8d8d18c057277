import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { ManualClock } from "../base/fixtures/manual-clock.ts";
import { nodeKeyOf, type NodeKey } from "../base/mod.ts";
import type { FromGcs, NodeRecord } from "../protocol/mod.ts";
import { ClusterService } from "./cluster-service.ts";

const HEAD = "aaaaaaaa00000001";
const STAYS = "bbbbbbbb00000001";
const GOES = "cccccccc00000001";
const SPLIT_LOOK_MS = 2_000;
const EXPELLED_MS_MAX = 10_000;

function recordOf(nodeId: string): NodeRecord {
  return { nodeId, name: null, hostname: "host", pid: 1, address: { host: "10.0.0.1", port: 1 }, objectAddress: null, totals: {}, labels: {} };
}

/** A head and two nodes that answer to everything, of which the second cannot reach the first. */
class SplitCluster {
  readonly clock = new ManualClock();
  readonly sent = new Map<NodeKey, FromGcs[]>();
  readonly closed: NodeKey[] = [];
  readonly head = new ClusterService({ clock: this.clock, clusterId: "c", packageVersion: "1", note: () => undefined });

  constructor() {
    for (const nodeId of [HEAD, STAYS, GOES]) {
      const key = nodeKeyOf(nodeId);
      const sent: FromGcs[] = [];
      this.sent.set(key, sent);
      const send = (message: FromGcs): void => {
        sent.push(message);
        if (message.type === "areYouAlive") this.head.onMessage(key, { type: "alive" });
      };
      this.head.join({ type: "join", record: recordOf(nodeId), packageVersion: "1", clusterId: null }, { send, sendSoon: send, close: () => void this.closed.push(key) });
    }
    this.head.onMessage(nodeKeyOf(GOES), { type: "unreachable", node: nodeKeyOf(STAYS) });
    this.clock.advance(SPLIT_LOOK_MS);
  }

  told(nodeId: string, type: FromGcs["type"]): FromGcs[] {
    return (this.sent.get(nodeKeyOf(nodeId)) ?? []).filter((message) => message.type === type);
  }

  get isThere(): boolean {
    return this.head.clusterState().nodes.find(({ nodeId }) => nodeId === GOES)?.isAlive === true;
  }
}

describe("a node that has to go because another cannot be reached from it", () => {
  test("is told why, and is there until it says that it has ended what runs on it", () => {
    const cluster = new SplitCluster();
    const [refused] = cluster.told(GOES, "refused");
    assert.ok(refused?.type === "refused" && refused.reason.includes(`could not be reached by node ${STAYS}`));
    assert.deepEqual([cluster.isThere, cluster.told(STAYS, "nodeLost").length], [true, 0]);
    cluster.head.onMessage(nodeKeyOf(GOES), { type: "leave", reason: "was taken out" });
    const [lost] = cluster.told(STAYS, "nodeLost");
    assert.ok(lost?.type === "nodeLost" && lost.death.reason.includes("could not be reached by node"), JSON.stringify(lost));
    assert.deepEqual([cluster.isThere, cluster.closed], [false, [nodeKeyOf(GOES)]]);
    cluster.clock.advance(2 * EXPELLED_MS_MAX);
    assert.equal(cluster.told(STAYS, "nodeLost").length, 1);
    cluster.head.stop();
  });

  test("is told once, and counts as lost if it says nothing", () => {
    const cluster = new SplitCluster();
    cluster.head.onMessage(nodeKeyOf(STAYS), { type: "unreachable", node: nodeKeyOf(GOES) });
    cluster.clock.advance(EXPELLED_MS_MAX - 1);
    assert.deepEqual([cluster.told(GOES, "refused").length, cluster.isThere], [1, true]);
    cluster.clock.advance(1);
    assert.deepEqual([cluster.isThere, cluster.told(STAYS, "nodeLost").length], [false, 1]);
    cluster.head.stop();
  });
});

test("a node that joins hears of the nodes and workers that are gone, but for those that had nothing to do", () => {
  const cluster = new SplitCluster();
  cluster.head.onMessage(nodeKeyOf(GOES), { type: "leave", reason: "has ended" });
  const lost = (workerId: string, isRetired?: true): void => cluster.head.onMessage(nodeKeyOf(STAYS), { type: "workerLost", workerId, death: { reason: "has ended", pid: 1, isRetryable: true, ...(isRetired && { isRetired }) } });
  lost("bbbbbbbb000000000001");
  lost("bbbbbbbb000000000002", true);
  const told: FromGcs[] = [];
  const send = (message: FromGcs): void => void told.push(message);
  cluster.head.join({ type: "join", record: recordOf("dddddddd00000001"), packageVersion: "1", clusterId: null }, { send, sendSoon: send, close: () => undefined });
  const [joined] = told;
  assert.ok(joined?.type === "joined");
  assert.deepEqual([joined.lostNodes, joined.lostWorkers], [[nodeKeyOf(GOES)], ["bbbbbbbb000000000001"]]);
  cluster.head.stop();
});

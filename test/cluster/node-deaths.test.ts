import assert from "node:assert/strict";
import { appendFileSync, existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, describe, it } from "node:test";
import * as ray from "mantaray";
import { startCluster } from "mantaray/testing";
import { eventually, ISOLATIONS } from "../conformance/both-isolations.ts";

const ELSEWHERE = { numCpus: 0, resources: { elsewhere: 1 } };
const NODE = { numCpus: 1, resources: { elsewhere: 1 } };

afterEach(() => ray.shutdown());

for (const isolation of ISOLATIONS) {
  describe(`the end of a node (${isolation})`, () => {
    it("uses up one retry of a task and one restart of an actor; runs are counted, and calls keep their order", async () => {
      await using cluster = await startCluster({ nodes: [{ numCpus: 1 }, { numCpus: 1, resources: { elsewhere: 2 } }] });
      await ray.init({ address: cluster.address, isolation });
      const runs = join(cluster.nodes[0]!.sessionDir, "runs");
      const attempts = (letter: string): number => (existsSync(runs) ? readFileSync(runs, "utf8").split(letter).length - 1 : 0);
      const endless = ray.remote((path: string) => {
        appendFileSync(path, "t");
        return new Promise<never>(() => undefined);
      }).options({ ...ELSEWHERE, maxRetries: 1 });
      class Ledger {
        readonly #lines: number[] = [];
        constructor(path: string) { appendFileSync(path, "c"); }
        note(line: number): number[] { this.#lines.push(line); return [...this.#lines]; }
        stay(path: string): Promise<never> | string {
          appendFileSync(path, "s");
          return readFileSync(path, "utf8").split("s").length > 2 ? "second run" : new Promise<never>(() => undefined);
        }
      }
      const ledger = ray.remote(Ledger, { ...ELSEWHERE, maxRestarts: 1, maxTaskRetries: 1, maxConcurrency: 1 }).remote(runs);
      const task = endless.remote(runs);
      const stays = ledger.stay.remote(runs);
      const notes = [1, 2, 3].map((line) => ledger.note.remote(line));
      await eventually("both to run", () => attempts("t") === 1 && attempts("s") === 1);
      const last = cluster.nodes.at(-1)!;
      const next = await cluster.addNode({ ...NODE, resources: { elsewhere: 2 } });
      await cluster.killNode(last);
      assert.equal(await ray.get(stays), "second run");
      assert.deepEqual(await ray.get(notes), [[1], [1, 2], [1, 2, 3]]);
      await eventually("the task to run again", () => attempts("t") === 2);
      await cluster.killNode(next);
      await assert.rejects(ray.get(task), (error: unknown) => error instanceof ray.NodeDiedError && /on node [0-9a-f]+ \(127\.0\.0\.1:\d+\), which .* \(worker [0-9a-f]+\)$/.test(error.message));
      await assert.rejects(ray.get(ledger.note.remote(4)), (error: unknown) => error instanceof ray.ActorDiedError && error.reason === "workerLost");
      assert.deepEqual([attempts("t"), attempts("c"), attempts("s")], [2, 2, 2]);
    });
  });
}

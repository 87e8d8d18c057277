import assert from "node:assert/strict";
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { fileURLToPath } from "node:url";
import * as ray from "mantaray";
import { ON_ONE_NODE, ON_THREE_NODES } from "./suites.ts";

process.env["MANTARAY_TEST_NODES"] = "3";
const { startRuntime } = await import("../conformance/both-isolations.ts");
type SuiteOptions = Parameters<typeof startRuntime>[0];

const suitesIn = (folder: string): string[] => readdirSync(fileURLToPath(new URL(folder, import.meta.url))).filter((name) => name.endsWith(".test.ts")).map((name) => name.slice(0, -".test.ts".length));

test("every suite of test/conformance runs on three nodes too, or it is said why not", () => {
  const listed = [...Object.values(ON_THREE_NODES).flat(), ...Object.keys(ON_ONE_NODE)];
  assert.deepEqual(listed.sort(), suitesIn("../conformance").sort());
  assert.deepEqual(suitesIn(".").filter((name) => name.startsWith("suites-of-")).sort(), Object.keys(ON_THREE_NODES).map((group) => `suites-of-${group}`).sort());
});

/** Of two tasks that do not end before both have begun. */
async function nodesOfTwoTasks(options: SuiteOptions): Promise<string[]> {
  const runtime = await startRuntime(options);
  const folder = mkdtempSync(join(tmpdir(), "mantaray-test-"));
  const meet = ray.remote(async (index: number) => {
    const { nodeId } = ray.getRuntimeContext();
    writeFileSync(join(folder, String(index)), "");
    while (readdirSync(folder).length < 2) await new Promise((resolve) => setTimeout(resolve, 5));
    return nodeId;
  });
  const nodeIds = await ray.get([meet.remote(1), meet.remote(2)]).finally(() => rmSync(folder, { recursive: true }));
  assert.ok(!nodeIds.includes(ray.getRuntimeContext().nodeId), "the program's own node has no processor");
  assert.equal((await ray.clusterResources())["CPU"], 2);
  await runtime.stop();
  return nodeIds;
}

after(() => ray.shutdown());

test("what runs at the same time there is on two nodes, and neither is the program's", async () => {
  assert.equal(new Set(await nodesOfTwoTasks({ numCpus: 2 })).size, 2);
});

test("or it is all on one other, for suites whose tasks take all processors at once", async () => {
  assert.equal(new Set(await nodesOfTwoTasks({ numCpus: 2, isOnOneOfThem: true })).size, 1);
});

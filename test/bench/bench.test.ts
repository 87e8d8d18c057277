import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { it } from "node:test";
import { fileURLToPath } from "node:url";

const REPOSITORY = fileURLToPath(new URL("../../", import.meta.url));

async function runBench(args: readonly string[]): Promise<{ exitCode: number; stdout: string; stderr: string }> {
  const bench = spawn(process.execPath, ["--import", "tsx", "bench/main.ts", ...args], { cwd: REPOSITORY, stdio: ["ignore", "pipe", "pipe"] });
  const [stdout, stderr, [exitCode]] = await Promise.all([text(bench.stdout), text(bench.stderr), once(bench, "exit")]);
  return { exitCode: exitCode as number, stdout, stderr };
}

it("compares contestants in the same run, as Markdown and as JSON", async () => {
  const folder = await mkdtemp(join(tmpdir(), "bench-"));
  try {
    const json = join(folder, "bench.json");
    const run = await runBench([
      ...["--quick", "--rounds", "1", "--markdown", "--json", json],
      ...["--rows", "tasks_one_at_a_time", "--rows", "tasks_sync"],
      ...["--contestants", "mantaray-thread", "--contestants", "piscina"],
    ]);
    assert.equal(run.exitCode, 0, run.stderr);
    assert.ok(!run.stderr.includes("failed"), run.stderr);
    assert.match(run.stdout, /^### Empty tasks, one at a time\n\n.*\n\| ---.*\n\| Mantaray \(thread\) \| .* \| 1\.00 × \|\n\| Piscina \| .* × \|$/m);
    assert.match(run.stdout, /^\| single_client_tasks_sync \| .* \| 1,781 \| .* × \|$/m);

    const { rows } = JSON.parse(await readFile(json, "utf8")) as {
      rows: { key: string; contestants: Record<string, { figures: Record<string, { median: number }> }> }[];
    };
    assert.deepEqual(rows.map((row) => row.key), ["tasks_one_at_a_time", "single_client_tasks_sync"]);
    for (const peer of ["mantaray-thread", "piscina"]) assert.ok(rows[0]!.contestants[peer]!.figures["perSecond"]!.median > 0);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
});

it("says that no row has the text", async () => {
  const run = await runBench(["--rows", "no such row"]);
  assert.equal(run.exitCode, 1);
  assert.match(run.stderr, /no row has that text in its name, title or group; --list shows them all/);
});

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { readdirSync } from "node:fs";
import { tmpdir } from "node:os";
import { it } from "node:test";
import { fileURLToPath } from "node:url";
import * as ray from "mantaray";
import { eventually, ISOLATIONS } from "../conformance/both-isolations.ts";

const REPOSITORY = fileURLToPath(new URL("../../", import.meta.url));

for (const isolation of ISOLATIONS) {
  it(`a driver that is killed leaves no process and no folder (${isolation})`, { skip: process.platform === "win32" }, async () => {
    const program = `
      import * as ray from "mantaray";
      await ray.init({ numCpus: 2, isolation: "${isolation}" });
      class Idle { pid() { return process.pid; } forever() { return new Promise(() => undefined); } }
      const actors = [ray.remote(Idle).remote(), ray.remote(Idle).remote()];
      const pids = await ray.get(actors.map((actor) => actor.pid.remote()));
      const running = actors.map((actor) => actor.forever.remote());
      console.log(JSON.stringify(pids));
      await ray.get(running);
    `;
    const child = spawn(process.execPath, ["--input-type=module", "--eval", program], { cwd: REPOSITORY, stdio: ["ignore", "pipe", "inherit"] });
    const pids = await new Promise<number[]>((resolve, reject) => {
      let printed = "";
      child.stdout.setEncoding("utf8").on("data", (text: string) => {
        printed += text;
        if (printed.includes("\n")) resolve(JSON.parse(printed) as number[]);
      });
      child.once("exit", () => reject(new Error(`the program ended early: ${printed}`)));
    });
    const exited = new Promise<void>((resolve) => child.once("exit", () => resolve()));
    child.kill("SIGKILL");
    await exited;
    await eventually("its workers to end", () => pids.every((pid) => !isAlive(pid)));
    // Its threads end with it, so nobody is left who could; the next runtime does.
    if (isolation === "thread") await ray.init({ numCpus: 1 });
    await eventually("its folder to be gone", () => !readdirSync(tmpdir()).some((name) => name.startsWith(`mantaray-${child.pid}-`)));
    assert.equal(child.signalCode, "SIGKILL");
    await ray.shutdown();
  });
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

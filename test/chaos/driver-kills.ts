import { spawn } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import type { SeededRandom } from "../../bench/soak/seeded-random.ts";
import { nothingIsLeftOf } from "./leftovers.ts";

const REPOSITORY = fileURLToPath(new URL("../../", import.meta.url));
/** Its start takes a third of that on a quiet machine. */
const LIFE_MS_MAX = 2_000;

const program = (isolation: string): string => `
  import * as ray from "mantaray";
  console.log("starts");
  await ray.init({ numCpus: 2, objectStoreMemory: 64 * 2 ** 20, isolation: "${isolation}" });
  setInterval(() => ray.put(new Float64Array(1e5)), 5);
  class Busy { here() { return ray.put(new Float64Array(1e5)); } forever() { for (;;); } }
  const [first, second] = [ray.remote(Busy).remote(), ray.remote(Busy).remote()];
  await ray.get([first.here.remote(), second.here.remote()]);
  void first.forever.remote();
  const nested = ray.remote(() => ray.remote(() => 1).remote().get());
  for (;;) await ray.get(Array.from({ length: 100 }, () => nested.remote()));
`;

/** Kills programs at random moments of their first seconds. Resolves with how long something was left of one of them, at most; in ms. */
export async function killedDrivers(count: number, isolation: "thread" | "process", random: SeededRandom, log: (line: string) => void): Promise<number> {
  let longestMs = 0;
  for (let number = 0; number < count; number++) {
    const child = spawn(process.execPath, ["--input-type=module", "--eval", program(isolation)], { cwd: REPOSITORY, stdio: ["ignore", "pipe", "ignore"] });
    const exited = once(child, "exit");
    const pid = child.pid as number;
    await once(child.stdout, "data");
    const delayMs = random.below(LIFE_MS_MAX);
    await new Promise((resolve) => setTimeout(resolve, delayMs));
    child.kill("SIGKILL");
    await exited;
    const ms = await nothingIsLeftOf(pid);
    longestMs = Math.max(longestMs, ms);
    log(`killed a program ${delayMs} ms after its start: ${Math.round(ms)} ms later nothing was left of it`);
  }
  return longestMs;
}

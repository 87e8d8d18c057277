import { spawn } from "node:child_process";
import { fileURLToPath } from "node:url";

const REPOSITORY = fileURLToPath(new URL("../../", import.meta.url));
const RUN_MS_MAX = 100_000;

export interface ExampleRun {
  readonly exitCode: number | null;
  readonly stdout: string;
  /** Without what Mantaray says of a machine that is slow. */
  readonly stderr: string;
}

const SLOWNESS = /^\(node:\d+\) MantarayWarning: [^\n]*(?: waits for | has blocked the event loop of )[^\n]*\n|^\(Use `node --trace-warnings[^\n]*\n/gm;

/** Runs `examples/<name>/main.ts` in a process of its own, until it exits by itself. */
export function runExample(name: string, args: readonly string[] = []): Promise<ExampleRun> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, ["--import", "tsx", `examples/${name}/main.ts`, ...args], {
      cwd: REPOSITORY,
      stdio: ["ignore", "pipe", "pipe"],
    });
    let stdout = "";
    let stderr = "";
    child.stdout.setEncoding("utf8").on("data", (text: string) => (stdout += text));
    child.stderr.setEncoding("utf8").on("data", (text: string) => (stderr += text));
    const deadline = setTimeout(() => {
      child.kill("SIGKILL");
      reject(new Error(`examples/${name} did not exit within ${RUN_MS_MAX} ms.\nIt printed:\n${stdout}\n${stderr}`));
    }, RUN_MS_MAX);
    child.once("error", reject);
    child.once("close", (exitCode) => {
      clearTimeout(deadline);
      resolve({ exitCode, stdout, stderr: stderr.replace(SLOWNESS, "") });
    });
  });
}

import { spawn } from "node:child_process";
import { existsSync, realpathSync } from "node:fs";
import { delimiter, dirname, join } from "node:path";

/** The end of what npm printed, for the error. */
const OUTPUT_CHARACTERS_MAX = 4_000;
const SETTINGS = ["--no-audit", "--no-fund", "--no-update-notifier", "--no-progress", "--loglevel=error", "--omit=dev", "--color=false"];

/** Runs npm in a folder with the Node of this process. @throws Error with what npm printed. */
export async function runNpm(folder: string, args: readonly string[], signal: AbortSignal): Promise<void> {
  const cli = findNpm();
  const child = spawn(process.execPath, [cli, ...args, ...SETTINGS, `--prefix=${folder}`], { cwd: folder, stdio: ["ignore", "pipe", "pipe"], detached: true });
  // A group of its own, so that what packages start ends too.
  const end = (): void => void (child.pid === undefined || process.kill(-child.pid, "SIGKILL"));
  signal.addEventListener("abort", end);
  process.on("exit", end);
  let output = "";
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding("utf8");
    stream.on("data", (text: string) => { output = (output + text).slice(-OUTPUT_CHARACTERS_MAX); });
  }
  const exitCode = await new Promise<number | null>((resolve, reject) => {
    child.on("error", reject);
    child.on("close", (code) => resolve(code));
  }).finally(() => {
    signal.removeEventListener("abort", end);
    process.off("exit", end);
  });
  if (exitCode !== 0) throw new Error(`npm ended with ${exitCode === null ? "a signal" : `code ${exitCode}`}:\n${output.trim()}`);
}

/** npm's own program: of the installation of Node that runs this, else of whatever npm the PATH has. */
function findNpm(): string {
  const bin = dirname(realpathSync(process.execPath));
  const candidates = [join(bin, "../lib/node_modules/npm/bin/npm-cli.js"), join(bin, "node_modules/npm/bin/npm-cli.js")];
  for (const folder of (process.env["PATH"] ?? "").split(delimiter)) candidates.push(join(folder, "npm"), join(folder, "node_modules/npm/bin/npm-cli.js"));
  for (const candidate of candidates) {
    if (!existsSync(candidate)) continue;
    const real = realpathSync(candidate);
    if (real.endsWith("npm-cli.js")) return real;
  }
  throw new Error("npm was found neither beside this Node nor in the PATH; install it, or leave 'npm' out");
}

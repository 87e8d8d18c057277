import { spawn } from "node:child_process";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";

const REPOSITORY = fileURLToPath(new URL("../../", import.meta.url));

/** What the sources of these programs may use: they talk with the test in lines of JSON. */
const PRELUDE = `
  import * as ray from "mantaray";
  import { createInterface } from "node:readline";
  const say = (value) => console.log(JSON.stringify(value));
  let lines;
  const hear = async () => JSON.parse((await (lines ??= createInterface({ input: process.stdin })[Symbol.asyncIterator]()).next()).value);
`;

/**
 * Where workers take long to start, programs are warned of it: those of tests are to say nothing of their own. What hangs is said all the
 * same, before the test is ended for it.
 */
export const WARNING_OF_HANGS_MS = "60000";
/** Of a program that a test waits for; later than the warning, and before the test is ended. */
const SILENCE_MS_MAX = 90_000;

export interface ProgramEnd {
  readonly exitCode: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stderr: string;
}

/** A program that runs beside the test, which talks with it while it does. */
export interface RunningProgram {
  readonly pid: number;
  /** The next thing that it says. Rejects when it has ended. */
  said(): Promise<any>;
  tell(value: unknown): void;
  kill(signal: NodeJS.Signals): void;
  readonly ended: Promise<ProgramEnd>;
}

/** Everything that was started here and has not ended. */
const running = new Set<RunningProgram>();

export function startProgram(source: string, environment: Readonly<Record<string, string>> = {}): RunningProgram {
  const inherited: NodeJS.ProcessEnv = { ...process.env, MANTARAY_STUCK_WARNING_MS: WARNING_OF_HANGS_MS };
  delete inherited["NODE_TEST_CONTEXT"];
  const child = spawn(process.execPath, ["--input-type=module", "--eval", PRELUDE + source], { cwd: REPOSITORY, env: { ...inherited, ...environment }, stdio: ["pipe", "pipe", "pipe"] });
  let stderr = "";
  child.stderr.setEncoding("utf8").on("data", (text: string) => (stderr += text));
  child.stdin.on("error", () => undefined);
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const program: RunningProgram = {
    pid: child.pid as number,
    said: async () => {
      const silence = setTimeout(() => console.error(`the program (pid ${child.pid}) has said nothing for ${SILENCE_MS_MAX / 1000} s; on stderr: ${stderr}`), SILENCE_MS_MAX);
      const { value, done } = await lines.next().finally(() => clearTimeout(silence));
      if (done === true) throw new Error(`the program ended before it said anything more; on stderr: ${stderr}`);
      try {
        return JSON.parse(value);
      } catch {
        return value;
      }
    },
    tell: (value) => void child.stdin.write(`${JSON.stringify(value)}\n`),
    kill: (signal) => void child.kill(signal),
    ended: new Promise((resolve) => child.once("close", (exitCode, signal) => {
      running.delete(program);
      resolve({ exitCode, signal, stderr });
    })),
  };
  running.add(program);
  return program;
}

/** For the end of a test that may have failed in the middle. */
export async function endPrograms(): Promise<void> {
  const all = [...running];
  for (const program of all) program.kill("SIGKILL");
  await Promise.all(all.map(({ ended }) => ended));
}

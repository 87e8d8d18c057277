import { spawn, type ChildProcess } from "node:child_process";
import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { startProgram, type RunningProgram, WARNING_OF_HANGS_MS } from "../conformance/running-program.ts";
import { type CommandRun, follow, type RunningCommand } from "./running-command.ts";

const REPOSITORY = fileURLToPath(new URL("../../", import.meta.url));
const COMMAND = join(REPOSITORY, "dist/cli.js");
const REMOVAL_RETRIES_MAX = 5;

/** A machine of its own, as far as `mantaray` can see: what runs elsewhere, and in other tests, is not in sight. */
export class Place {
  /** Where temporary files go. */
  readonly folder: string;
  /** Where programs lie, that find the package and tsx. */
  readonly programs: string;
  readonly #children = new Set<ChildProcess>();

  constructor() {
    this.folder = mkdtempSync(join(tmpdir(), "mantaray-cli-"));
    this.programs = mkdtempSync(join(tmpdir(), "mantaray-programs-"));
    mkdirSync(join(this.programs, "node_modules"));
    symlinkSync(REPOSITORY, join(this.programs, "node_modules/mantaray"), "junction");
    symlinkSync(join(REPOSITORY, "node_modules/tsx"), join(this.programs, "node_modules/tsx"), "junction");
    writeFileSync(join(this.programs, "package.json"), JSON.stringify({ type: "module" }));
  }

  get environment(): Record<string, string> {
    return { TMPDIR: this.folder, MANTARAY_ADDRESS: "", MANTARAY_STUCK_WARNING_MS: WARNING_OF_HANGS_MS, MANTARAY_CACHE_DIR: join(this.folder, "cache"), npm_config_registry: "http://127.0.0.1:9/" };
  }

  start(args: readonly string[], environment: Readonly<Record<string, string>> = {}): RunningCommand {
    return this.#spawn([process.execPath, COMMAND, ...args], this.programs, environment);
  }

  /** The same as on another machine, which has this package and none of the programs' files: that folder is empty there. */
  startElsewhere(args: readonly string[]): RunningCommand {
    const hide = 'mount -t tmpfs none "$1" && shift && exec "$@"';
    return this.#spawn(["unshare", "--map-root-user", "--mount", "sh", "-c", hide, "sh", this.programs, process.execPath, COMMAND, ...args], this.folder, {});
  }

  /** A program on another machine than all nodes, where its files are and nowhere else. Its path is relative to the programs' folder. */
  runElsewhere(address: string, program: string): Promise<CommandRun> {
    const own = join(this.folder, "elsewhere");
    const temporary = join(this.folder, "temporary-files-elsewhere");
    for (const folder of [own, temporary]) mkdirSync(folder, { recursive: true });
    const move = 'mount -t tmpfs none "$1" && cp -R "$2/." "$1" && cd "$1" && shift 2 && exec "$@"';
    const { ended } = this.#spawn(["unshare", "--map-root-user", "--mount", "sh", "-c", move, "sh", own, this.programs, process.execPath, program], this.folder, { MANTARAY_ADDRESS: address, TMPDIR: temporary });
    return ended;
  }

  /** As this package would be if its next version differed in nothing else. */
  ofVersion(version: string, args: readonly string[]): RunningCommand {
    const copy = join(this.folder, "another-version");
    cpSync(join(REPOSITORY, "dist"), join(copy, "dist"), { recursive: true });
    symlinkSync(join(REPOSITORY, "node_modules"), join(copy, "node_modules"), "junction");
    writeFileSync(join(copy, "package.json"), JSON.stringify({ ...JSON.parse(readFileSync(join(REPOSITORY, "package.json"), "utf8")), version }));
    return this.#spawn([process.execPath, join(copy, "dist/cli.js"), ...args], this.programs, {});
  }

  #spawn([command, ...args]: readonly string[], cwd: string, environment: Readonly<Record<string, string>>): RunningCommand {
    const inherited = { ...process.env };
    delete inherited["NODE_TEST_CONTEXT"];
    const child = spawn(command as string, args, { cwd, env: { ...inherited, ...this.environment, ...environment }, stdio: ["ignore", "pipe", "pipe"] });
    return follow(child, this.#children);
  }

  run(...args: string[]): Promise<CommandRun> {
    return this.start(args).ended;
  }

  /** Starts a head; answers its address, its process, and where it writes. */
  async head(...args: string[]): Promise<{ readonly address: string; readonly pid: number; readonly logFile: string }> {
    const { stdout, stderr } = await this.run("start", "--head", "--port", "0", ...args);
    const match = /runs at (\S+:\d+) \(pid (\d+)\)/.exec(stdout);
    if (match === null) throw new Error(`no head was started:\n${stdout}${stderr}`);
    return { address: match[1] as string, pid: Number(match[2]), logFile: /^What it writes: (.*)$/m.exec(stdout)?.[1] ?? "" };
  }

  program(name: string, source: string): string {
    const path = join(this.programs, name);
    writeFileSync(path, source);
    return path;
  }

  /** A program that talks with the test. */
  join(address: string, source: string, options = ""): RunningProgram {
    return startProgram(`const info = await ray.init({ address: ${JSON.stringify(address)}, ${options} });\n${source}`, this.environment);
  }

  /** What is in the folder for temporary files, but for caches of other programs. */
  leftovers(): string[] {
    return readdirSync(this.folder).filter((name) => name.startsWith("mantaray"));
  }

  /** Ends everything that was started here, however the test went. */
  async remove(): Promise<void> {
    for (const child of this.#children) child.kill("SIGKILL");
    await this.run("stop", "--force");
    // Who was killed may have been writing.
    for (const folder of [this.folder, this.programs]) rmSync(folder, { recursive: true, force: true, maxRetries: REMOVAL_RETRIES_MAX });
  }
}

/** Also false for one that has ended and that nobody has asked about. */
export function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return process.platform !== "linux" || !/^\d+ \(.*\) Z/s.test(readFileSync(`/proc/${pid}/stat`, "utf8"));
  } catch {
    return false;
  }
}

/** Folders in shared memory that the process has made. */
export function sharedMemoryOf(pid: number): string[] {
  if (process.platform !== "linux") return [];
  return readdirSync("/dev/shm").filter((name) => name.startsWith(`mantaray-${pid}-`));
}

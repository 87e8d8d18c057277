import { spawn, type ChildProcess } from "node:child_process";
import { fileURLToPath } from "node:url";
import type { WorkerId } from "../base/mod.ts";
import { OutputLines } from "../observability/mod.ts";
import type { PreparedEnvironment, WorkerDeath } from "../protocol/mod.ts";
import { WORKER_ENVIRONMENT_VARIABLE, type SessionConfig, type WorkerProcessData } from "./bootstrap.ts";
import type { Caretaker } from "./caretaker.ts";
import { processProbe } from "./memory-limit.ts";
import { workerProcessOptions } from "./process-options.ts";
import { workerSocketPath } from "./runtime-address.ts";
import type { ProbedWorker } from "./thread-launcher.ts";
import { ExitStory } from "./worker-exit.ts";

const ENTRY = fileURLToPath(new URL("./worker-process.js", import.meta.url));

/** Starts worker processes. They end by themselves when the socket to their node closes. */
export class ProcessLauncher {
  readonly #config: SessionConfig;
  readonly #nodeAddress: string;
  readonly #caretaker: Caretaker;
  readonly #onOutput: (workerId: WorkerId, pid: number, stream: "stdout" | "stderr", lines: readonly string[]) => void;
  readonly #running = new Set<ChildProcess>();

  constructor(config: SessionConfig, nodeAddress: string, caretaker: Caretaker, onOutput: (workerId: WorkerId, pid: number, stream: "stdout" | "stderr", lines: readonly string[]) => void) {
    this.#config = config;
    this.#nodeAddress = nodeAddress;
    this.#caretaker = caretaker;
    this.#onOutput = onOutput;
  }

  launch(workerId: WorkerId, environment: PreparedEnvironment | null, memoryLimitBytes: number | null, onExit: (death: WorkerDeath) => void): ProbedWorker {
    const data: WorkerProcessData = { config: this.#config, workerId, environment, memoryLimitBytes, nodeAddress: this.#nodeAddress, listenAddress: workerSocketPath(this.#config.sessionDir, workerId) };
    const story = new ExitStory();
    const variables = { ...process.env, ...environment?.record.envVars };
    const options = workerProcessOptions(this.#config.nodeOptions, variables["NODE_OPTIONS"], memoryLimitBytes);
    const child = spawn(process.execPath, [...options, ENTRY], { stdio: ["ignore", "pipe", "pipe"], env: { ...variables, [WORKER_ENVIRONMENT_VARIABLE]: JSON.stringify(data) } });
    const pid = child.pid ?? 0;
    this.#running.add(child);
    this.#caretaker.watch(child);
    // Console output of JavaScript goes by messages; what comes here was written by native code, or by Node as it died.
    for (const name of ["stdout", "stderr"] as const) {
      const output = new OutputLines((lines) => this.#onOutput(workerId, pid, name, lines));
      child[name].on("data", (chunk: Buffer) => {
        if (name === "stderr") story.noteStderr(String(chunk));
        output.write(chunk);
      });
      child[name].on("end", () => output.flush());
      (child[name] as unknown as { unref(): void }).unref();
    }
    child.unref();
    let hasEnded = false;
    const ended = (code: number | null, signal: NodeJS.Signals | null): void => {
      if (hasEnded) return;
      hasEnded = true;
      this.#running.delete(child);
      onExit(story.tell(pid, code, signal));
    };
    child.on("error", (error) => {
      story.noteError(error);
      ended(null, null);
    });
    // 'close' comes after the last of stderr, but waits for whoever inherited the pipes: not for long.
    child.on("exit", (code, signal) => setTimeout(() => ended(code, signal), PIPES_WAIT_MS));
    child.on("close", (code, signal) => ended(code, signal));
    return { terminate: () => void child.kill("SIGKILL"), noteReason: (reason) => story.note(reason), memoryProbe: processProbe(pid) };
  }

  /** At the sudden end of this process: nothing that it started stays. */
  killAll(): void {
    for (const child of this.#running) child.kill("SIGKILL");
  }
}

const PIPES_WAIT_MS = 100;

import { spawn, type ChildProcess } from "node:child_process";
import { fileURLToPath } from "node:url";
import type { Clock, JobId, Timer, WorkerId } from "../base/mod.ts";
import { OutputLines } from "../observability/mod.ts";
import type { WorkerDeath } from "../protocol/mod.ts";
import { type FromWorkerHost, HOST_ENVIRONMENT_VARIABLE, type SessionConfig, type ToWorkerHost, type WorkerHostData } from "./bootstrap.ts";
import type { Caretaker } from "./caretaker.ts";
import type { ThreadHosting, WorkerStart } from "./local-node.ts";
import type { ProbedWorker } from "./thread-launcher.ts";
import { ExitStory } from "./worker-exit.ts";

const ENTRY = fileURLToPath(new URL("./worker-host.js", import.meta.url));
/** Threads of one host at once; a program with more has several. */
const THREADS_PER_HOST_MAX = 32;
/** What a thread has mapped of the object store stays with its process: after so many a host takes no more. */
const THREADS_STARTED_PER_HOST_MAX = 1_000;
/** An empty host waits so long for another thread of its program. */
const HOST_IDLE_MS = 5_000;
/** For the last of stderr, which others may hold open. */
const PIPES_WAIT_MS = 100;

export interface WorkerHostsEnvironment {
  readonly clock: Clock;
  readonly config: SessionConfig;
  /** The socket of the node. */
  readonly nodeAddress: string;
  readonly caretaker: Caretaker;
  /** What native code has written, or Node as it died. */
  output(workerId: WorkerId, pid: number, stream: "stdout" | "stderr", lines: readonly string[]): void;
  memoryExceeded(workerId: WorkerId, usedBytes: number): void;
}

interface Host {
  readonly child: ChildProcess;
  readonly story: ExitStory;
  /** Null as long as no program uses it. */
  jobId: JobId | null;
  readonly threads: Map<WorkerId, (death: WorkerDeath) => void>;
  startedCount: number;
  idleTimer: Timer | null;
  hasEnded: boolean;
}

/**
 * Worker threads in processes beside the node's, so that no user code runs in that: each of these *worker hosts* is one program's. If
 * one crashes, its threads are lost and nothing else.
 */
export class WorkerHosts implements ThreadHosting {
  readonly areOfJobs = true;
  readonly #env: WorkerHostsEnvironment;
  readonly #hosts = new Set<Host>();
  #isStopped = false;

  constructor(environment: WorkerHostsEnvironment) {
    this.#env = environment;
  }

  /** The next program need not wait for a process. */
  prepare(): void {
    if (!this.#isStopped && ![...this.#hosts].some(({ jobId }) => jobId === null)) this.#start();
  }

  launch({ workerId, jobId, memoryLimitBytes, environment, onExit }: WorkerStart): ProbedWorker {
    const host = this.#hostFor(jobId);
    host.idleTimer?.cancel();
    host.idleTimer = null;
    host.startedCount++;
    host.threads.set(workerId, onExit);
    const tell = (message: ToWorkerHost): void => { if (host.child.connected) host.child.send(message); };
    tell({ type: "start", workerId, environment, memoryLimitBytes });
    return {
      terminate: () => tell({ type: "terminate", workerId }),
      noteReason: (reason) => tell({ type: "noteReason", workerId, reason }),
      memoryProbe: null,
    };
  }

  #hostFor(jobId: JobId | null): Host {
    const usable = [...this.#hosts].filter((host) => !host.hasEnded && host.threads.size < THREADS_PER_HOST_MAX && host.startedCount < THREADS_STARTED_PER_HOST_MAX);
    const host = usable.find((one) => one.jobId === jobId) ?? usable.find((one) => one.jobId === null) ?? this.#start();
    host.jobId = jobId;
    setImmediate(() => this.prepare());
    return host;
  }

  #start(): Host {
    const { config, nodeAddress, caretaker } = this.#env;
    const data: WorkerHostData = { config, nodeAddress };
    const child = spawn(process.execPath, [...config.nodeOptions, ENTRY], { stdio: ["ignore", "pipe", "pipe", "ipc"], env: { ...process.env, [HOST_ENVIRONMENT_VARIABLE]: JSON.stringify(data) }, serialization: "advanced" });
    const host: Host = { child, story: new ExitStory(), jobId: null, threads: new Map(), startedCount: 0, idleTimer: null, hasEnded: false };
    this.#hosts.add(host);
    caretaker.watch(child);
    for (const name of ["stdout", "stderr"] as const) {
      const output = new OutputLines((lines) => {
        const [workerId] = host.threads.keys();
        if (workerId !== undefined) this.#env.output(workerId, child.pid ?? 0, name, lines);
      });
      child[name]?.on("data", (chunk: Buffer) => {
        if (name === "stderr") host.story.noteStderr(String(chunk));
        output.write(chunk);
      });
      child[name]?.on("end", () => output.flush());
    }
    child.on("message", (message: FromWorkerHost) => this.#onMessage(host, message));
    child.on("error", (error) => {
      host.story.noteError(error);
      this.#ended(host, null, null);
    });
    child.on("exit", (code, signal) => {
      host.hasEnded = true;
      this.#env.clock.after(PIPES_WAIT_MS, () => this.#ended(host, code, signal));
    });
    child.on("close", (code, signal) => this.#ended(host, code, signal));
    return host;
  }

  #onMessage(host: Host, message: FromWorkerHost): void {
    if (message.type === "memoryExceeded") this.#env.memoryExceeded(message.workerId, message.usedBytes);
    else this.#threadEnded(host, message.workerId, message.death);
  }

  #threadEnded(host: Host, workerId: WorkerId, death: WorkerDeath): void {
    const onExit = host.threads.get(workerId);
    if (onExit === undefined) return;
    host.threads.delete(workerId);
    if (host.threads.size === 0 && !host.hasEnded) host.idleTimer ??= this.#env.clock.after(HOST_IDLE_MS, () => host.child.kill("SIGKILL"));
    onExit(death);
  }

  #ended(host: Host, code: number | null, signal: NodeJS.Signals | null): void {
    if (!this.#hosts.delete(host)) return;
    host.hasEnded = true;
    host.idleTimer?.cancel();
    const death = host.story.tell(host.child.pid ?? 0, code, signal);
    const others = host.threads.size - 1;
    const company = others === 0 ? "" : `, with ${others} other ${others === 1 ? "worker" : "workers"} of its program`;
    for (const workerId of [...host.threads.keys()]) this.#threadEnded(host, workerId, { ...death, reason: `was a thread of a process that ${death.reason}${company}` });
  }

  /** Threads of one host have sockets, as those of different ones. */
  connect(): boolean {
    return false;
  }

  watchRunning(): Int32Array | null {
    return null;
  }

  remove(): void {
    // It has left its host by itself.
  }

  /** Resolves when none of them is left. */
  async stop(): Promise<void> {
    const ended = Array.from(this.#hosts, ({ child, hasEnded }) => (hasEnded ? null : new Promise((resolve) => child.once("exit", resolve))));
    this.killAll();
    await Promise.all(ended);
  }

  /** At the sudden end of this process: nothing that it started stays. */
  killAll(): void {
    this.#isStopped = true;
    for (const { child } of this.#hosts) child.kill("SIGKILL");
  }
}

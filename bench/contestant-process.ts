import { fork } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import type { WorkloadReply, WorkloadRequest } from "./contestant.ts";
import type { Figures } from "./measure.ts";
import type { PeerSettings } from "./peers/peer.ts";
import type { PeerId } from "./peers/registry.ts";
import type { Parameters } from "./workloads/workload.ts";

const START_MS_MAX = 30_000;
const WORKLOAD_MS_MAX = 180_000;
const EXIT_MS_MAX = 5_000;

/** The parent's side of a contestant. */
export class ContestantProcess {
  readonly peer: PeerId;
  readonly #child: ChildProcess;

  private constructor(peer: PeerId, child: ChildProcess) {
    this.peer = peer;
    this.#child = child;
  }

  static async start(peer: PeerId, builtFolder: URL, settings: PeerSettings = {}): Promise<ContestantProcess> {
    const child = fork(fileURLToPath(new URL("contestant.js", builtFolder)), [peer, JSON.stringify(settings)], {
      execArgv: ["--expose-gc"],
      // What a peer prints must not get into the tables.
      stdio: ["ignore", 2, 2, "ipc"],
    });
    const contestant = new ContestantProcess(peer, child);
    try {
      await contestant.#reply(START_MS_MAX, "start");
    } catch (error) {
      child.kill("SIGKILL");
      throw error;
    }
    return contestant;
  }

  get pid(): number {
    return this.#child.pid!;
  }

  async run(workload: string, parameters: Parameters = {}): Promise<Figures> {
    const request: WorkloadRequest = { workload, parameters };
    if (!this.#child.connected) throw new Error("its process has ended");
    this.#child.send(request);
    const reply = await this.#reply(WORKLOAD_MS_MAX, workload);
    return reply.kind === "figures" ? reply.figures : {};
  }

  /** Lets the process end by itself, and makes it if it does not. */
  async close(): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const exited = once(this.#child, "exit");
    if (this.#child.connected) this.#child.disconnect();
    const deadline = setTimeout(() => this.#child.kill("SIGKILL"), EXIT_MS_MAX);
    await exited;
    clearTimeout(deadline);
  }

  #reply(timeoutMs: number, what: string): Promise<WorkloadReply> {
    return new Promise((resolve, reject) => {
      const settle = (error: Error | undefined, reply?: WorkloadReply) => {
        clearTimeout(deadline);
        this.#child.off("message", onMessage).off("exit", onExit);
        if (error === undefined) resolve(reply!);
        else reject(error);
      };
      const onMessage = (reply: WorkloadReply) =>
        settle(reply.kind === "failure" ? new Error(`${what}: ${reply.message}`) : undefined, reply);
      const onExit = (code: number | null, signal: string | null) =>
        settle(new Error(`${what}: its process ended (${signal ?? `exit code ${code}`})`));
      const deadline = setTimeout(() => {
        this.#child.kill("SIGKILL");
        settle(new Error(`${what}: no answer within ${timeoutMs / 1000} s`));
      }, timeoutMs);
      this.#child.on("message", onMessage).on("exit", onExit);
    });
  }
}

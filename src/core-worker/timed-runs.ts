import type { ToNode } from "../protocol/mod.ts";
import type { Execution } from "./execution.ts";

export interface TimedRunsEnvironment {
  sendToNode(message: ToNode): void;
  /** What was sent leaves this thread now, and not with the end of the turn: that may never come. */
  flushToNode(): void;
}

/** Runs with a time limit, which the node keeps: it sees also those that block this thread. */
export class TimedRuns {
  readonly #env: TimedRunsEnvironment;
  readonly #runIds = new Map<Execution, number>();
  #nextRunId = 1;

  constructor(environment: TimedRunsEnvironment) {
    this.#env = environment;
  }

  starts(run: Execution, timeoutMs: number): void {
    const runId = this.#nextRunId++;
    this.#runIds.set(run, runId);
    this.#env.sendToNode({ type: "runStarted", runId, ownerId: run.peer.workerId, taskSequence: run.sequence, leaseId: run.lease?.leaseId ?? null, name: run.name, timeoutMs });
    this.#env.flushToNode();
  }

  ended(run: Execution): void {
    const runId = this.#runIds.get(run);
    if (runId === undefined) return; // It was refused before it began.
    this.#runIds.delete(run);
    this.#env.sendToNode({ type: "runEnded", runId });
  }
}

import type { Clock, Timer, WorkerId } from "../base/mod.ts";
import { chooseToEnd, describeShortage, type MemoryReading, type ProcessMemory, type Working } from "./memory-pressure.ts";

/** After a worker was ended its memory may come back so much later. */
const SETTLE_MS = 500;
/** A worker that does not end although it was told to is given up after so long. */
const END_MS_MAX = 5_000;

export interface MemoryGuardEnvironment {
  readonly clock: Clock;
  /** Of the memory, above which a worker is ended: from 0 to 1. */
  readonly threshold: number;
  /** How often it is looked at; 0: never. */
  readonly everyMs: number;
  /** Null where the system does not tell. */
  read(pids: readonly number[]): MemoryReading | null;
  /** Memory that is a process's own; null where the system does not tell. */
  readProcess(pid: number): number | null;
  /** This process, and what it is. */
  readonly own: { readonly pid: number; readonly what: string };
  working(): readonly Working[];
  end(workerId: WorkerId, reason: string): void;
  /** For the program that the worker works for. */
  warn(workerId: WorkerId, text: string): void;
}

/**
 * Ends work before the machine runs out of memory and the system ends something at will, be it the program or the node. One worker at a time: the next one when
 * that is gone and its memory was missed still. Looks only while somebody works.
 */
export class MemoryGuard {
  readonly #env: MemoryGuardEnvironment;
  #timer: Timer | null = null;
  #ending: { readonly workerId: WorkerId; readonly untilMs: number } | null = null;
  #isStopped = false;

  constructor(environment: MemoryGuardEnvironment) {
    this.#env = environment;
  }

  somebodyWorks(): void {
    if (this.#timer !== null || this.#env.everyMs === 0 || this.#isStopped) return;
    this.#lookIn(this.#env.everyMs);
  }

  workerLost(workerId: WorkerId): void {
    if (this.#ending?.workerId === workerId) this.#ending = { workerId: "", untilMs: this.#env.clock.nowMs() + SETTLE_MS };
  }

  #lookIn(delayMs: number): void {
    this.#timer = this.#env.clock.after(delayMs, () => {
      this.#timer = null;
      const working = this.#env.working();
      if (working.length === 0) return;
      this.#look(working);
      this.#lookIn(this.#env.everyMs);
    });
  }

  #look(working: readonly Working[]): void {
    const { clock, threshold } = this.#env;
    if (this.#ending !== null && clock.nowMs() < this.#ending.untilMs) return;
    this.#ending = null;
    const workersOf = this.#workersByProcess(working);
    const reading = this.#env.read([...workersOf.keys()]);
    if (reading === null || reading.usedBytes <= reading.totalBytes * threshold) return;
    const processes = this.#processes(workersOf);
    const used = new Map(processes.map(({ pid, usedBytes }) => [pid, usedBytes]));
    const chosen = chooseToEnd(working.map((one) => {
      const pid = one.pid ?? this.#env.own.pid;
      return { ...one, usedBytes: pid !== this.#env.own.pid && workersOf.get(pid)?.length === 1 ? (used.get(pid) ?? null) : null };
    }));
    if (chosen === null) return;
    const reason = describeShortage(reading, threshold, processes);
    this.#ending = { workerId: chosen.workerId, untilMs: clock.nowMs() + END_MS_MAX };
    const then = chosen.isRetriable ? "what it did runs again later" : "what it did cannot run again";
    this.#env.warn(chosen.workerId, `worker ${chosen.workerId} ${reason}; ${then}. Let less run at once (numCpus, memory), keep less in memory, or give the machine more`);
    this.#env.end(chosen.workerId, reason);
  }

  #workersByProcess(working: readonly Working[]): Map<number, Working[]> {
    const { own } = this.#env;
    const found = new Map<number, Working[]>([[own.pid, []]]);
    for (const one of working) {
      const pid = one.pid ?? own.pid;
      const others = found.get(pid);
      if (others === undefined) found.set(pid, [one]);
      else others.push(one);
    }
    return found;
  }

  #processes(workersOf: ReadonlyMap<number, readonly Working[]>): ProcessMemory[] {
    const { own } = this.#env;
    const found: ProcessMemory[] = [];
    for (const [pid, workers] of workersOf) {
      const usedBytes = this.#env.readProcess(pid);
      const at = `${workers.length} ${workers.length === 1 ? "worker" : "workers"} at work`;
      const what = pid === own.pid ? (workers.length === 0 ? own.what : `${own.what} with ${at}`) : workers.length === 1 ? (workers[0] as Working).isActor ? "the worker of an actor" : "a worker of tasks" : `a process with ${at}`;
      if (usedBytes !== null) found.push({ pid, what, usedBytes });
    }
    return found;
  }

  stop(): void {
    this.#isStopped = true;
    this.#timer?.cancel();
  }
}

import type { ActorId, Clock, JobId, SystemErrorRecord, Timer, WorkerId } from "../base/mod.ts";
import type { PlacementListener } from "../clients/mod.ts";
import type { ActorPlacementRecord, ActorSpec, FromNode, WorkerKind } from "../protocol/mod.ts";
import { partsOf } from "../protocol/mod.ts";
import { BLOCKED_MS_MAX, SharedHostState, SILENT_MS_MAX, TICK_MS, type SharedHostInstruction } from "./shared-host-state.ts";

export interface SharedHostsEnvironment {
  readonly clock: Clock;
  readonly hostsMax: number;
  /** Finds a worker; the answer is `hostPlaced`. */
  placeHost(hostId: string, jobId: JobId, kind: WorkerKind, rootId: WorkerId | null): void;
  placements(): PlacementListener;
  send(workerId: WorkerId, message: FromNode): void;
  sendSoon(workerId: WorkerId, message: FromNode): void;
  terminate(workerId: WorkerId, reason: string): void;
  /** Where a worker of this process writes the number of the actor that it is in; null for another process. */
  watchRunning(workerId: WorkerId): Int32Array | null;
  /** For the program that the worker works for. */
  warn(workerId: WorkerId, text: string): void;
  /** One that was told to. */
  somebodyEnded(): void;
  /** Other nodes are to know of it, before they hear of the end of its worker. */
  makesTrouble(actorId: ActorId): void;
}

/** The workers of shared actors: SharedHostState decides, this acts. */
export class SharedHosts {
  readonly #env: SharedHostsEnvironment;
  readonly #state: SharedHostState;
  readonly #running = new Map<WorkerId, Int32Array>();
  #timer: Timer | null = null;

  constructor(environment: SharedHostsEnvironment) {
    this.#env = environment;
    this.#state = new SharedHostState(environment.hostsMax);
  }

  place({ actorId, jobId, workerKind, isTroublemaker }: Pick<ActorPlacementRecord, "actorId" | "jobId" | "workerKind" | "isTroublemaker">, rootId: WorkerId | null): void {
    if (isTroublemaker === true) this.#state.noteTroublemaker(actorId);
    this.#act(this.#state.place(actorId, jobId, workerKind, rootId));
  }

  /** False if it is no host of ours, but an actor that has a worker for itself. */
  hostPlaced(hostId: string, workerId: WorkerId): boolean {
    if (!this.#state.isHost(hostId)) return false;
    const running = this.#env.watchRunning(workerId);
    if (running !== null) this.#running.set(workerId, running);
    this.#act(this.#state.hostPlaced(hostId, workerId));
    return true;
  }

  /** As above. */
  hostRefused(hostId: string, error: SystemErrorRecord): boolean {
    if (!this.#state.isHost(hostId)) return false;
    for (const actorId of this.#state.hostRefused(hostId)) this.#env.placements().placementRefused(actorId, error);
    return true;
  }

  /** The actors that waited for this host; null as above. */
  hostDeclined(hostId: string): readonly ActorId[] | null {
    return this.#state.isHost(hostId) ? this.#state.hostRefused(hostId) : null;
  }

  start(workerId: WorkerId, spec: ActorSpec, number: number, wasRestarted: boolean): void {
    this.#env.sendSoon(workerId, { type: "startSharedActor", number, wasRestarted, ...partsOf(spec) });
  }

  end(workerId: WorkerId, message: FromNode & { readonly type: "endSharedActor" }): void {
    this.#state.ending(workerId, message.actorId);
    this.#env.sendSoon(workerId, message);
  }

  isHost(hostId: string): boolean {
    return this.#state.isHost(hostId);
  }

  areEnding(jobId: JobId): boolean {
    return this.#state.areEnding(jobId);
  }

  cancel(actorId: ActorId): void {
    this.#state.cancel(actorId);
  }

  actorEnded(workerId: WorkerId, actorId: ActorId): void {
    this.#state.actorEnded(workerId, actorId);
    this.#env.somebodyEnded();
    this.#tickSoon();
  }

  callsWait(workerId: WorkerId): void {
    this.#act(this.#state.callsWait(workerId));
  }

  answered(workerId: WorkerId): void {
    this.#state.answered(workerId);
  }

  retireRefused(workerId: WorkerId): void {
    this.#state.retireRefused(workerId);
    this.#tickSoon();
  }

  /** `culprit`: the actor that has said itself that it ends the worker. Answers who else was running there, to be named as the cause. */
  workerLost(workerId: WorkerId, culprit: ActorId | null): string | null {
    if (!this.#state.has(workerId)) return null;
    const running = this.#state.workerLost(workerId, culprit, this.#runningNumber(workerId));
    this.#running.delete(workerId);
    if (running !== null) this.#env.makesTrouble(running);
    return running === null || culprit !== null ? null : this.#env.placements().describeActor(running);
  }

  #runningNumber(workerId: WorkerId): number {
    const running = this.#running.get(workerId);
    return running === undefined ? 0 : Atomics.load(running, 0);
  }

  #act(instructions: readonly SharedHostInstruction[]): void {
    for (const instruction of instructions) {
      switch (instruction.type) {
        case "openHost":
          this.#env.placeHost(instruction.hostId, instruction.jobId, instruction.kind, instruction.rootId);
          break;
        case "placed":
          this.#env.placements().placed(instruction.actorId, instruction.workerId, instruction.number);
          break;
        case "ping":
          this.#env.sendSoon(instruction.workerId, { type: "ping" });
          break;
        case "retire":
          this.#env.send(instruction.workerId, { type: "retire" });
          break;
        case "silent":
          this.#env.warn(instruction.workerId, this.#silenceText(instruction.workerId, instruction.actorId, instruction.actorCount));
          break;
        case "endHost":
          if (instruction.actorId !== null) this.#env.makesTrouble(instruction.actorId);
          this.#env.terminate(instruction.workerId, `was ended after ${BLOCKED_MS_MAX / 1000} s in which its event loop did not turn: ${this.#blamed(instruction.actorId)} blocked it`);
          break;
      }
    }
    this.#tickSoon();
  }

  #silenceText(workerId: WorkerId, actorId: ActorId | null, actorCount: number): string {
    return `${this.#blamed(actorId)} has blocked the event loop of worker ${workerId} for ${SILENT_MS_MAX / 1000} s, and the calls of all ${actorCount} shared actors there wait. New ones go to another worker. ` +
      `After ${BLOCKED_MS_MAX / 1000} s the worker is ended with all that live in it. Give an actor with long synchronous work a worker for itself: isolation: 'thread' or 'process'.`;
  }

  #blamed(actorId: ActorId | null): string {
    return actorId === null ? "an actor (it is not known which)" : this.#env.placements().describeActor(actorId);
  }

  #tickSoon(): void {
    if (this.#timer !== null || !this.#state.needsTicks()) return;
    this.#timer = this.#env.clock.after(TICK_MS, () => {
      this.#timer = null;
      this.#act(this.#state.tick((workerId) => this.#runningNumber(workerId)));
    });
  }

  stop(): void {
    this.#timer?.cancel();
  }
}

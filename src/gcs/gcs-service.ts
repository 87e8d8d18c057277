import type { ActorId, SystemErrorRecord, WorkerId } from "../base/mod.ts";
import type { ActorHostClient, PlacementListener } from "../clients/mod.ts";
import { type ActorDeath, type ActorParts, type ActorSpec, type CodeUnitRecord, type FoundActor, RecentTemplates, specFrom, type TaskErrorRecord, type WorkerDeath } from "../protocol/mod.ts";
import { ActorState, type ActorInstruction } from "./actor-state.ts";
import { FunctionTable } from "./function-table.ts";

/** The global control store: actors, names, code. Decides with its state machines and tells node managers what to do. */
export class GcsService implements PlacementListener {
  readonly #functions = new FunctionTable();
  readonly #actors = new ActorState();
  readonly #host: ActorHostClient;
  /** With the code that is in the table already. */
  readonly #templates = new RecentTemplates((template) => {
    this.#functions.put(template.units);
    return { ...template, units: this.#functions.kept(template.units) };
  });

  constructor(host: ActorHostClient) {
    this.#host = host;
  }

  createActor(spec: ActorSpec): SystemErrorRecord | null {
    const { instructions, error } = this.#actors.create(spec);
    if (error === null) this.#functions.put(spec.units);
    this.#act(instructions);
    return error;
  }

  createSharedActor({ template, actorId, args }: ActorParts): void {
    this.#act(this.#actors.create(specFrom(this.#templates.same(template), actorId, args)).instructions);
  }

  watchActor(watcherId: WorkerId, actorId: ActorId, ownerId: WorkerId): void {
    this.#act(this.#actors.watch(watcherId, actorId, ownerId));
  }

  actorNotCreated(actorId: ActorId, death: ActorDeath): void {
    this.#act(this.#actors.notCreated(actorId, death));
  }

  placed(actorId: ActorId, workerId: WorkerId, number: number): void {
    this.#act(this.#actors.placed(actorId, workerId, number));
  }

  placementRefused(actorId: ActorId, error: SystemErrorRecord): void {
    this.#act(this.#actors.placementRefused(actorId, error));
  }

  actorStarted(actorId: ActorId, error: TaskErrorRecord | null): void {
    this.#act(this.#actors.started(actorId, error));
  }

  actorExiting(actorId: ActorId, reason: string): void {
    this.#act(this.#actors.exiting(actorId, reason));
  }

  actorEnded(actorId: ActorId, reason: string): void {
    this.#act(this.#actors.ended(actorId, reason));
  }

  killActor(actorId: ActorId, noRestart: boolean): void {
    this.#act(this.#actors.kill(actorId, noRestart));
  }

  actorOutOfScope(actorId: ActorId): void {
    this.#act(this.#actors.outOfScope(actorId));
  }

  workerLost(workerId: WorkerId, death: WorkerDeath): void {
    this.#act(this.#actors.workerLost(workerId, death));
  }

  describeActor(actorId: ActorId): string {
    return this.#actors.describe(actorId);
  }

  findActor(name: string, namespace: string): FoundActor | null {
    return this.#actors.findByName(name, namespace) ?? null;
  }

  listNamedActors(namespace: string | null): { name: string; namespace: string }[] {
    return this.#actors.listNames(namespace);
  }

  getCode(unitIds: readonly string[]): CodeUnitRecord[] {
    return this.#functions.get(unitIds);
  }

  #act(instructions: readonly ActorInstruction[]): void {
    for (const instruction of instructions) {
      switch (instruction.type) {
        case "place":
          this.#host.place(instruction.spec);
          break;
        case "cancelPlacement":
          this.#host.cancelPlacement(instruction.actorId);
          break;
        case "start":
          this.#host.start(instruction.workerId, instruction.spec, instruction.number, instruction.wasRestarted);
          break;
        case "askOwner":
          this.#host.askOwner(instruction.ownerId, instruction.actorId);
          break;
        case "endWorker":
          this.#host.endWorker(instruction.workerId, instruction.graceful, instruction.reason);
          break;
        case "endShared":
          this.#host.endShared(instruction.workerId, instruction.actorId, instruction.graceful, instruction.mayRestart, instruction.reason);
          break;
        case "publish":
          for (const watcher of instruction.watchers) this.#host.publish(watcher, instruction.state);
          break;
      }
    }
  }
}

import type { ActorId, Clock, JobId, NodeKey, SystemErrorRecord, WorkerId } from "../base/mod.ts";
import type { ActorHostClient, BundleClient, GcsClient } from "../clients/mod.ts";
import { type ActorParts, type BundleReport, type ForGcs, type GcsWaits, RecentTemplates, specFrom, type WorkerDeath } from "../protocol/mod.ts";
import { ActorState, type ActorInstruction } from "./actor-state.ts";
import { AwaitedEnds, type EndAsker } from "./awaited-ends.ts";
import { FunctionTable } from "./function-table.ts";
import { PlacementGroups } from "./placement-groups.ts";

/** The global control store: actors, names, code. Decides with its state machines and tells node managers what to do. */
export class GcsService implements GcsClient {
  readonly #functions = new FunctionTable((driverId) => this.#host.dropModules(driverId));
  readonly #actors = new ActorState();
  readonly #ends = new AwaitedEnds();
  readonly #host: ActorHostClient & BundleClient;
  readonly groups: PlacementGroups;
  /** With the code that is in the table already. */
  readonly #templates = new RecentTemplates((template) => {
    this.#functions.put(template.units);
    return { ...template, units: this.#functions.kept(template.units) };
  });

  constructor(host: ActorHostClient & BundleClient, clock: Clock) {
    this.#host = host;
    this.groups = new PlacementGroups({
      clock, nodes: host, send: (workerId, message) => host.send(workerId, message), sendSoon: (workerId, message) => host.sendSoon(workerId, message), isConnected: (workerId) => host.isConnected(workerId),
      placeActor: (spec) => host.place(spec), refuseActor: (actorId, error) => this.placementRefused(actorId, error), endActors: (groupId, reason) => this.#act(this.#actors.groupRemoved(groupId, reason)),
    });
  }

  fromWorker(senderId: WorkerId, message: ForGcs): void {
    switch (message.type) {
      case "createActor": {
        const { instructions, error } = this.#actors.create(message.spec);
        // One that stands for another, or has ended before, needs no code.
        if (instructions.some(({ type }) => type === "place")) {
          this.#functions.put(message.spec.units);
          this.#functions.actorCreated(message.spec.actorId, message.spec.units);
        }
        this.#act(instructions);
        return this.#reply(senderId, message.requestId, null, error);
      }
      case "createSharedActor":
        return this.#createSharedActor(message);
      case "watchActor":
        return this.#act(this.#actors.watch(senderId, message.actorId, message.ownerId));
      case "actorNotCreated":
        return this.#act(this.#actors.notCreated(message.actorId, message.death));
      case "findActor":
        return this.#reply(senderId, message.requestId, this.#actors.findByName(message.name, message.namespace) ?? null);
      case "listNamedActors":
        return this.#reply(senderId, message.requestId, this.#actors.listNames(message.namespace));
      case "killActor":
        return this.#kill(message.actorId, message.noRestart, { workerId: senderId, requestId: message.requestId });
      case "actorOutOfScope":
        return this.#act(this.#actors.outOfScope(message.actorId));
      case "actorStarted":
        return this.#act(this.#actors.started(message.actorId, message.error));
      case "actorExiting":
        return this.#act(this.#actors.exiting(message.actorId, message.reason));
      case "actorEnded":
        this.#act(this.#actors.ended(message.actorId, message.reason));
        return this.#killed(this.#ends.actorEnded(message.actorId));
      case "getCode":
        return this.#reply(senderId, message.requestId, this.#functions.get(message.unitIds));
      case "clusterState":
        return this.#reply(senderId, message.requestId, this.#host.clusterState());
      case "listWaiting":
        return this.#reply(senderId, message.requestId, { actors: this.#actors.waiting(message.jobId), groups: this.groups.waiting(message.jobId) } satisfies GcsWaits);
      case "createPlacementGroup":
      case "removePlacementGroup":
      case "watchPlacementGroup":
      case "placementGroupTold":
      case "findPlacementGroup":
      case "listPlacementGroups":
        return this.groups.fromWorker(senderId, message);
    }
  }

  #createSharedActor({ template, actorId, args }: ActorParts): void {
    const spec = specFrom(this.#templates.same(template), actorId, args);
    this.#functions.actorCreated(actorId, spec.units);
    this.#act(this.#actors.create(spec).instructions);
  }

  #kill(actorId: ActorId, noRestart: boolean, asker: EndAsker): void {
    const instructions = this.#actors.kill(actorId, noRestart);
    const isAwaited = this.#ends.add(this.#actors.idOf(actorId), instructions, asker);
    this.#act(instructions);
    if (!isAwaited) this.#killed([asker]);
  }

  #killed(askers: readonly EndAsker[]): void {
    for (const { workerId, requestId } of askers) this.#reply(workerId, requestId, null);
  }

  #reply(workerId: WorkerId, requestId: number, result: unknown, error: SystemErrorRecord | null = null): void {
    this.#host.sendSoon(workerId, { type: "reply", requestId, result, error });
  }

  placed(actorId: ActorId, workerId: WorkerId, number: number): void {
    this.#act(this.#actors.placed(actorId, workerId, number));
  }

  placementRefused(actorId: ActorId, error: SystemErrorRecord): void {
    this.#act(this.#actors.placementRefused(actorId, error));
  }

  /** The owner of an actor that it has not created says so by its end. */
  ownerEnded(actorId: ActorId, ownerId: WorkerId): void {
    this.#act(this.#actors.notCreated(actorId, { message: `its owner (worker ${ownerId}) has ended`, reason: "ownerEnded", creation: null, refusal: null }));
  }

  workerLost(workerId: WorkerId, death: WorkerDeath): void {
    this.#act(this.#actors.workerLost(workerId, death));
    this.groups.workerLost(workerId);
    if (this.#functions.hasProgram(workerId)) this.#programEnded(workerId);
    this.#killed(this.#ends.workerLost(workerId));
  }

  #programEnded(driverId: WorkerId): void {
    this.#templates.forget((template) => template.units.some(({ origin }) => origin?.driverId === driverId));
    const heirs = this.#actors.madeBy(driverId);
    this.#functions.programEnded(driverId, heirs);
    if (heirs.length > 0) this.#host.keepModules(driverId, this.#actors.nodesOf(heirs));
  }

  /** A program that lives, or has left actors that do. */
  hasProgram(driverId: WorkerId): boolean {
    return this.#functions.hasProgram(driverId);
  }

  jobEnded(jobId: JobId): void {
    this.groups.jobEnded(jobId);
  }

  awaitJobEnd(jobId: JobId, done: () => void): void {
    this.#host.awaitJobEnd(jobId, () => this.#actors.alone(jobId), done);
  }

  bundlesReported(node: NodeKey, report: BundleReport): void {
    this.groups.bundlesReported(node, report);
  }

  /** All workers of a node at once. */
  nodeLost(node: NodeKey, death: WorkerDeath): void {
    for (const workerId of new Set([...this.#actors.workersOf(node), ...this.#functions.driversOn(node)])) this.workerLost(workerId, death);
    this.#actors.nodeGone(node);
    this.groups.nodeLost(node);
    this.#killed(this.#ends.nodeLost(node));
  }

  /** What may start again elsewhere does, and bundles are set aside elsewhere. */
  nodeDrains(node: NodeKey): void {
    this.groups.nodeDrains(node);
    this.#act(this.#actors.nodeDrains(node));
  }

  describeActor(actorId: ActorId): string {
    return this.#actors.describe(actorId);
  }

  #act(instructions: readonly ActorInstruction[]): void {
    for (const instruction of instructions) {
      switch (instruction.type) {
        case "place":
          if (instruction.spec.bundle === null) this.#host.place(instruction.spec);
          else this.groups.placeActor(instruction.spec);
          break;
        case "cancelPlacement":
          this.groups.cancelActor(instruction.actorId);
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
          this.#host.endShared(instruction.workerId, instruction.actorId, instruction.graceful, instruction.mayRestart, instruction.reason, instruction.endReason);
          break;
        case "move":
          this.#host.move(instruction.workerId, instruction.actorId);
          break;
        case "publish":
          if (instruction.state.phase === "DEAD" || instruction.state.phase === "RESTARTING") this.#host.ended(instruction.state.actorId);
          if (instruction.state.phase === "DEAD") this.#functions.actorEnded(instruction.state.actorId);
          for (const watcher of instruction.watchers) this.#host.publish(watcher, instruction.state);
          if (instruction.state.phase === "DEAD") this.groups.actorEnded(instruction.state.actorId);
          break;
      }
    }
  }
}

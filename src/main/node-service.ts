import { hostname } from "node:os";
import type { Clock, SystemErrorRecord, WorkerId } from "../base/mod.ts";
import { GcsService } from "../gcs/mod.ts";
import type { WorkerLink } from "../clients/mod.ts";
import type { ClusterStateRecord, FromNode, ObjectSurveyRecord, ToNode, WorkerDeath } from "../protocol/mod.ts";
import { type NodeManager, RunDeadlines } from "../node-manager/mod.ts";
import type { StoreService } from "../object-store/mod.ts";
import type { SessionConfig } from "./bootstrap.ts";
import { ObjectSurveys } from "./object-surveys.ts";
import { OutputDrain } from "./output-drain.ts";
import { TimelineSurveys } from "./timeline-surveys.ts";

/** One machine's control: its node manager, and in an embedded runtime the GCS beside it. Routes what workers send. */
export class NodeService {
  readonly nodeManager: NodeManager;
  readonly gcs: GcsService;
  readonly store: StoreService;
  readonly #config: SessionConfig;
  readonly #onShutdown: () => void;
  readonly addresses = new Map<WorkerId, string>();
  readonly #drain: OutputDrain;
  readonly #surveys: ObjectSurveys;
  readonly #deadlines: RunDeadlines;
  readonly #timeline: TimelineSurveys;

  constructor(config: SessionConfig, nodeManager: NodeManager, clock: Clock, store: StoreService, onShutdown: () => void) {
    this.store = store;
    this.#drain = new OutputDrain(clock, (workerId, drainId) => nodeManager.send(workerId, { type: "drainOutput", drainId }));
    this.#surveys = new ObjectSurveys(clock, (workerId, surveyId, limit) => nodeManager.send(workerId, { type: "reportObjects", surveyId, limit }));
    this.#timeline = new TimelineSurveys(clock, (workerId, surveyId) => nodeManager.send(workerId, { type: "reportRuns", surveyId }));
    this.#deadlines = new RunDeadlines({ clock, send: (workerId, message) => nodeManager.send(workerId, message), endRun: (ownerId, workerId, leaseId, reason) => nodeManager.endRun(ownerId, workerId, leaseId, true, reason) });
    this.#config = config;
    this.nodeManager = nodeManager;
    this.#onShutdown = onShutdown;
    this.gcs = new GcsService({
      place: (spec) => nodeManager.placeActor(spec),
      cancelPlacement: (actorId) => nodeManager.cancelPlacement(actorId),
      start: (workerId, spec, number, wasRestarted) => nodeManager.startActor(workerId, spec, number, wasRestarted),
      endShared: (workerId, actorId, graceful, mayRestart, reason) => nodeManager.shared.end(workerId, { type: "endSharedActor", actorId, graceful, mayRestart, reason }),
      endWorker: (workerId, graceful, reason) => nodeManager.endActorWorker(workerId, graceful, reason),
      askOwner: (ownerId, actorId) => {
        if (nodeManager.isConnected(ownerId)) nodeManager.send(ownerId, { type: "whereIsActor", actorId });
        else this.gcs.actorNotCreated(actorId, { message: `its owner (worker ${ownerId}) has ended`, creation: null, refusal: null });
      },
      publish: (workerId, state) => nodeManager.publish(workerId, state),
    });
  }

  /** Serves one core worker over its link. */
  serve(workerId: WorkerId, link: WorkerLink): void {
    link.onMessage((message) => this.#onMessage(workerId, link, message));
  }

  #onMessage(senderId: WorkerId, link: WorkerLink, message: ToNode): void {
    switch (message.type) {
      case "register":
        if (message.listenAddress !== null) this.addresses.set(senderId, message.listenAddress);
        if (this.nodeManager.isExpected(senderId)) this.nodeManager.workerRegistered(senderId, link);
        return this.#registered(link);
      case "registerDriver":
        this.#addJoinedDriver(senderId, link, message);
        return this.#registered(link);
      case "leaseDemand":
        return this.nodeManager.demandLeases(senderId, message.key, message.shape, message.target, message.priority);
      case "leaseEvents":
        return this.nodeManager.leaseEvents(senderId, message.events);
      case "endRun":
        return this.nodeManager.endRun(senderId, message.workerId, message.leaseId, message.isRecursive, message.reason);
      case "runStarted":
        return this.#deadlines.started(senderId, message);
      case "runEnded":
        return this.#deadlines.ended(senderId, message.runId);
      case "connectPeer":
        return this.nodeManager.connectPeers(senderId, message.workerId);
      case "createActor": {
        const error = this.gcs.createActor(message.spec);
        return reply(link, message.requestId, null, error);
      }
      case "createSharedActor":
        return this.gcs.createSharedActor(message);
      case "watchActor":
        return this.gcs.watchActor(senderId, message.actorId, message.ownerId);
      case "actorNotCreated":
        return this.gcs.actorNotCreated(message.actorId, message.death);
      case "findActor":
        return reply(link, message.requestId, this.gcs.findActor(message.name, message.namespace), null);
      case "listNamedActors":
        return reply(link, message.requestId, this.gcs.listNamedActors(message.namespace), null);
      case "killActor":
        this.gcs.killActor(message.actorId, message.noRestart);
        return reply(link, message.requestId, null, null);
      case "actorOutOfScope":
        return this.gcs.actorOutOfScope(message.actorId);
      case "actorStarted":
        return this.gcs.actorStarted(message.actorId, message.error);
      case "actorExiting":
        return this.gcs.actorExiting(message.actorId, message.reason);
      case "actorEnded":
        this.nodeManager.shared.actorEnded(senderId, message.actorId);
        return this.gcs.actorEnded(message.actorId, message.reason);
      case "callsWait":
        return this.nodeManager.shared.callsWait(message.workerId);
      case "pong":
        return this.nodeManager.shared.answered(senderId);
      case "getCode":
        return reply(link, message.requestId, this.gcs.getCode(message.unitIds), null);
      case "clusterState":
        return reply(link, message.requestId, this.#clusterState(), null);
      case "storeAttach":
      case "storeRequest":
      case "storeRequestCancelled":
      case "storeSealed":
      case "storeAdopted":
      case "storeFreed":
      case "storeUnpinned":
      case "storeFetch":
      case "storeRead":
      case "storeCollected":
        return this.store.onMessage(senderId, message);
      case "log":
        return this.toDriversOf(message.record.workerId, { type: "log", record: message.record });
      case "drainOutput":
        return this.#drain.start(this.nodeManager.liveWorkers(this.nodeManager.jobOf(senderId)), () => reply(link, message.requestId, null, null));
      case "outputDrained":
        return this.#drain.drained(senderId, message.drainId);
      case "listObjects":
        return this.#listObjects(link, message);
      case "objectsReported":
        return this.#surveys.reported(senderId, message.surveyId, message.report);
      case "timeline":
        return this.#timeline.start(this.nodeManager.liveWorkers(), message.timeoutMs, (record) => reply(link, message.requestId, record, null));
      case "runsReported":
        return this.#timeline.reported(senderId, message.surveyId, message.report);
      case "leaving":
        return this.nodeManager.workerLeaving(senderId);
      case "exiting":
        return this.nodeManager.noteReason(senderId, message.reason, message.actorId);
      case "memoryExceeded":
        return this.nodeManager.memoryExceeded(senderId, message.usedBytes);
      case "retireRefused":
        return this.nodeManager.retireRefused(senderId);
      case "workerExited":
        // Its own last words are in another channel, which is read in this turn.
        return void setImmediate(() => this.nodeManager.workerExited(message.workerId, message.death));
      case "shutdown":
        // Whoever has joined only leaves.
        return this.nodeManager.jobOf(senderId) === this.#config.jobId ? this.#onShutdown() : link.close();
    }
  }

  #registered(link: WorkerLink): void {
    const { nodeId, totals, labels } = this.#config;
    link.send({ type: "registered", nodeId, totals, labels });
  }

  #addJoinedDriver(driverId: WorkerId, link: WorkerLink, { listenAddress, pid, job }: ToNode & { readonly type: "registerDriver" }): void {
    if (this.nodeManager.isConnected(driverId)) return;
    this.addresses.set(driverId, listenAddress);
    this.nodeManager.addJoinedDriver(driverId, link, job);
    link.onClose((reason) => {
      this.nodeManager.workerExited(driverId, { reason: reason === "lost" ? "ended without a word: its program has exited or was killed" : "left this runtime in good order", pid, isRetryable: true });
    });
  }

  toDrivers(message: FromNode): void {
    for (const driverId of this.nodeManager.drivers()) this.nodeManager.send(driverId, message);
  }

  /** To the program that this worker works for. If that has left, to the one that started the runtime. */
  toDriversOf(workerId: WorkerId, message: FromNode): void {
    const drivers = [...this.nodeManager.drivers(this.nodeManager.jobOf(workerId))];
    for (const driverId of drivers.length > 0 ? drivers : this.nodeManager.drivers(this.#config.jobId)) this.nodeManager.send(driverId, message);
  }

  workerLost(workerId: WorkerId, death: WorkerDeath): void {
    this.#deadlines.workerLost(workerId);
    this.#drain.workerLost(workerId);
    this.#surveys.workerLost(workerId);
    this.#timeline.workerLost(workerId);
    this.addresses.delete(workerId);
    this.gcs.workerLost(workerId, death);
  }

  #listObjects(link: WorkerLink, message: ToNode & { type: "listObjects" }): void {
    const { requestId, limit, timeoutMs } = message;
    const workerIds = [...this.nodeManager.drivers(), ...this.nodeManager.liveWorkers()];
    // What one worker holds no longer may be the last that keeps another's: all collect before the first is asked.
    if (message.collectsGarbage) return this.#surveys.start(workerIds, 0, timeoutMs, () => this.#listObjects(link, { ...message, collectsGarbage: false }));
    this.#surveys.start(workerIds, limit, timeoutMs, (workers, unansweredWorkerIds) => {
      // After the workers: what they freed or made before they answered has arrived here.
      reply(link, requestId, { store: this.store.list(limit), workers, unansweredWorkerIds } satisfies ObjectSurveyRecord, null);
    });
  }

  #clusterState(): ClusterStateRecord {
    const { nodeId, address, totals, labels } = this.#config;
    return { nodes: [{ nodeId, isAlive: true, address, hostname: hostname(), totals, available: this.nodeManager.available, labels }] };
  }
}

function reply(link: WorkerLink, requestId: number, result: unknown, error: SystemErrorRecord | null): void {
  link.send({ type: "reply", requestId, result, error });
}

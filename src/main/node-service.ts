import { nodeKeyOf, type Clock, type JobId, type ObjectId, type SystemErrorRecord, type WorkerId } from "../base/mod.ts";
import type { GcsClient, WorkerLink } from "../clients/mod.ts";
import type { FromNode, NodeQuestion, NodeWaits, ObjectSurveyRecord, PackagePiece, TimelineRecord, ToNode, WaitsQuestion, WorkerDeath, WorkerObjectsReport, WorkerWaits } from "../protocol/mod.ts";
import { type NodeManager, RunDeadlines } from "../node-manager/mod.ts";
import type { ObjectManager, StoreService } from "../object-store/mod.ts";
import type { EnvironmentAgent } from "../runtime-env/mod.ts";
import type { SessionConfig } from "./bootstrap.ts";
import type { KeptModules } from "./kept-modules.ts";
import { joinedSurveys, joinedTimelines } from "./joined-answers.ts";
import { LastWords } from "./last-words.ts";
import type { NodeCluster } from "./node-cluster.ts";
import { OutputDrain } from "./output-drain.ts";
import { TimelineSurveys } from "./timeline-surveys.ts";
import { WorkerSurvey } from "./worker-survey.ts";

/** How a program has ended that has said so. */
const LEFT = "left this runtime in good order";

/** One node's control: routes what its workers send, to its node manager, its object store or the GCS. */
export interface NodeServiceSetting {
  readonly config: Pick<SessionConfig, "jobId" | "nodeId" | "totals" | "labels">;
  readonly nodeManager: NodeManager;
  readonly gcs: GcsClient;
  /** Null for a node that is alone. */
  readonly cluster: NodeCluster | null;
  readonly environments: Pick<EnvironmentAgent, "receivePackage" | "packagePiece">;
  readonly modules: Pick<KeptModules, "pack" | "kept" | "dropped" | "recall">;
  readonly clock: Clock;
  readonly store: Pick<StoreService, "onMessage" | "list" | "roomWaits" | "objectsOfOthers">;
  /** Null for a node that is alone. */
  readonly objects: Pick<ObjectManager, "onPull" | "onPrefetch" | "pullCancelled" | "keep" | "nodeLost"> | null;
  /** It is up, and has a channel. */
  readonly onWorkerStarted: (workerId: WorkerId) => void;
  readonly onShutdown: () => void;
}

export class NodeService {
  readonly nodeManager: NodeManager;
  readonly gcs: GcsClient;
  readonly store: NodeServiceSetting["store"];
  readonly modules: NodeServiceSetting["modules"];
  readonly objects: NodeServiceSetting["objects"];
  readonly #config: NodeServiceSetting["config"];
  readonly #cluster: NodeCluster | null;
  readonly #environments: NodeServiceSetting["environments"];
  readonly #onWorkerStarted: (workerId: WorkerId) => void;
  readonly #onShutdown: () => void;
  readonly addresses = new Map<WorkerId, string>();
  /** Drivers on other machines, which reach workers over the network alone. */
  readonly networked = new Set<WorkerId>();
  readonly #lastWords: LastWords;
  readonly #drain: OutputDrain;
  readonly #objectSurveys: WorkerSurvey<number, WorkerObjectsReport>;
  readonly #deadlines: RunDeadlines;
  readonly #timeline: TimelineSurveys;
  readonly #waits: WorkerSurvey<ObjectId | null, WorkerWaits>;

  constructor({ config, nodeManager, gcs, cluster, environments, modules, clock, store, objects, onWorkerStarted, onShutdown }: NodeServiceSetting) {
    this.#environments = environments;
    this.modules = modules;
    this.store = store;
    this.objects = objects;
    this.gcs = gcs;
    this.#cluster = cluster;
    this.#lastWords = new LastWords(clock);
    this.#drain = new OutputDrain(clock, (workerId, drainId) => nodeManager.send(workerId, { type: "drainOutput", drainId }));
    this.#objectSurveys = new WorkerSurvey(clock, (workerId, surveyId, limit) => nodeManager.send(workerId, { type: "reportObjects", surveyId, limit }));
    this.#timeline = new TimelineSurveys(clock, (workerId, surveyId) => nodeManager.send(workerId, { type: "reportRuns", surveyId }));
    this.#waits = new WorkerSurvey(clock, (workerId, surveyId, objectId) => nodeManager.send(workerId, { type: "reportWaits", surveyId, objectId }));
    this.#deadlines = new RunDeadlines({ clock, send: (workerId, message) => nodeManager.send(workerId, message), endRun: (ownerId, workerId, leaseId, reason) => nodeManager.endRun(ownerId, workerId, leaseId, true, reason) });
    this.#config = config;
    this.nodeManager = nodeManager;
    this.#onWorkerStarted = onWorkerStarted;
    this.#onShutdown = onShutdown;
  }

  /** Serves one core worker over its link. */
  serve(workerId: WorkerId, link: WorkerLink): void {
    link.onMessage((message) => this.#onMessage(workerId, link, message));
  }

  #onMessage(senderId: WorkerId, link: WorkerLink, message: ToNode): void {
    switch (message.type) {
      case "register":
        if (message.listenAddress !== null) this.addresses.set(senderId, message.listenAddress);
        this.#onWorkerStarted(senderId);
        this.#lastWords.linked(senderId, link);
        if (this.nodeManager.isExpected(senderId)) this.nodeManager.workerRegistered(senderId, link, message.pid);
        return this.#registered(link);
      case "packagePiece":
        return this.#environments.receivePackage(senderId, message);
      case "registerDriver":
        this.#addJoinedDriver(senderId, link, message);
        return this.#registered(link);
      case "leaseDemand":
        return this.nodeManager.demandLeases(senderId, message.key, message.shape, message.target, message.priority);
      case "leaseEvents":
        return this.nodeManager.leaseEvents(senderId, message.events);
      case "leaseSettled":
        if (this.#cluster?.passOn(message.workerId, senderId, message) === true) return undefined;
        return this.nodeManager.leaseQuestions.settled(message.leaseId);
      case "endRun":
        if (this.#cluster?.passOn(message.workerId, senderId, message) === true) return undefined;
        return this.nodeManager.endRun(senderId, message.workerId, message.leaseId, message.isRecursive, message.reason);
      case "runStarted":
        return this.#deadlines.started(senderId, message);
      case "runEnded":
        return this.#deadlines.ended(senderId, message.runId);
      case "peerBroken":
        return this.nodeManager.introductions.broken(senderId, message.workerId, message.isDriver);
      case "connectPeer":
        return this.nodeManager.connectPeers(senderId, message.workerId);
      case "createActor":
      case "createSharedActor":
      case "watchActor":
      case "actorNotCreated":
      case "findActor":
      case "listNamedActors":
      case "killActor":
      case "actorOutOfScope":
      case "actorStarted":
      case "actorExiting":
      case "getCode":
      case "clusterState":
      case "listWaiting":
      case "createPlacementGroup":
      case "removePlacementGroup":
      case "watchPlacementGroup":
      case "placementGroupTold":
      case "findPlacementGroup":
      case "listPlacementGroups":
        return this.gcs.fromWorker(senderId, message);
      case "actorEnded":
        this.nodeManager.shared.actorEnded(senderId, message.actorId);
        return this.gcs.fromWorker(senderId, message);
      case "listening":
        return this.nodeManager.send(message.askerId, { type: "connectSocket", workerId: senderId, address: message.address });
      case "callsWait":
        if (this.#cluster?.passOn(message.workerId, senderId, message) === true) return undefined;
        return this.nodeManager.shared.callsWait(message.workerId);
      case "pong":
        this.nodeManager.shared.answered(senderId);
        return this.nodeManager.introductions.answered(senderId);
      case "storeAttach":
      case "storeRequest":
      case "storeRequestCancelled":
      case "storeSealed":
      case "storeUnpinned":
      case "storeFetch":
      case "storeRead":
      case "storeCollected":
        return this.store.onMessage(senderId, message);
      case "storeAdopted":
      case "storeFreed":
        if (message.node === nodeKeyOf(this.#config.nodeId)) return this.store.onMessage(senderId, message);
        return void this.#cluster?.passOn(message.node, senderId, message);
      case "storePull":
        if (this.objects !== null) return this.objects.onPull(senderId, message);
        return reply(link, message.requestId, null, { kind: "ObjectLostError", message: `this object is on node ${message.node}, which this node is not connected with`, subjectId: String(message.id) });
      case "storePrefetch":
        return this.objects?.onPrefetch(senderId, message);
      case "storePullCancelled":
        return this.objects?.pullCancelled(senderId, message.requestId);
      case "log":
        return this.toDriversOf(message.record.workerId, { type: "log", record: message.record });
      case "recallModules":
        return void this.modules.recall(message.driverId).then((isHere) => reply(link, message.requestId, isHere, null), (error: Error) => reply(link, message.requestId, null, { kind: "SerializationError", message: `Modules that were kept of a program cannot be laid out here: ${error.message}`, subjectId: null }));
      case "drainOutput":
        return void this.#drainOutput(this.nodeManager.jobOf(senderId)).then(() => reply(link, message.requestId, null, null));
      case "stuckHere":
        return reply(link, message.requestId, !this.#tellProgramOf(senderId, { type: "stuckElsewhere", keys: message.keys }), null);
      case "outputDrained":
        return this.#drain.drained(senderId, message.drainId);
      case "listObjects":
        return void this.#listObjects(message).then((survey) => reply(link, message.requestId, survey, null));
      case "objectsReported":
        return this.#objectSurveys.answered(senderId, message.surveyId, message.report);
      case "timeline":
        return void this.#askTimeline(message.timeoutMs).then((record) => reply(link, message.requestId, record, null));
      case "runsReported":
        return this.#timeline.reported(senderId, message.surveyId, message.report);
      case "listWaits":
        return void this.#listWaits(message).then((nodes) => reply(link, message.requestId, nodes, null));
      case "waitsReported":
        return this.#waits.answered(senderId, message.surveyId, message.waits);
      case "leaving":
        return this.nodeManager.workerLeaving(senderId);
      case "exiting":
        return this.nodeManager.noteReason(senderId, message.reason, message.actorId);
      case "memoryExceeded":
        return this.nodeManager.memoryExceeded(senderId, message.usedBytes);
      case "retireRefused":
        return this.nodeManager.retireRefused(senderId);
      case "workerExited":
        return this.whenSilent(message.workerId, () => this.nodeManager.workerExited(message.workerId, message.death));
      case "shutdown":
        // Whoever has joined only leaves.
        return this.nodeManager.jobOf(senderId) === this.#config.jobId ? this.#onShutdown() : this.#leave(senderId, link);
    }
  }

  /** When a worker that has ended says nothing more: what it has said comes first. */
  whenSilent(workerId: WorkerId, tell: () => void): void {
    this.#lastWords.after(workerId, tell);
  }

  #registered(link: WorkerLink): void {
    const { nodeId, totals, labels } = this.#config;
    link.send({ type: "registered", nodeId, totals, labels });
  }

  #addJoinedDriver(driverId: WorkerId, link: WorkerLink, { listenAddress, pid, job }: ToNode & { readonly type: "registerDriver" }): void {
    if (this.nodeManager.isConnected(driverId)) return;
    if (listenAddress !== null) this.addresses.set(driverId, listenAddress);
    else this.networked.add(driverId);
    this.nodeManager.addJoinedDriver(driverId, link, job);
    this.#cluster?.driverJoined(job);
    link.onClose((reason) => {
      this.nodeManager.workerExited(driverId, { reason: reason === "lost" ? "ended without a word: its program has exited or was killed" : LEFT, pid, isRetryable: true });
    });
  }

  /** Its link closes when what ends with it has ended: whoever hears of its shutdown then finds nothing of it. */
  #leave(driverId: WorkerId, link: WorkerLink): void {
    const job = this.nodeManager.jobOfDriver(driverId);
    this.nodeManager.workerExited(driverId, { reason: LEFT, pid: 0, isRetryable: true });
    if (job === undefined) link.close();
    else this.gcs.awaitJobEnd(job.jobId, () => link.close());
  }

  toDrivers(message: FromNode): void {
    for (const driverId of this.nodeManager.drivers()) this.nodeManager.send(driverId, message);
  }

  /** To the program that this worker works for. If that has left, to the one that started the runtime. */
  toDriversOf(workerId: WorkerId, message: FromNode): void {
    const { here, farId } = this.#programOf(workerId);
    if (farId !== null) return this.nodeManager.send(farId, this.#cluster?.labelled(message) ?? message);
    for (const driverId of here.length > 0 ? here : this.nodeManager.drivers(this.#config.jobId)) this.nodeManager.send(driverId, message);
  }

  /** False if it has left. */
  #tellProgramOf(workerId: WorkerId, message: FromNode): boolean {
    const { here, farId } = this.#programOf(workerId);
    const live = farId === null || this.nodeManager.isGone(farId) ? here : [farId];
    for (const driverId of live) this.nodeManager.send(driverId, message);
    return live.length > 0;
  }

  /** The drivers at this node of the program that this worker works for; if there is none, the one at another node, which may have left. */
  #programOf(workerId: WorkerId): { readonly here: readonly WorkerId[]; readonly farId: WorkerId | null } {
    const jobId = this.nodeManager.jobOf(workerId);
    const here = [...this.nodeManager.drivers(jobId)];
    return { here, farId: here.length > 0 ? null : (this.nodeManager.job(jobId)?.driverId ?? null) };
  }

  workerLost(workerId: WorkerId, death: WorkerDeath): void {
    this.#deadlines.workerLost(workerId);
    this.#drain.workerLost(workerId);
    this.#objectSurveys.workerLost(workerId);
    this.#timeline.workerLost(workerId);
    this.#waits.workerLost(workerId);
    this.addresses.delete(workerId);
    this.networked.delete(workerId);
    this.gcs.workerLost(workerId, death);
    const job = this.nodeManager.jobOfDriver(workerId);
    if (job !== undefined) this.gcs.jobEnded(job.jobId);
  }

  // ------------------------------------------------------------------ what all nodes are asked

  /** Of another node: what this one's part of the answer is. */
  answer(question: NodeQuestion): Promise<unknown> {
    switch (question.type) {
      case "package":
        return this.#packagePiece(question.name, question.offset);
      case "drainOutput":
        return new Promise((resolve) => this.#drain.start(this.nodeManager.liveWorkers(question.jobId), () => resolve(null)));
      case "listObjects":
        return this.#listObjectsHere(question);
      case "timeline":
        return new Promise((resolve) => this.#timeline.start(this.nodeManager.liveWorkers(), question.timeoutMs, resolve));
      case "listWaits":
        return this.#listWaitsHere(question);
    }
  }

  async #packagePiece(name: string, offset: number | null): Promise<PackagePiece | null> {
    const piece = await this.#environments.packagePiece(name, offset).catch(() => null);
    return piece === null ? null : { node: nodeKeyOf(this.#config.nodeId), ...piece };
  }

  async #drainOutput(jobId: JobId): Promise<void> {
    const question: NodeQuestion = { type: "drainOutput", jobId };
    await Promise.all([this.answer(question), this.#cluster?.ask(question)]);
  }

  async #askTimeline(timeoutMs: number): Promise<TimelineRecord> {
    const question: NodeQuestion = { type: "timeline", timeoutMs };
    const [own, others] = await Promise.all([this.answer(question) as Promise<TimelineRecord>, this.#cluster?.ask(question) ?? []]);
    return joinedTimelines([own, ...(others as TimelineRecord[])]);
  }

  async #listObjects({ limit, timeoutMs, collectsGarbage }: NodeQuestion & { readonly type: "listObjects" }): Promise<ObjectSurveyRecord> {
    const question: NodeQuestion = { type: "listObjects", limit, timeoutMs, collectsGarbage };
    const [own, others] = await Promise.all([this.#listObjectsHere(question), this.#cluster?.ask(question) ?? []]);
    return joinedSurveys([own, ...(others as ObjectSurveyRecord[])], limit);
  }

  async #listWaits({ jobId, objectId, timeoutMs }: WaitsQuestion): Promise<NodeWaits[]> {
    const question: NodeQuestion = { type: "listWaits", jobId, objectId, timeoutMs };
    const [own, others] = await Promise.all([this.#listWaitsHere(question), this.#cluster?.ask(question) ?? []]);
    return [own, ...(others as NodeWaits[])];
  }

  #listWaitsHere({ jobId, objectId, timeoutMs }: WaitsQuestion): Promise<NodeWaits> {
    const workerIds = [...this.nodeManager.drivers(jobId ?? undefined), ...this.nodeManager.liveWorkers(jobId ?? undefined)];
    // After the workers: what they were told before they answered, this node has done.
    return new Promise((resolve) => this.#waits.start(workerIds, objectId, timeoutMs, (workers, unansweredWorkerIds) => {
      resolve({ ...this.nodeManager.waits(), roomWaits: this.store.roomWaits().filter(({ workerId }) => workerIds.includes(workerId)), workers, unansweredWorkerIds });
    }));
  }

  #listObjectsHere({ limit, timeoutMs, collectsGarbage }: NodeQuestion & { readonly type: "listObjects" }): Promise<ObjectSurveyRecord> {
    const workerIds = [...this.nodeManager.drivers(), ...this.nodeManager.liveWorkers()];
    return new Promise((resolve) => {
      const list = (): void => this.#objectSurveys.start(workerIds, limit, timeoutMs, (workers, unansweredWorkerIds) => {
        // After the workers: what they freed or made before they answered has arrived here.
        resolve({ store: this.store.list(limit), workers, unansweredWorkerIds });
      });
      // What one worker holds no longer may be the last that keeps another's: all collect before the first is asked.
      if (collectsGarbage) this.#objectSurveys.start(workerIds, 0, timeoutMs, list);
      else list();
    });
  }
}

function reply(link: WorkerLink, requestId: number, result: unknown, error: SystemErrorRecord | null): void {
  link.send({ type: "reply", requestId, result, error });
}

import { afterThis, nodeKeyOf, type Clock, type NodeKey, type ResourceAmounts, type Timer, type WorkerId } from "../base/mod.ts";
import { RemoteGcs } from "../clients/mod.ts";
import type { ObjectManager, StoreService } from "../object-store/mod.ts";
import { HandOver, type NodeManager, OtherNodes, type ClusterSide, type PeerNodeLink } from "../node-manager/mod.ts";
import { type AskerRecord, type BundleReport, type FarRequest, type FromGcs, type FromNode, type JobRecord, type NetworkAddress, type NodeLoadChange, type NodeQuestion, type NodeRecord, type NodeToNode, specFrom, textOf, type ToGcs, type WorkerDeath } from "../protocol/mod.ts";
import { areAny, changesBetween, keepUp, type KnownAmounts, knownAtFirst } from "../scheduling/mod.ts";
import type { KeptModules } from "./kept-modules.ts";
import { WorkerSurvey } from "./worker-survey.ts";

/** Changes of what is free are told to the GCS together, so often at most. */
const LOAD_REPORT_MS = 5;
/** Of bundles: each is told behind the load that has it, */
const CHANGES_WHAT_IS_FREE: ReadonlySet<BundleReport["type"]> = new Set(["bundlesCommitted", "bundlesReturned"]);
/** unless the load has more names than this. Each bundle adds some, and all are looked through for what has changed. */
const NAMES_TOLD_EACH_TIME_MAX = 2_000;
/** A node that does not answer in time is left out. */
const ANSWER_MS_MAX = 5_000;
/** Of an id, for leases: each node gives its own from here on. */
const LEASES_PER_NODE = 2 ** 32;

interface FreeResources {
  readonly totals: ResourceAmounts;
  readonly available: ResourceAmounts;
}

/** What this node does for the others. */
const GONE_BEFORE: WorkerDeath = { reason: "had ended before this node joined", pid: 0, isRetryable: true };

export interface ServingNode {
  readonly nodeManager: NodeManager;
  readonly store: Pick<StoreService, "onMessage" | "objectsOfOthers">;
  readonly objects: Pick<ObjectManager, "keep" | "nodeLost"> | null;
  toDrivers(message: FromNode): void;
  readonly modules: Pick<KeptModules, "pack" | "kept" | "dropped">;
  /** This node's part of the answer. */
  answer(question: NodeQuestion): Promise<unknown>;
}

export interface NodeClusterSetting {
  readonly clock: Clock;
  readonly record: NodeRecord;
  /** How the GCS has answered. */
  readonly joined: FromGcs & { readonly type: "joined" };
  toGcs(message: ToGcs): void;
  connect(record: NodeRecord): Promise<PeerNodeLink>;
  /** It has drained, or has no time left for that: it is to leave. `reason` follows "the node …". */
  leave(reason: string): void;
}

/** One node's part in the cluster: what it says to the GCS and to the other nodes, and what they say to it. */
export class NodeCluster {
  readonly gcs: RemoteGcs;
  readonly side: ClusterSide;
  readonly #setting: NodeClusterSetting;
  readonly #others: OtherNodes;
  readonly #surveys: WorkerSurvey<NodeQuestion, { readonly answer: unknown }>;
  #service: ServingNode | null = null;
  #onAttached: () => void = () => undefined;
  #load: FreeResources | null = null;
  /** What the GCS knows, as it keeps it. */
  readonly #told: KnownAmounts & { names: number; rest: string };
  #isToldAnyway = true;
  #loadVersion = 0;
  #loadTimer: Timer | null = null;
  /** What is told when the load has been. */
  readonly #withLoad: ToGcs[] = [];
  /** Others that take nothing new. */
  readonly #drainingOthers = new Set<NodeKey>();
  /** Once this node drains. */
  #handOver: HandOver | null = null;
  #drainTimer: Timer | null = null;
  #isStopped = false;

  constructor(setting: NodeClusterSetting) {
    this.#setting = setting;
    const { clock, joined, record } = setting;
    this.#told = { ...knownAtFirst(record.totals), names: 0, rest: "" };
    this.gcs = new RemoteGcs((message) => {
      if (message.type === "bundleReport" && CHANGES_WHAT_IS_FREE.has(message.report.type) && this.#isLoadSmall) return this.#tellWithLoad(message);
      this.#toGcs(message.type === "fromWorker" ? this.#withRoot(message) : message);
      if (message.type === "actorPlaced" || message.type === "placementRefused" || message.type === "bundleReport") this.#tellLoadAnew();
    });
    this.#surveys = new WorkerSurvey(clock, (node, surveyId, question) => void this.#others.send(node, { type: "survey", surveyId, question }));
    this.#others = new OtherNodes({
      clock, connect: (other) => setting.connect(other),
      onMessage: (key, message) => this.#onNodeMessage(key, message),
      askerOf: (workerId) => this.#asker(workerId),
      unreachable: (node) => this.#toGcs({ type: "unreachable", node }),
    });
    this.side = {
      firstLeaseId: joined.nodeNumber * LEASES_PER_NODE + 1,
      toWorker: (workerId, message) => this.#others.toWorker(workerId, message),
      fromWorker: (node, senderId, message) => this.#others.fromWorker(node, senderId, message),
      loadChanged: (totals, available) => this.#loadChanged({ totals, available }),
      wantsChanged: () => {
        if (this.#load !== null) this.#loadChanged(this.#load);
      },
      actorDeclined: (actorId) => this.#toGcs({ type: "actorDeclined", actorId }),
      actorMakesTrouble: (actorId) => this.#toGcs({ type: "actorMakesTrouble", actorId }),
      drained: () => this.#handOver?.finish(() => {
        // Unless a program has joined here meanwhile.
        if (this.#service?.nodeManager.isDrained === true) setting.leave(`has been drained${this.#leftBehind()}`);
      }),
    };
  }

  get #node(): NodeKey {
    return nodeKeyOf(this.#setting.record.nodeId);
  }

  #asker(workerId: WorkerId): AskerRecord | null {
    const nodeManager = this.#service?.nodeManager;
    const job = nodeManager?.job(nodeManager.jobOf(workerId));
    return nodeManager === undefined || job === undefined ? null : { job, rootId: nodeManager.rootOf(workerId) };
  }

  #toGcs(message: ToGcs): void {
    if (!this.#isStopped) this.#setting.toGcs(message);
  }

  /** The GCS knows drivers and actors, but not for whom a worker runs its tasks. */
  #withRoot(message: ToGcs & { readonly type: "fromWorker" }): ToGcs {
    const { senderId, message: { type } } = message;
    const rootId = type === "createActor" || type === "createSharedActor" ? this.#service?.nodeManager.rootOf(senderId) : undefined;
    return rootId === undefined || rootId === senderId ? message : { ...message, rootId };
  }

  /** Called when messages are taken. */
  onAttached(callback: () => void): void {
    this.#onAttached = callback;
  }

  /** From now on messages are taken. */
  attach(service: ServingNode): void {
    this.#service = service;
    const { nodes, loads, lostNodes, lostWorkers } = this.#setting.joined;
    for (const node of lostNodes) {
      // Or whoever is sent here with the old place of an object that one of them has handed on would wait until it counts as unreachable.
      service.objects?.nodeLost(node, "it was no part of the cluster any more when this node joined");
      service.nodeManager.farNodeLost(node, GONE_BEFORE);
    }
    // Or what one of them has started would go on here, if another worker that ends with it has still asked for that.
    for (const workerId of lostWorkers) service.nodeManager.farWorkerLost(workerId, GONE_BEFORE);
    for (const record of nodes) this.#nodeJoined(record);
    this.#notice(loads);
    service.nodeManager.spreading?.loadsKnown(loads);
    this.#onAttached();
  }

  // ------------------------------------------------------------------ to others

  driverJoined(job: JobRecord): void {
    this.#toGcs({ type: "driverJoined", job });
  }

  /** True if the worker that it is about lives elsewhere: its node has it then. */
  passOn(workerId: WorkerId, senderId: WorkerId, message: FarRequest): boolean {
    const node = nodeKeyOf(workerId);
    return node !== this.#node && this.#others.fromWorker(node, senderId, message);
  }

  /** For a driver of another node: output says where it comes from. */
  labelled(message: FromNode): FromNode {
    return message.type === "log" ? { ...message, record: { ...message.record, nodeAddress: textOf(this.#setting.record.address) } } : message;
  }

  /** Where that node gives the bytes of its objects. */
  async objectAddressOf(node: NodeKey): Promise<NetworkAddress> {
    const address = this.#others.get(node)?.objectAddress;
    if (address == null) throw new Error(`there is no node ${node}, or it gives no objects to others`);
    return address;
  }

  /** Of all other nodes, or of one; those that do not answer in time are left out. */
  ask(question: NodeQuestion, only?: NodeKey): Promise<unknown[]> {
    return new Promise((resolve) => {
      this.#surveys.start(only === undefined ? this.#others.keys() : [only], question, ANSWER_MS_MAX, (answers) => resolve(answers.map(({ answer }) => answer)));
    });
  }

  #loadChanged(free: FreeResources): void {
    this.#load = free;
    this.#loadTimer ??= this.#setting.clock.after(LOAD_REPORT_MS, () => {
      this.#loadTimer = null;
      this.#tellLoad();
    });
  }

  #tellLoad(): void {
    if (this.#load === null) return;
    const wants = this.#service?.nodeManager.spreading?.wants ?? [];
    const told = this.#told;
    const totals = changesBetween(told.totals, this.#load.totals);
    const available = changesBetween(told.available, this.#load.available);
    const others = { isDraining: this.#handOver !== null, ...(wants.length === 0 ? {} : { wants }) };
    const rest = JSON.stringify(others);
    if (!this.#isToldAnyway && rest === told.rest && !areAny(totals) && !areAny(available)) return;
    this.#isToldAnyway = false;
    keepUp(told, { totals, available });
    told.names = Object.keys(told.totals).length;
    told.rest = rest;
    this.#toGcs({ type: "load", change: { node: this.#node, version: ++this.#loadVersion, totals, available, ...others } });
  }

  /** The GCS counts what it has sent here as taken until it hears of the load again: that it is as before must be said, too. */
  #tellLoadAnew(): void {
    this.#isToldAnyway = true;
    if (this.#load !== null) this.#loadChanged(this.#load);
  }

  get #isLoadSmall(): boolean {
    return this.#load !== null && this.#told.names <= NAMES_TOLD_EACH_TIME_MAX;
  }

  /** Behind the load, one for all of this turn: whoever has waited for a group, or for its end, and then asks what is free, or makes another group, finds it so. */
  #tellWithLoad(message: ToGcs): void {
    if (this.#withLoad.push(message) > 1) return;
    afterThis(() => {
      this.#isToldAnyway = true;
      this.#tellLoad();
      for (const one of this.#withLoad.splice(0)) this.#toGcs(one);
    });
  }

  // ------------------------------------------------------------------ from others

  #nodeJoined(record: NodeRecord): void {
    this.#others.joined(record);
    this.#service?.nodeManager.spreading?.nodeJoined(nodeKeyOf(record.nodeId), record);
  }

  #nodeLost(key: NodeKey, death: WorkerDeath): void {
    this.#others.lost(key);
    this.#drainingOthers.delete(key);
    this.#handOver?.nodeLost(key);
    this.#surveys.workerLost(key);
    this.#service?.nodeManager.farNodeLost(key, death);
  }

  acceptNode(key: NodeKey, link: PeerNodeLink): void {
    this.#others.accept(key, link);
  }

  onGcsMessage(message: FromGcs): void {
    const nodeManager = this.#service?.nodeManager;
    if (nodeManager === undefined || this.#isStopped) return;
    switch (message.type) {
      case "joined":
      case "resumed":
        return undefined;
      case "refused":
        return this.#setting.leave(`was taken out of its cluster: it ${message.reason}`);
      case "nodeJoined":
        return this.#nodeJoined(message.record);
      case "nodeLost":
        return this.#nodeLost(nodeKeyOf(message.nodeId), message.death);
      case "loads":
        this.#notice(message.changes);
        return nodeManager.spreading?.loadsChanged(message.changes);
      case "actorsWait":
        return nodeManager.spreading?.actorsWait(message.wants);
      case "toWorker":
        return this.#fromGcsTo(nodeManager, message.workerId, message.message);
      case "bundleOrder":
        return nodeManager.groups.ordered(message.order);
      case "placeActor":
        if (message.job !== null) nodeManager.jobSeen(message.job);
        return nodeManager.placeActor(message.placement, message.rootId);
      case "cancelPlacement":
        return nodeManager.cancelPlacement(message.actorId);
      case "withdrawActor":
        return nodeManager.withdrawActor(message.actorId);
      case "drain":
        return this.#drain(this.#service as ServingNode, message.timeLeftMs);
      case "moveActor":
        return nodeManager.send(message.workerId, { type: "moveActor", actorId: message.actorId });
      case "startActor": {
        const { workerId, template, actorId, args, number, wasRestarted } = message;
        // The one of its own worker goes there as it is; of shared ones the parts do.
        return nodeManager.startActor(workerId, template.isShared ? specFrom(template, actorId, args) : { ...template, actorId, args }, number, wasRestarted);
      }
      case "endSharedActor": {
        const { workerId, actorId, graceful, mayRestart, reason, endReason } = message;
        return nodeManager.shared.end(workerId, { type: "endSharedActor", actorId, graceful, mayRestart, reason, endReason });
      }
      case "endActorWorker":
        return nodeManager.endActorWorker(message.workerId, message.graceful, message.reason);
      case "askOwner":
        if (nodeManager.isConnected(message.ownerId)) nodeManager.send(message.ownerId, { type: "whereIsActor", actorId: message.actorId });
        else this.gcs.fromWorker(message.ownerId, { type: "actorNotCreated", actorId: message.actorId, death: { message: `its owner (worker ${message.ownerId}) has ended`, reason: "ownerEnded", creation: null, refusal: null } });
        return undefined;
      case "jobLeaves":
        return nodeManager.jobEnds.ask(message.jobId, message.staying, (ends) => {
          // Who asks what is free then hears of what was given back.
          this.#tellLoad();
          this.#toGcs({ type: "jobLeft", jobId: message.jobId, ends });
        });
      case "keepModules":
        return void this.#service?.modules.pack(message.driverId).then((name) => {
          if (name !== null) this.#toGcs({ type: "modulesKept", driverId: message.driverId, name });
        });
      case "modulesKept":
        return void this.#service?.modules.kept(message.driverId, message.name, message.isToFetch);
      case "modulesDropped":
        return void this.#service?.modules.dropped(message.driverId);
      case "jobIsOver":
        return this.gcs.jobIsOver(message.jobId);
      case "workerLost":
        return nodeManager.farWorkerLost(message.workerId, message.death);
      case "areYouAlive":
        return this.#toGcs({ type: "alive" });
    }
  }

  #notice(loads: readonly NodeLoadChange[]): void {
    for (const { node, isDraining } of loads) if (isDraining) this.#drainingOthers.add(node);
  }

  // ------------------------------------------------------------------ leaving

  #drain({ nodeManager, store }: ServingNode, timeLeftMs: number | null): void {
    this.#handOver ??= new HandOver({
      clock: this.#setting.clock, nodes: () => this.#others.keys().filter((node) => !this.#drainingOthers.has(node)),
      objects: () => store.objectsOfOthers().filter(({ ownerId }) => ownerId === null || !nodeManager.isGone(ownerId)),
      offer: ({ node, id, byteLength, ownerId }) => void this.#others.send(node, { type: "takeObject", id, byteLength, ownerId }),
    });
    this.#drainTimer?.cancel();
    if (timeLeftMs !== null) this.#drainTimer = this.#setting.clock.after(timeLeftMs, () => this.#setting.leave(`was drained, and had ${nodeManager.isDrained ? "objects" : "work"} left at its deadline${this.#leftBehind()}`));
    nodeManager.drain();
  }

  #leftBehind(): string {
    const left = this.#handOver?.leftBehind ?? "";
    return left === "" ? "" : `; no other node has ${left} that it had`;
  }

  /** Another node drains: this one has the object from now on, if it can. Its owner hears of it from here, whatever becomes of that node. */
  async #take({ nodeManager, objects, store }: ServingNode, from: NodeKey, { id, byteLength, ownerId }: NodeToNode & { readonly type: "takeObject" }): Promise<void> {
    const ownersNode = nodeKeyOf(ownerId);
    const isGone = (): boolean => nodeManager.isGone(ownerId) || (ownersNode !== this.#node && !this.#others.has(ownersNode));
    const isToStay = (): boolean => this.#handOver === null && !isGone();
    let kept = objects === null || !isToStay() ? "failed" as const : await objects.keep({ node: from, id, byteLength }, ownerId);
    if (typeof kept !== "string" && !isToStay()) {
      // It may have nothing left to do but leave: its owner would hear of a place that is gone.
      store.onMessage(ownerId, { type: "storeFreed", node: this.#node, id: kept.id, isReused: false });
      kept = "failed";
    }
    if (typeof kept !== "string") nodeManager.send(ownerId, { type: "objectMoved", from: { node: from, id }, to: kept });
    this.#others.send(from, { type: "objectTaken", id, refusal: typeof kept === "string" ? kept : null });
  }

  #fromGcsTo(nodeManager: NodeManager, workerId: WorkerId, message: FromNode): void {
    // Whoever is gone has nothing to say any more.
    if (message.type === "wherePlacementGroup" && !nodeManager.isConnected(workerId)) return this.gcs.fromWorker(workerId, { type: "placementGroupTold", groupId: message.groupId });
    nodeManager.sendSoon(workerId, message);
  }

  #onNodeMessage(key: NodeKey, message: NodeToNode): void {
    const service = this.#service;
    if (service === null) return;
    switch (message.type) {
      case "toWorker":
        if (message.message.type === "leaseGranted" && !service.nodeManager.isConnected(message.workerId)) return void this.#others.send(key, { type: "ownerGone", workerId: message.workerId });
        return service.nodeManager.receiveFor(message.workerId, message.message, key);
      case "fromWorker":
        return this.#onFarRequest(service, message.senderId, message.message, message.asker);
      case "ownerGone":
        return service.nodeManager.farWorkerLost(message.workerId, { reason: "has ended", pid: 0, isRetryable: true });
      case "takeObject":
        return void this.#take(service, key, message);
      case "objectTaken":
        return this.#handOver?.answered(message.id, key, message.refusal);
      case "survey":
        return void service.answer(message.question).then((answer) => void this.#others.send(key, { type: "surveyed", surveyId: message.surveyId, answer }));
      case "surveyed":
        return this.#surveys.answered(key, message.surveyId, { answer: message.answer });
    }
  }

  #onFarRequest({ nodeManager, store }: ServingNode, senderId: WorkerId, message: FarRequest, asker: AskerRecord | null): void {
    switch (message.type) {
      case "leaseDemand":
        if (asker !== null) nodeManager.demandFromFar(senderId, asker, message);
        return undefined;
      case "leaseSettled":
        return nodeManager.leaseQuestions.settled(message.leaseId);
      case "endRun":
        return nodeManager.endRun(senderId, message.workerId, message.leaseId, message.isRecursive, message.reason);
      case "connectPeer":
        return nodeManager.connectPeers(senderId, message.workerId);
      case "peerBroken":
        return nodeManager.introductions.broken(senderId, message.workerId, message.isDriver);
      case "callsWait":
        return nodeManager.shared.callsWait(message.workerId);
      case "storeAdopted":
      case "storeFreed":
        return store.onMessage(senderId, message);
    }
  }

  /** What ends here from now on has ended with this node: nobody else hears of it. */
  stop(): void {
    this.#isStopped = true;
    this.#loadTimer?.cancel();
    this.#drainTimer?.cancel();
    this.#handOver?.stop();
    this.#others.close();
  }
}

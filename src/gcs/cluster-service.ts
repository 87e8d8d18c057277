import { forgetOldest, nodeKeyOf, type ActorId, type Clock, type JobId, type NodeKey, type Timer, type WorkerId } from "../base/mod.ts";
import type { ActorHostClient, BundleClient } from "../clients/mod.ts";
import { type ActorSpec, type ClusterStateRecord, type FromGcs, type FromHead, type JobRecord, type NodeLoadChange, type NodeRecord, partsOf, textOf, type ToGcs, type WorkerDeath } from "../protocol/mod.ts";
import { ActorPlacement, type PlacementInstruction } from "./actor-placement.ts";
import { describeRefusal, takesWork, withoutGroups } from "../scheduling/mod.ts";
import { GcsService } from "./gcs-service.ts";
import { JobEndRounds } from "./job-end-rounds.ts";
import { nodeMeantBy, NodeDrains } from "./node-drains.ts";
import { type KnownNode, NodeTable } from "./node-table.ts";
import { nodesToTakeOut } from "./split-network.ts";

/** Loads that change are told to the other nodes together, so often at most. */
const LOADS_SPREAD_MS = 10;
/** How often a node is asked whether it is alive, and how many times in a row it may say nothing. */
const ASK_ALIVE_MS = 1_000;
const UNANSWERED_MAX = 10;
/** Nodes that cannot reach each other say so at about the same time; one that is dead is known to be soon. */
const SPLIT_LOOK_MS = 2_000;
/** Who is told to leave says so when nothing of its work goes on; after so long it counts as lost all the same. */
const EXPELLED_MS_MAX = 10_000;
/** An actor that no node could ever hold, at two looks in a row, is refused. */
const INFEASIBLE_LOOK_MS = 2_500;
/** How often it is looked for which actors wait: who has seen two looks queues at a node, at the third. */
const WAITING_LOOK_MS = 400;
/** Programs that have left: their detached actors may start again. */
const JOBS_REMEMBERED_MAX = 1_000;
/** Workers and programs that have ended: what they have asked for may reach a node that has joined since. */
const LOST_WORKERS_MAX = 1_000;
/** Shared actors that have ended their workers, so that they start again apart from others. */
const TROUBLEMAKERS_MAX = 1_000;
const NO_WANTS = "[]";

/** A node as the GCS reaches it: over a link, or in the same process. */
export interface NodeConnection {
  send(message: FromGcs): void;
  /** With others of this turn in one frame. */
  sendSoon(message: FromGcs): void;
  close(): void;
}

export interface ClusterServiceEnvironment {
  readonly clock: Clock;
  readonly clusterId: string;
  readonly packageVersion: string;
  /** For whoever runs the head: who came, who went. */
  note(text: string): void;
}

interface ConnectedNode {
  readonly key: NodeKey;
  readonly connection: NodeConnection;
  /** Times that it was asked whether it is alive since it was heard last. Not a time: while this process stands still, nobody is heard. */
  unanswered: number;
}

/**
 * The GCS of a cluster of several nodes: which there are, what each has free, where actors go, and the way of every message between the
 * GCS and a worker, by way of its node.
 */
export class ClusterService {
  readonly gcs: GcsService;
  readonly #env: ClusterServiceEnvironment;
  readonly #table = new NodeTable();
  readonly #placement = new ActorPlacement();
  readonly #nodes = new Map<NodeKey, ConnectedNode>();
  readonly #drains = new NodeDrains();
  /** Who wants to know how nodes end that drain. */
  readonly #drainWatchers = new Map<NodeKey, Set<(answer: FromHead) => void>>();
  /** Who cannot reach whom. */
  #splits: (readonly [NodeKey, NodeKey])[] = [];
  #splitTimer: Timer | null = null;
  /** Nodes that were told to leave, and have not yet. */
  readonly #expelled = new Map<NodeKey, { readonly reason: string; readonly timer: Timer }>();
  /** The first one. */
  #headKey: NodeKey | null = null;
  readonly #jobs = new Map<JobId, JobRecord>();
  /** What workers that have made actors descend from, if not from themselves. */
  readonly #roots = new Map<WorkerId, WorkerId>();
  readonly #jobEnds = new JobEndRounds();
  /** Programs that have left and wait for that. */
  readonly #leaving = new Map<JobId, { staying(): readonly ActorId[]; done(): void }>();
  /** Of programs that have left: names of packages with their modules. */
  readonly #keptModules = new Map<WorkerId, Set<string>>();
  /** Shared actors that need a worker for themselves. */
  readonly #troublemakers = new Set<ActorId>();
  readonly #lostWorkers = new Set<WorkerId>();
  readonly #changedLoads = new Map<NodeKey, NodeLoadChange>();
  #loadsTimer: Timer | null = null;
  #wantsTimer: Timer | null = null;
  /** As told to all nodes. */
  #wantsTold = NO_WANTS;
  #waitingTimer: Timer | null = null;
  #infeasibleTimer: Timer | null = null;
  /** Actors that were infeasible when it was last looked. */
  #infeasibleBefore = new Set<string>();
  #aliveTimer: Timer | null = null;
  #isStopped = false;

  constructor(environment: ClusterServiceEnvironment) {
    this.#env = environment;
    this.gcs = new GcsService(this.#host(), environment.clock);
    this.#askAlive();
  }

  // ------------------------------------------------------------------ nodes

  /** Answers on the connection; true if the node is in. What it sends from then on goes to `onMessage`. */
  join(message: ToGcs & { readonly type: "join" }, connection: NodeConnection): boolean {
    const refusal = this.#whyNot(message);
    const joined = refusal === null ? this.#table.join(message.record) : { refusal };
    if ("refusal" in joined) {
      connection.send({ type: "refused", reason: joined.refusal });
      this.#env.note(`refused a node on ${message.record.hostname}: ${joined.refusal}`);
      return false;
    }
    const { record } = message;
    const key = nodeKeyOf(record.nodeId);
    this.#headKey ??= key;
    const others = [...this.#table.live()].filter((node) => node.record !== record);
    const lostNodes = this.#table.lostNodes.map(({ nodeId }) => nodeKeyOf(nodeId));
    connection.send({ type: "joined", clusterId: this.#env.clusterId, nodeNumber: joined.nodeNumber, nodes: others.map((node) => node.record), loads: others.map(({ load }) => load), lostNodes, lostWorkers: [...this.#lostWorkers] });
    for (const other of this.#nodes.values()) other.connection.send({ type: "nodeJoined", record });
    this.#nodes.set(key, { key, connection, unanswered: 0 });
    for (const [driverId, names] of this.#keptModules) for (const name of names) connection.send({ type: "modulesKept", driverId, name, isToFetch: false });
    if (this.#wantsTold !== NO_WANTS) connection.send({ type: "actorsWait", wants: this.#placement.wants() });
    this.#env.note(`node ${record.nodeId} has joined, at ${textOf(record.address)}`);
    this.#act(this.#placement.nodeJoined(record, (this.#table.get(key) as KnownNode).load));
    this.gcs.groups.nodesChanged();
    return true;
  }

  #whyNot({ packageVersion, clusterId }: ToGcs & { readonly type: "join" }): string | null {
    if (packageVersion !== this.#env.packageVersion) return `it runs mantaray ${packageVersion}, this cluster ${this.#env.packageVersion}; install the same version on all nodes`;
    if (clusterId !== null && clusterId !== this.#env.clusterId) return `it belongs to cluster ${clusterId}, and this is cluster ${this.#env.clusterId}: stop it, and start it again with this address`;
    return null;
  }

  /** A node that has joined, and whose connection has ended, or that has said that it leaves. */
  nodeLost(key: NodeKey, reason: string): void {
    const expelled = this.#expelled.get(key);
    expelled?.timer.cancel();
    this.#expelled.delete(key);
    reason = expelled?.reason ?? reason;
    const record = this.#table.lost(key);
    const node = this.#nodes.get(key);
    this.#nodes.delete(key);
    if (record === undefined || this.#isStopped) return;
    node?.connection.close();
    this.#env.note(`node ${record.nodeId} is gone: ${reason}`);
    const isDrained = this.#drains.left(key);
    const death: WorkerDeath = { reason: `was on node ${record.nodeId} (${textOf(record.address)}), which ${reason}`, pid: 0, isRetryable: true, isNodeLost: true, ...(isDrained ? { isNodeDrained: true, isForced: true } : {}) };
    for (const other of this.#nodes.values()) other.connection.send({ type: "nodeLost", nodeId: record.nodeId, death });
    // What was on its way there goes elsewhere first; then what lived there restarts, or dies.
    const moved = this.#placement.nodeLost(key);
    this.gcs.nodeLost(key, death);
    for (const workerId of this.#roots.keys()) if (nodeKeyOf(workerId) === key) this.#roots.delete(workerId);
    this.#act(moved);
    for (const { jobId, driverId } of this.#jobs.values()) if (driverId !== null && nodeKeyOf(driverId) === key) this.gcs.jobEnded(jobId);
    for (const jobId of this.#jobEnds.nodeLost(key)) this.#askJobEnd(jobId);
    for (const tell of this.#drainWatchers.get(key) ?? []) tell({ type: "nodeLeft", nodeId: record.nodeId, reason, isDrained });
    this.#drainWatchers.delete(key);
  }

  /** Lets a node do what it has, give it nothing new, and leave. `tell`: what becomes of it. Answers how to tell no more. */
  drain(text: string, timeLeftMs: number | null, tell: (answer: FromHead) => void): () => void {
    const meant = nodeMeantBy(text, Array.from(this.#table.live(), ({ record }) => record), this.#headKey);
    if ("refusal" in meant) {
      tell({ type: "refused", reason: meant.refusal });
      return () => undefined;
    }
    const { node } = meant;
    const { record } = this.#table.get(node) as { record: NodeRecord };
    const watchers = this.#drainWatchers.get(node) ?? new Set();
    this.#drainWatchers.set(node, watchers.add(tell));
    tell({ type: "nodeDrains", nodeId: record.nodeId });
    if (this.#drains.begin(node, timeLeftMs === null ? null : this.#env.clock.nowMs() + timeLeftMs)) {
      this.#env.note(`node ${record.nodeId} drains${timeLeftMs === null ? "" : `, for ${timeLeftMs} ms at most`}`);
      this.#nodes.get(node)?.connection.send({ type: "drain", timeLeftMs });
      this.#placement.nodeDrains(node);
      this.gcs.nodeDrains(node);
    }
    return () => void watchers.delete(tell);
  }

  onMessage(key: NodeKey, message: ToGcs): void {
    const node = this.#nodes.get(key);
    if (node === undefined) return;
    node.unanswered = 0;
    switch (message.type) {
      case "join":
      case "resume":
      case "alive":
        return undefined;
      case "fromWorker":
        if (message.rootId !== undefined) this.#roots.set(message.senderId, message.rootId);
        return this.gcs.fromWorker(message.senderId, message.message);
      case "driverJoined":
        return this.#addJob(message.job);
      case "actorPlaced":
        this.#act(this.#placement.placed(message.actorId, key));
        return this.gcs.placed(message.actorId, message.workerId, message.number);
      case "actorDeclined":
        return this.#act(this.#placement.declined(message.actorId, key));
      case "actorMakesTrouble":
        this.#troublemakers.add(message.actorId);
        return forgetOldest(this.#troublemakers, TROUBLEMAKERS_MAX);
      case "placementRefused":
        this.#act(this.#placement.refused(message.actorId));
        return this.gcs.placementRefused(message.actorId, message.error);
      case "workerLost":
        return this.#workerLost(key, message.workerId, message.death);
      case "jobEnded":
        return this.gcs.jobEnded(message.jobId);
      case "awaitJobEnd":
        return this.gcs.awaitJobEnd(message.jobId, () => node.connection.send({ type: "jobIsOver", jobId: message.jobId }));
      case "modulesKept":
        return this.#modulesKept(message.driverId, message.name);
      case "jobLeft":
        return this.#jobLeft(key, message.jobId, message.ends);
      case "unreachable":
        return this.#unreachable(key, message.node);
      case "bundleReport":
        return this.gcs.bundlesReported(key, message.report);
      case "load":
        return this.#loadChanged(message.change);
      case "leave":
        return this.nodeLost(key, message.reason);
    }
  }

  #unreachable(from: NodeKey, node: NodeKey): void {
    this.#splits.push([from, node]);
    this.#splitTimer ??= this.#env.clock.after(SPLIT_LOOK_MS, () => {
      this.#splitTimer = null;
      const splits = this.#splits;
      this.#splits = [];
      for (const key of nodesToTakeOut(splits, [...this.#nodes.keys()])) {
        const others = splits.filter((pair) => pair.includes(key)).map(([a, b]) => this.#table.get(a === key ? b : a)?.record.nodeId ?? "");
        this.#expel(key, `could not be reached by node ${[...new Set(others)].join(", ")}, nor reach it`);
      }
    });
  }

  /** An actor that lives there must not live twice: it starts elsewhere only when the node has ended it. */
  #expel(key: NodeKey, reason: string): void {
    const node = this.#nodes.get(key);
    if (node === undefined || this.#expelled.has(key)) return;
    this.#expelled.set(key, { reason, timer: this.#env.clock.after(EXPELLED_MS_MAX, () => this.nodeLost(key, reason)) });
    node.connection.send({ type: "refused", reason });
  }

  #addJob(job: JobRecord): void {
    this.#jobs.set(job.jobId, job);
    if (this.#jobs.size <= JOBS_REMEMBERED_MAX) return;
    for (const jobId of this.#jobs.keys()) return void this.#jobs.delete(jobId);
  }

  #modulesKept(driverId: WorkerId, name: string): void {
    if (!this.gcs.hasProgram(driverId)) return;
    const names = this.#keptModules.get(driverId) ?? new Set();
    this.#keptModules.set(driverId, names.add(name));
    for (const { key, connection } of this.#nodes.values()) connection.send({ type: "modulesKept", driverId, name, isToFetch: key === this.#headKey });
  }

  #askJobEnd(jobId: JobId): void {
    const leaving = this.#leaving.get(jobId);
    if (leaving === undefined) return;
    if (!this.#jobEnds.begin(jobId, this.#nodes.keys())) return void this.#leaving.delete(jobId);
    const staying = leaving.staying();
    for (const { connection } of this.#nodes.values()) connection.send({ type: "jobLeaves", jobId, staying });
  }

  #jobLeft(key: NodeKey, jobId: JobId, ends: number | null): void {
    const outcome = this.#jobEnds.answered(jobId, key, ends);
    if (outcome === "again") this.#askJobEnd(jobId);
    if (outcome !== "over") return;
    this.#leaving.get(jobId)?.done();
    this.#leaving.delete(jobId);
  }

  #workerLost(key: NodeKey, workerId: WorkerId, death: WorkerDeath): void {
    for (const other of this.#nodes.values()) if (other.key !== key) other.connection.send({ type: "workerLost", workerId, death });
    // One that had nothing to do has asked for nothing.
    if (death.isRetired !== true) forgetOldest(this.#lostWorkers.add(workerId), LOST_WORKERS_MAX);
    this.gcs.workerLost(workerId, death);
    this.#roots.delete(workerId);
  }

  #loadChanged(change: NodeLoadChange): void {
    if (!this.#table.loadChanged(change)) return;
    this.#act(this.#placement.loadChanged((this.#table.get(change.node) as KnownNode).load));
    this.gcs.groups.nodesChanged();
    const { totals, available } = this.#changedLoads.get(change.node) ?? change;
    this.#changedLoads.set(change.node, { ...change, totals: { ...totals, ...change.totals }, available: { ...available, ...change.available } });
    this.#loadsTimer ??= this.#env.clock.after(LOADS_SPREAD_MS, () => {
      this.#loadsTimer = null;
      const changed = [...this.#changedLoads.values()].filter(({ node }) => this.#table.get(node) !== undefined);
      this.#changedLoads.clear();
      for (const other of this.#nodes.values()) {
        const changes = changed.filter(({ node }) => node !== other.key);
        if (changes.length > 0) other.connection.send({ type: "loads", changes });
      }
    });
  }

  /** A link that was cut without a word closes nothing. */
  #askAlive(): void {
    this.#aliveTimer = this.#env.clock.after(ASK_ALIVE_MS, () => {
      for (const node of [...this.#nodes.values()]) {
        if (node.unanswered === UNANSWERED_MAX) {
          this.nodeLost(node.key, `has been silent for ${(UNANSWERED_MAX * ASK_ALIVE_MS) / 1000} s`);
        } else {
          node.unanswered++;
          node.connection.send({ type: "areYouAlive" });
        }
      }
      for (const node of this.#drains.overdue(this.#env.clock.nowMs())) this.nodeLost(node, "was to be gone by its deadline, and was not");
      if (!this.#isStopped) this.#askAlive();
    });
  }

  clusterState(): ClusterStateRecord {
    const state = ({ nodeId, name, hostname, address, labels }: NodeRecord) => ({ nodeId, name, hostname, address: textOf(address), labels, isDraining: this.#drains.has(nodeKeyOf(nodeId)) });
    return {
      nodes: [
        ...Array.from(this.#table.live(), ({ record, load }) => ({ ...state(record), isAlive: true, totals: withoutGroups(load.totals), available: withoutGroups(load.available) })),
        ...this.#table.lostNodes.map((record) => ({ ...state(record), isAlive: false, totals: record.totals, available: {} })),
      ],
    };
  }

  // ------------------------------------------------------------------ actors

  #host(): ActorHostClient & BundleClient {
    return {
      place: (spec) => {
        this.#act(this.#placement.place(spec));
        this.#watchInfeasible();
      },
      cancelPlacement: (actorId) => this.#act(this.#placement.cancel(actorId)),
      start: (workerId, spec, number, wasRestarted) => this.#soonTo(workerId, { type: "startActor", workerId, number, wasRestarted, ...partsOf(spec) }),
      endWorker: (workerId, graceful, reason) => this.#to(workerId, { type: "endActorWorker", workerId, graceful, reason }),
      endShared: (workerId, actorId, graceful, mayRestart, reason, endReason) => this.#soonTo(workerId, { type: "endSharedActor", workerId, actorId, graceful, mayRestart, reason, endReason }),
      move: (workerId, actorId) => this.#to(workerId, { type: "moveActor", workerId, actorId }),
      askOwner: (ownerId, actorId) => {
        if (this.#nodes.has(nodeKeyOf(ownerId))) this.#to(ownerId, { type: "askOwner", ownerId, actorId });
        else this.gcs.ownerEnded(actorId, ownerId);
      },
      publish: (workerId, state) => this.#soonTo(workerId, { type: "toWorker", workerId, message: { type: "actorState", state } }),
      send: (workerId, message) => this.#to(workerId, { type: "toWorker", workerId, message }),
      sendSoon: (workerId, message) => this.#soonTo(workerId, { type: "toWorker", workerId, message }),
      isConnected: (workerId) => this.#nodes.has(nodeKeyOf(workerId)),
      bundleNodes: () => this.#placement.views().filter(takesWork),
      nodeIdOf: (node) => this.#table.get(node)?.record.nodeId ?? null,
      orderBundles: (node, order) => this.#nodes.get(node)?.connection.sendSoon({ type: "bundleOrder", order }),
      clusterState: () => this.clusterState(),
      keepModules: (driverId, nodes) => {
        for (const node of nodes) this.#nodes.get(node)?.connection.send({ type: "keepModules", driverId });
      },
      dropModules: (driverId) => {
        if (this.#keptModules.delete(driverId)) for (const { connection } of this.#nodes.values()) connection.send({ type: "modulesDropped", driverId });
      },
      awaitJobEnd: (jobId, staying, done) => {
        this.#leaving.set(jobId, { staying, done });
        this.#askJobEnd(jobId);
      },
      ended: (actorId) => this.#placement.ended(actorId),
    };
  }

  #rootOf({ isDetached, ownerId }: ActorSpec): WorkerId | null { return isDetached ? null : (this.#roots.get(ownerId) ?? ownerId); }

  #to(workerId: WorkerId, message: FromGcs): void {
    this.#nodes.get(nodeKeyOf(workerId))?.connection.send(message);
  }

  #soonTo(workerId: WorkerId, message: FromGcs): void {
    this.#nodes.get(nodeKeyOf(workerId))?.connection.sendSoon(message);
  }

  #act(instructions: readonly PlacementInstruction[]): void {
    for (const instruction of instructions) {
      const connection = this.#nodes.get(instruction.node)?.connection;
      if (instruction.type !== "place") {
        connection?.send({ type: instruction.type === "cancel" ? "cancelPlacement" : "withdrawActor", actorId: instruction.actorId });
        continue;
      }
      const { actorId, jobId, className, isShared, workerKind, resources, strategy, bundle, maxRestarts } = instruction.spec;
      connection?.sendSoon({ type: "placeActor", placement: { actorId, jobId, className, isShared, workerKind, resources, strategy, bundle, maxRestarts, ...(this.#troublemakers.has(actorId) ? { isTroublemaker: true } : {}) }, rootId: this.#rootOf(instruction.spec), job: this.#jobs.get(jobId) ?? null });
    }
    this.#tellWants();
    this.#watchWaiting();
  }

  /** Who waits for long queues at a node. */
  #watchWaiting(): void {
    if (this.#isStopped || (this.#placement.waitingCount === 0 && !this.#placement.isAnybodyQueued)) return;
    this.#waitingTimer ??= this.#env.clock.after(WAITING_LOOK_MS, () => {
      this.#waitingTimer = null;
      this.#act(this.#placement.look());
    });
  }

  /** Idle leases are given back for actors that wait. Told at once, and then no more often than loads. */
  #tellWants(): void {
    if (this.#wantsTimer !== null || this.#isStopped || (this.#placement.waitingCount === 0 && this.#wantsTold === NO_WANTS)) return;
    const wants = this.#placement.wants();
    const text = JSON.stringify(wants);
    if (text === this.#wantsTold) return;
    this.#wantsTold = text;
    this.#wantsTimer = this.#env.clock.after(LOADS_SPREAD_MS, () => {
      this.#wantsTimer = null;
      this.#tellWants();
    });
    for (const { connection } of this.#nodes.values()) connection.send({ type: "actorsWait", wants });
  }

  /** Whoever is infeasible twice in a row is told so. */
  #watchInfeasible(): void {
    if (this.#placement.waitingCount === 0 || this.#isStopped) return;
    this.#infeasibleTimer ??= this.#env.clock.after(INFEASIBLE_LOOK_MS, () => {
      this.#infeasibleTimer = null;
      const infeasible = this.#placement.infeasible();
      const before = this.#infeasibleBefore;
      this.#infeasibleBefore = new Set(infeasible.map(({ spec }) => spec.actorId));
      for (const { spec: { actorId, strategy }, reason } of infeasible) {
        if (!before.has(actorId)) continue;
        this.#act(this.#placement.cancel(actorId));
        this.gcs.placementRefused(actorId, { kind: "ActorUnschedulableError", message: describeRefusal(reason, strategy, "start"), subjectId: actorId });
      }
      this.#watchInfeasible();
    });
  }

  stop(): void {
    this.#isStopped = true;
    this.gcs.groups.stop();
    this.#loadsTimer?.cancel();
    this.#wantsTimer?.cancel();
    this.#aliveTimer?.cancel();
    this.#splitTimer?.cancel();
    for (const { timer } of this.#expelled.values()) timer.cancel();
    this.#waitingTimer?.cancel();
    this.#infeasibleTimer?.cancel();
    for (const { connection } of this.#nodes.values()) connection.close();
  }
}

import { newWorkerId, nodeKeyOf, type ActorId, type JobId, type NodeKey, type ResourceAmounts, UNITS_PER_RESOURCE, type WorkerId } from "../base/mod.ts";
import type { LaunchedWorker, WorkerLink } from "../clients/mod.ts";
import type { ActorPlacementRecord, ActorSpec, ActorStateRecord, AskerRecord, FarRequest, FromNode, JobRecord, LeaseEvent, LeaseShape, NodeWaits, RefusalRecord, WorkerDeath, WorkerKind } from "../protocol/mod.ts";
import type { NodeView } from "../scheduling/mod.ts";
import type { ClusterSide } from "./cluster-side.ts";
import { type ConnectedWorker, connectedWorker } from "./connected-worker.ts";
import { deathFor, deathOf } from "./death-notices.ts";
import { JobEnds } from "./job-ends.ts";
import { KnownJobs } from "./known-jobs.ts";
import { LeaseQuestions } from "./lease-questions.ts";
import { LeaseSpreading } from "./lease-spreading.ts";
import type { LeaseInstruction } from "./lease-instruction.ts";
import { LeaseState } from "./lease-state.ts";
import type { Working } from "./memory-pressure.ts";
import { NodeGroups } from "./node-groups.ts";
import type { NodeManagerEnvironment } from "./node-manager-environment.ts";
import { PeerIntroductions } from "./peer-introductions.ts";
import { PoolUpkeep } from "./pool-upkeep.ts";
import { refusalOf } from "./refusals.ts";
import { SharedHosts } from "./shared-hosts.ts";
import { StartFailures } from "./start-failures.ts";
import { WaitingActors } from "./waiting-actors.ts";
import { WaitingWatch } from "./waiting-watch.ts";

/** Task workers of one kind at most. */
const TASK_WORKERS_MAX = 64;
/** Workers for the shared actors of one program: one a processor, but no more. */
const SHARED_HOSTS_MAX = 16;
const ENDED_WITH_ROOT = "was ended with the program or detached actor that it worked for";

/** The machine's scheduler and worker pool (Ray's raylet): LeaseState decides, this acts. */
export class NodeManager {
  readonly #env: NodeManagerEnvironment;
  readonly #node: NodeKey;
  readonly #state: LeaseState;
  readonly shared: SharedHosts;
  readonly groups: NodeGroups;
  readonly #workers = new Map<WorkerId, ConnectedWorker>();
  /** Asked to end, since they are idle. */
  readonly #retiring = new Set<WorkerId>();
  readonly #jobs = new KnownJobs();
  readonly introductions: PeerIntroductions;
  readonly jobEnds: JobEnds;
  readonly leaseQuestions: LeaseQuestions;
  readonly #watch: WaitingWatch;
  readonly #waitingActors = new WaitingActors({ drivers: (jobId) => this.drivers(jobId), send: (workerId, message) => this.send(workerId, message) });
  readonly #upkeep: PoolUpkeep;
  readonly #startFailures = new StartFailures();
  #isStopping = false;
  #isDraining = false;
  readonly spreading: LeaseSpreading | null;

  constructor(environment: NodeManagerEnvironment) {
    this.#env = environment;
    this.#node = nodeKeyOf(environment.nodeId);
    this.#state = new LeaseState(environment.totals, { warmWorkersMin: environment.warmWorkersMin, taskWorkersMax: TASK_WORKERS_MAX, isAlone: environment.cluster === null }, environment.firstJobId, environment.acceleratorIds, environment.cluster?.firstLeaseId);
    this.spreading = environment.cluster === null ? null : this.#createSpreading(environment.cluster);
    this.shared = new SharedHosts({
      clock: environment.clock, hostsMax: Math.max(1, Math.min(Math.floor((environment.totals["CPU"] ?? 0) / UNITS_PER_RESOURCE), SHARED_HOSTS_MAX)),
      placeHost: (hostId, jobId, kind, rootId) => this.#act(this.#state.placeActor(hostId, this.#kindHere(kind, jobId), {}, jobId, null, false, rootId)),
      placements: () => environment.placements(), send: (workerId, message) => this.send(workerId, message), sendSoon: (workerId, message) => this.sendSoon(workerId, message),
      terminate: (workerId, reason) => this.terminate(workerId, reason), watchRunning: (workerId) => environment.watchRunning(workerId), warn: (workerId, text) => environment.warn(workerId, text), somebodyEnded: () => this.jobEnds.look(),
      makesTrouble: (actorId) => environment.cluster?.actorMakesTrouble(actorId),
    });
    this.groups = new NodeGroups({
      clock: environment.clock, state: this.#state, act: (instructions) => this.#act(instructions), report: (report) => environment.placements().bundlesReported(this.#node, report),
      send: (workerId, message) => this.send(workerId, message), end: (workerId, reason) => this.terminate(workerId, reason), refuseWaiting: (groupId, errorFor) => this.spreading?.refuseInGroup(groupId, errorFor),
    });
    this.introductions = new PeerIntroductions({ node: this.#node, workers: this.#workers, cluster: environment.cluster, connect: (a, b) => environment.connect(a, b), send: (workerId, message) => this.send(workerId, message), end: (workerId, reason) => this.terminate(workerId, reason) });
    this.jobEnds = new JobEnds({
      clock: environment.clock, workers: () => this.#state.pool(), isGone: (rootId) => this.isGone(rootId), isSharedHost: (actorId) => this.shared.isHost(actorId),
      areSharedEnding: (jobId) => this.shared.areEnding(jobId), areBundlesEnding: () => this.#state.areBundlesEnding(),
    });
    this.#upkeep = new PoolUpkeep({
      clock: environment.clock, warmUp: () => this.warmUp(),
      stopIdle: () => {
        this.#act(this.#state.stopIdleWorkers());
        return this.#state.areManyIdle();
      },
    });
    this.leaseQuestions = new LeaseQuestions({ clock: environment.clock, send: (ownerId, message) => this.send(ownerId, message), settled: (leaseId) => this.#act(this.#state.leaseSettled(leaseId)) });
    this.#watch = new WaitingWatch({ clock: environment.clock, heldUp: () => this.#state.heldUp(this.spreading === null ? "the cluster" : `node ${this.#view().nodeId}`).filter(({ task }) => task === null || this.spreading?.mayRunElsewhere(task.ownerId, task.key) !== true), tell: (heldUp) => this.#waitingActors.tellHeldUp(heldUp) });
  }

  #createSpreading({ fromWorker, wantsChanged }: ClusterSide): LeaseSpreading {
    return new LeaseSpreading({
      clock: this.#env.clock, own: () => this.#view(),
      demandHere: (ownerId, key, shape, target, priority) => this.#demandHere(ownerId, key, shape, target, priority),
      demandThere: (other, ownerId, key, shape, target, priority) => void fromWorker(other, ownerId, { type: "leaseDemand", key, shape, target, priority }),
      tell: (ownerId, message) => this.send(ownerId, message), fetcher: this.#env.argumentFetcher, wantsChanged, wantedElsewhere: (wanted) => this.#act(this.#state.wantedElsewhere(wanted)),
    });
  }

  get available(): ResourceAmounts { return this.#state.ledger.available; }

  // ------------------------------------------------------------------ workers

  addDriver(workerId: WorkerId, link: WorkerLink): void {
    this.#workers.set(workerId, connectedWorker(workerId, "driver", link, null, this.#env.firstJobId));
  }

  /** A program of its own, which may leave again: `workerExited`. */
  addJoinedDriver(workerId: WorkerId, link: WorkerLink, job: JobRecord): void {
    if (this.#isStopping || this.#workers.has(workerId)) return;
    const { jobId } = job;
    this.jobSeen(job);
    this.#state.ownerSeen(workerId, jobId);
    this.#workers.set(workerId, connectedWorker(workerId, "driver", link, null, jobId));
  }

  /** A worker that somebody else started for this node; it will register. */
  expectWorker(workerId: WorkerId, kind: WorkerKind, launched: LaunchedWorker): void {
    this.#state.workerExpected(kind);
    this.#workers.set(workerId, connectedWorker(workerId, kind, null, launched, null));
  }

  isExpected(workerId: WorkerId): boolean { return this.#workers.get(workerId)?.link === null; }

  isConnected(workerId: WorkerId): boolean { return (this.#workers.get(workerId)?.link ?? null) !== null; }

  /** The worker is up and has a channel to us. */
  workerRegistered(workerId: WorkerId, link: WorkerLink, pid: number): void {
    const worker = this.#workers.get(workerId);
    if (worker === undefined || worker.kind === "driver") return link.close();
    worker.link = link;
    worker.pid = pid;
    this.#startFailures.reset();
    // The first task or call should not have to wait for its channel; one that has joined would cost every thread a socket.
    for (const driverId of this.drivers(this.#env.firstJobId)) this.connectPeers(driverId, workerId);
    this.#act(this.#state.workerAdded(workerId, worker.kind));
  }

  #start(kind: WorkerKind): void {
    if (this.#isStopping) return;
    const workerId = newWorkerId(this.#env.random, this.#node);
    const launched = this.#env.launcher.launch(workerId, kind, { exited: (death) => this.workerExited(workerId, death), refused: (error) => this.#refused(workerId, kind, error) });
    this.#workers.set(workerId, connectedWorker(workerId, kind, null, launched, null));
  }

  #refused(workerId: WorkerId, kind: WorkerKind, error: RefusalRecord): void {
    if (this.#workers.delete(workerId) && !this.#isStopping) this.#act(this.#state.kindRefused(kind, error));
  }

  /** It never came up. */
  #notStarted(kind: WorkerKind, death: WorkerDeath): void {
    if (!this.#startFailures.add(death)) return this.#act(this.#state.workerStartFailed(kind));
    if (kind.runtimeEnv === null) return this.#env.startFailed(`a worker ${death.reason}`);
    this.#startFailures.reset();
    this.#act(this.#state.kindRefused(kind, { kind: "RuntimeEnvSetupError", message: `cannot run: workers with its runtime environment cannot be started: a worker ${death.reason}`, subjectId: null }));
  }

  workerExited(workerId: WorkerId, seen: WorkerDeath): void {
    const worker = this.#workers.get(workerId);
    if (worker === undefined) return;
    const death = this.groups.deathWithGroup(workerId, deathOf(worker, seen, this.shared.workerLost(workerId, worker.endedBy)));
    this.#workers.delete(workerId);
    this.#retiring.delete(workerId);
    this.jobEnds.workerEnded(worker.jobId);
    if (this.#isStopping) return;
    this.#env.endObjects(workerId);
    for (const other of this.#workers.values()) {
      other.connectedTo.delete(workerId);
      other.link?.send({ type: "workerDied", workerId, cause: deathFor(other.workerId, death) });
    }
    this.spreading?.ownerLost(workerId);
    this.introductions.workerLost(workerId);
    if (worker.kind === "driver") {
      this.#act(this.#state.driverLost(workerId));
    } else if (worker.link === null) {
      this.#notStarted(worker.kind, death);
    } else {
      worker.link.close();
      this.#act(this.#state.workerLost(workerId));
    }
    this.#env.workerLost(workerId, death);
    this.#upkeep.warmUpSoon();
  }

  /** It ends by itself as soon as nothing needs it any more; another takes its place. */
  workerLeaving(workerId: WorkerId): void {
    this.#act(this.#state.workerLeaving(workerId));
    this.#upkeep.warmUpSoon();
  }

  /** It uses more than the limit of its kind. */
  memoryExceeded(workerId: WorkerId, usedBytes: number): void {
    const worker = this.#workers.get(workerId);
    if (worker === undefined) return;
    worker.memoryUsedBytes ??= usedBytes;
    worker.launched?.terminate();
  }

  /** Workers that run something. */
  working(): Working[] { return Array.from(this.#state.working(), (one) => ({ ...one, pid: this.#workers.get(one.workerId)?.pid ?? null })); }

  /** Ends it at once. */
  terminate(workerId: WorkerId, reason: string, marks: ConnectedWorker["endMarks"] = {}): void {
    const worker = this.#workers.get(workerId);
    if (worker === undefined) return;
    worker.endMarks = { ...worker.endMarks, ...marks };
    this.noteReason(workerId, reason);
    worker.launched?.terminate();
  }

  /** `endedBy`: the shared actor that brings it about, if that is known. */
  noteReason(workerId: WorkerId, reason: string, endedBy: ActorId | null = null): void {
    const worker = this.#workers.get(workerId);
    if (worker === undefined) return;
    if (worker.endReason === null) worker.endedBy = endedBy;
    worker.endReason ??= reason;
    // It has run all that it has had: what is on its way there never begins.
    if (this.#retiring.has(workerId)) worker.endMarks = { ...worker.endMarks, isRetired: true };
    worker.launched?.noteReason(reason);
  }

  /** Keeps the pool at its size after actors have taken workers from it. */
  warmUp(): void { if (!this.#isStopping && !this.#env.areThreadsOfJobs) this.#act(this.#state.keepWarm(this.#env.defaultKind)); }

  // ------------------------------------------------------------------ requests

  demandLeases(ownerId: WorkerId, key: string, shape: LeaseShape, target: number, priority: number): void {
    const refusal = this.groups.refusal(shape);
    if (refusal !== null) return this.#act([{ type: "refuse", ownerId, key, error: refusal }]);
    // Of several nodes, the one of an owner elsewhere has chosen this one.
    if (this.spreading !== null) return this.spreading[this.#isFar(ownerId) ? "demandHere" : "demand"](ownerId, key, shape, target, priority);
    const error = shape.strategy === null ? null : refusalOf([this.#view()], shape, null);
    if (error === null) this.#demandHere(ownerId, key, shape, target, priority);
    else this.#act([{ type: "refuse", ownerId, key, error }]);
  }

  #demandHere(ownerId: WorkerId, key: string, shape: LeaseShape, target: number, priority: number): void {
    // What it descends from may have ended before the owner, which is about to.
    if (this.isGone(this.rootOf(ownerId))) return;
    const workerKind = this.#kindHere(shape.workerKind, this.#state.jobOf(ownerId));
    this.#act(this.#state.demand(ownerId, key, workerKind === shape.workerKind ? shape : { ...shape, workerKind }, target, priority));
  }

  /** Where threads live in processes of their jobs, one of another job is of no use. */
  #kindHere(kind: WorkerKind, jobId: JobId): WorkerKind {
    return this.#env.areThreadsOfJobs && kind.isolation === "thread" ? { ...kind, jobId } : kind;
  }

  /** This node, as it is seen when one is chosen. */
  #view(): NodeView {
    const { nodeId, totals, labels } = this.#env;
    return { key: this.#node, nodeId, totals, available: this.available, labels, isAlive: true, isDraining: this.#isDraining, weightless: 0 };
  }

  leaseEvents(workerId: WorkerId, events: readonly (readonly [number, LeaseEvent])[]): void {
    this.#act(this.#state.leaseEvents(workerId, events));
    if (events.some(([, event]) => event === "closed")) this.#upkeep.checkIdleSoon();
  }

  retireRefused(workerId: WorkerId): void {
    // That of shared actors, when the last of them has ended: what has run there may have left something that it awaits.
    const rootId = this.rootOf(workerId);
    if (this.isGone(rootId === workerId ? (this.job(this.jobOf(workerId))?.driverId ?? rootId) : rootId)) return this.terminate(workerId, ENDED_WITH_ROOT);
    this.#retiring.delete(workerId);
    this.shared.retireRefused(workerId);
    this.#act(this.#state.stopRefused(workerId));
    this.#upkeep.checkIdleSoon();
  }

  /** The run under this lease must not go on; see `ToNode`. */
  endRun(askerId: WorkerId, workerId: WorkerId, leaseId: number, isRecursive: boolean, reason: string): void {
    for (const endingId of this.#state.endRun(workerId, leaseId, isRecursive, askerId)) this.terminate(endingId, reason, { isForced: true });
  }

  /** `rootId`: what it descends from; null for a detached one. */
  placeActor(placement: ActorPlacementRecord, rootId: WorkerId | null): void {
    const { actorId, className, jobId, workerKind, resources, strategy, bundle, isShared, maxRestarts } = placement;
    const error = strategy === null || this.spreading !== null ? null : refusalOf([this.#view()], placement, actorId);
    if (isShared && error === null) return this.#isDraining ? this.#declineActor(actorId) : this.shared.place(placement, rootId);
    this.#waitingActors.add(actorId, className, jobId);
    if (error !== null) this.#act([{ type: "refuseActor", actorId, error }]);
    else this.#act(this.#state.placeActor(actorId, this.#kindHere(workerKind, jobId), resources, jobId, bundle, maxRestarts !== 0, rootId));
  }

  cancelPlacement(actorId: ActorId): void {
    this.#waitingActors.delete(actorId);
    this.shared.cancel(actorId);
    this.#act(this.#state.cancelPlacement(actorId));
  }

  /** Declines it, unless it has a worker. */
  withdrawActor(actorId: ActorId): void { this.#act(this.#state.withdrawActor(actorId)); }

  startActor(workerId: WorkerId, spec: ActorSpec, number: number, wasRestarted: boolean): void {
    if (spec.isShared) return this.shared.start(workerId, spec, number, wasRestarted);
    this.send(workerId, { type: "startActor", spec, wasRestarted, acceleratorIds: this.#state.acceleratorsOf(workerId) });
    this.#upkeep.warmUpSoon();
  }

  endActorWorker(workerId: WorkerId, graceful: boolean, reason: string): void {
    if (graceful) this.send(workerId, { type: "endActor", reason });
    else this.terminate(workerId, `was ended: ${reason}`);
  }

  publish(workerId: WorkerId, state: ActorStateRecord): void { this.sendSoon(workerId, { type: "actorState", state }); }

  connectPeers(askerId: WorkerId, targetId: WorkerId): void { this.introductions.asked(askerId, targetId); }

  /** What waits here, but for what its workers know. */
  waits(): Omit<NodeWaits, "roomWaits" | "workers" | "unansweredWorkerIds"> {
    return { ...this.#waitingActors.marked(this.#state.waits()), nodeId: this.#env.nodeId, totals: this.#env.totals, available: this.available, isDraining: this.#isDraining };
  }

  // ------------------------------------------------------------------ other nodes

  /** A program that runs on other nodes too. */
  jobSeen(job: JobRecord): void {
    this.#jobs.add(job, () => new Set(Array.from(this.#workers.values(), (worker) => worker.jobId)));
    if (job.driverId !== null && this.#jobs.isGone(job.driverId)) this.#act(this.#state.driverLost(job.driverId, job.jobId));
  }

  jobOfDriver(driverId: WorkerId): JobRecord | undefined { return this.#jobs.ofDriver(driverId); }
  isGone(workerId: WorkerId): boolean { return this.#isFar(workerId) ? this.#jobs.isGone(workerId) : !this.#workers.has(workerId); }

  job(jobId: JobId): JobRecord | undefined { return this.#jobs.get(jobId); }

  /** An owner on another node asks for leases here. */
  demandFromFar(ownerId: WorkerId, { job, rootId }: AskerRecord, message: FarRequest & { readonly type: "leaseDemand" }): void {
    if (this.isGone(ownerId)) return;
    this.jobSeen(job);
    this.#state.ownerSeen(ownerId, job.jobId, rootId);
    this.demandLeases(ownerId, message.key, message.shape, message.target, message.priority);
  }

  /** From another node, for a worker of this one. */
  receiveFor(workerId: WorkerId, message: FromNode, from: NodeKey): void {
    if (message.type === "leaseGranted") this.spreading?.granted(workerId, message.key, from);
    else if (message.type === "leaseRefused") {
      // What does not fit there after all is looked for elsewhere.
      if (message.error.kind === "TaskUnschedulableError") return;
      this.spreading?.refused(workerId, message.key, from);
    }
    this.#workers.get(workerId)?.link?.send(message);
  }

  /** A worker of another node has ended. */
  farWorkerLost(workerId: WorkerId, cause: WorkerDeath): void {
    const job = this.#jobs.lost(workerId);
    this.#env.endObjects(workerId);
    this.spreading?.ownerLost(workerId);
    // One with a lease may not have heard of its owner yet.
    const serving = this.#state.workersFor(workerId);
    for (const other of this.#workers.values()) if (other.connectedTo.delete(workerId) || serving.has(other.workerId)) other.link?.send({ type: "workerDied", workerId, cause: deathFor(other.workerId, cause) });
    this.#act(job === undefined ? this.#state.workerLost(workerId) : this.#state.driverLost(workerId, job.jobId));
  }

  farNodeLost(node: NodeKey, cause: WorkerDeath): void {
    this.spreading?.nodeLost(node);
    this.#jobs.nodeLost(node);
    const lost = this.#state.ownersOf(node);
    for (const { connectedTo } of this.#workers.values()) for (const workerId of connectedTo) if (nodeKeyOf(workerId) === node) lost.add(workerId);
    for (const driverId of this.#jobs.driverIds()) if (nodeKeyOf(driverId) === node) lost.add(driverId);
    this.#env.endObjectsOfNode(node);
    for (const workerId of lost) this.farWorkerLost(workerId, cause);
  }

  /** Also to a worker of another node. */
  send(workerId: WorkerId, message: FromNode): void {
    const worker = this.#workers.get(workerId);
    if (worker !== undefined) worker.link?.send(message);
    else if (this.#isFar(workerId)) this.#env.cluster?.toWorker(workerId, message);
  }

  #isFar(workerId: WorkerId): boolean { return this.#env.cluster !== null && nodeKeyOf(workerId) !== this.#node; }

  /** With others of this turn in one frame. */
  sendSoon(workerId: WorkerId, message: FromNode): void { this.#workers.get(workerId)?.link?.sendSoon(message); }

  rootOf(workerId: WorkerId): WorkerId { return this.#state.rootOf(workerId); }

  /** The job that a worker or driver is of; the first one until it is used. */
  jobOf(workerId: WorkerId): JobId { return this.#workers.get(workerId)?.jobId ?? this.#env.firstJobId; }

  /** Of one job, or all. */
  *liveWorkers(jobId?: JobId): Iterable<WorkerId> {
    for (const { kind, link, workerId } of this.#workers.values()) if (kind !== "driver" && link !== null && (jobId === undefined || this.jobOf(workerId) === jobId)) yield workerId;
  }

  /** Of one job, or all. */
  *drivers(jobId?: JobId): Iterable<WorkerId> {
    for (const worker of this.#workers.values()) if (worker.kind === "driver" && (jobId === undefined || worker.jobId === jobId)) yield worker.workerId;
  }

  // ------------------------------------------------------------------ acting

  #act(instructions: readonly LeaseInstruction[]): void {
    for (const instruction of instructions) {
      switch (instruction.type) {
        case "startWorker":
          this.#start(instruction.kind);
          break;
        case "stopWorker":
          this.#retiring.add(instruction.workerId);
          this.send(instruction.workerId, { type: "retire" });
          break;
        case "endWorker":
          this.terminate(instruction.workerId, ENDED_WITH_ROOT);
          break;
        case "assignJob":
          this.#assignJob(instruction.workerId, instruction.jobId);
          break;
        case "openLease": {
          const { leaseId, workerId, ownerId, key, shape, acceleratorIds } = instruction;
          this.spreading?.grantedHere(ownerId, key, shape);
          this.send(workerId, { type: "leaseOpened", leaseId, ownerId, resources: shape.resources, acceleratorIds, bundle: shape.bundle });
          this.send(ownerId, { type: "leaseGranted", key, leaseId, workerId });
          break;
        }
        case "refuse":
          if (instruction.error.kind !== "TaskUnschedulableError") this.spreading?.refused(instruction.ownerId, instruction.key, this.#node);
          this.send(instruction.ownerId, { type: "leaseRefused", key: instruction.key, error: instruction.error });
          break;
        case "endLease":
          this.send(instruction.workerId, { type: "endLease", leaseId: instruction.leaseId });
          break;
        case "bundlesPrepared":
        case "bundlesRefused":
        case "bundlesCommitted":
        case "bundlesReturned":
          this.#env.placements().bundlesReported(this.#node, instruction);
          break;
        case "grantSlot":
          this.send(instruction.workerId, { type: "slotGranted", leaseId: instruction.leaseId });
          break;
        case "revoke":
          this.send(instruction.workerId, { type: "revokeLease", leaseId: instruction.leaseId, onlyIdle: instruction.onlyIdle });
          break;
        case "askOwner":
          this.leaseQuestions.ask(instruction);
          break;
        case "placeActor":
          this.#waitingActors.delete(instruction.actorId);
          if (this.shared.hostPlaced(instruction.actorId, instruction.workerId)) this.#upkeep.warmUpSoon();
          else this.#env.placements().placed(instruction.actorId, instruction.workerId, 0);
          break;
        case "declineActor":
          this.#declineActor(instruction.actorId);
          break;
        case "refuseActor":
          this.#waitingActors.warn(instruction.actorId, instruction.error.message);
          this.#waitingActors.delete(instruction.actorId);
          if (!this.shared.hostRefused(instruction.actorId, instruction.error)) this.#env.placements().placementRefused(instruction.actorId, instruction.error);
          break;
      }
    }
    this.#env.somebodyWorks();
    if (this.#state.isAnybodyStarved) this.#watch.somebodyWaits();
    this.#env.cluster?.loadChanged(this.#state.ledger.totals, this.available);
    this.spreading?.plan();
    this.jobEnds.look();
    if (this.isDrained && !this.#isStopping) this.#env.cluster?.drained();
  }

  // ------------------------------------------------------------------ leaving the cluster

  /** Nothing new here: tasks, actors and bundles go to other nodes. `ClusterSide.drained` follows when the last of what is here has ended. */
  drain(): void {
    if (this.#isDraining) return;
    this.#isDraining = true;
    this.#act(this.#state.drain());
    this.#upkeep.checkIdleSoon();
  }

  get isDrained(): boolean { return this.#state.isDrained && this.#workers.size === 0; }

  #declineActor(actorId: ActorId): void {
    this.#waitingActors.delete(actorId);
    for (const declined of this.shared.hostDeclined(actorId) ?? [actorId]) this.#env.cluster?.actorDeclined(declined);
  }

  #assignJob(workerId: WorkerId, jobId: JobId): void {
    const worker = this.#workers.get(workerId);
    const job = this.#jobs.get(jobId);
    if (worker === undefined || job === undefined) return;
    worker.jobId = jobId;
    worker.link?.send({ type: "jobAssigned", job });
  }

  // ------------------------------------------------------------------ the end

  /** Ends all workers; `onExit` of each follows. */
  stop(): void {
    this.#isStopping = true;
    this.#upkeep.stop();
    this.jobEnds.stop();
    this.#watch.stop();
    this.leaseQuestions.stop();
    this.spreading?.stop();
    this.shared.stop();
    this.groups.stop();
    for (const worker of this.#workers.values()) {
      worker.launched?.terminate();
      if (worker.jobId !== this.#env.firstJobId && worker.kind === "driver") worker.link?.close();
    }
  }
}

import { installRevivers, setRuntime, type Runtime, checkMethodOptions } from "../api/mod.ts";
import type { Clock, RandomSource, WorkerId } from "../base/mod.ts";
import type { NodeLink } from "../clients/mod.ts";
import { CoreWorker, isCancelReason } from "../core-worker/mod.ts";
import { captureOutput } from "../observability/mod.ts";
import { emptyYoungGeneration } from "../object-store/mod.ts";
import type { FromNode, JobRecord, PreparedEnvironment } from "../protocol/mod.ts";
import { EnvironmentResolver } from "../runtime-env/mod.ts";
import { cleanStack, installStackMapping } from "../serialization/mod.ts";
import type { SessionConfig } from "./bootstrap.ts";
import { begunTablesOf } from "./begun-tables.ts";
import { loadOnce } from "./entry-module.ts";
import { guardMemory } from "./memory-limit.ts";
import { lineageBytesMax } from "./lineage-limit.ts";
import { moduleServices } from "./module-services.ts";
import { useAccelerators } from "./accelerators.ts";
import { createWorkerStuckWatch } from "./stuck-warning.ts";
import { createWorkerStore } from "./worker-store.ts";

export interface WorkerHost {
  readonly workerId: WorkerId;
  readonly config: SessionConfig;
  readonly clock: Clock;
  readonly random: RandomSource;
  readonly link: NodeLink;
  readonly environment: PreparedEnvironment | null;
  readonly listenAddress: string | null;
  readonly memoryLimitBytes: number | null;
  readonly memoryGauge: SharedArrayBuffer | null;
  /** Null in a process of its own. */
  readonly storeDoor: SharedArrayBuffer | null;
  /** Ends the thread or process at once. */
  end(code: number): void;
  /** The channel to the node manager has closed, so there is no purpose left. */
  nodeLost(): void;
  /** A message that is for the host rather than for the core worker. */
  onHostMessage?(message: FromNode): void;
}

/** What worker threads and worker processes have in common: a core worker that user code reaches through the API. */
export function startWorker(host: WorkerHost): CoreWorker {
  const { config, workerId, link } = host;
  const pid = process.pid;
  // Until it is used first, any program may get this worker.
  let job: JobRecord = { ...config, driverId: null };
  let prepareImports = loadOnce(config.loaders);
  installStackMapping();
  const bytesMax = lineageBytesMax();
  const store = createWorkerStore({ workerId, config: config.store, door: host.storeDoor, random: host.random, link, core: () => core, warnAsleep });
  const core: CoreWorker = new CoreWorker({
    workerId, get jobId() { return job.jobId; }, get namespace() { return job.namespace; }, nodeId: config.nodeId, isDriver: false, pid, clock: host.clock, random: host.random,
    totals: config.networkHost === null ? config.totals : null, labels: config.labels,
    store,
    sendToNode: (message) => link.send(message),
    sendToNodeSoon: (message) => link.sendSoon(message),
    flushToNode: () => void link.flush(),
    // The channel to the node manager keeps a worker alive, whatever it waits for, but not too long without a word.
    keepAlive: (isNeeded) => {
      if (isNeeded) stuckWatch?.somethingPending();
    },
    useAccelerators,
    begunTable: begunTablesOf(config.sessionDir, workerId),
    exit: (reason) => {
      output?.flush();
      link.send({ type: "exiting", reason, actorId: null });
      setImmediate(() => host.end(0));
    },
    warn: (message) => process.emitWarning(message, "MantarayWarning"),
    get codeOrigin() { return job.origin; }, modules: moduleServices(config.sessionDir, host.environment),
    ...(config.entryUrl === null ? {} : { entryUrl: config.entryUrl }),
    prepareImports: () => prepareImports(),
    ...(bytesMax === undefined ? {} : { lineageBytesMax: bytesMax }),
  });
  const stuckWatch = createWorkerStuckWatch(core);
  installRevivers(core);
  if (host.memoryLimitBytes !== null) guardMemory(host.memoryLimitBytes, host.memoryGauge, (usedBytes) => link.send({ type: "memoryExceeded", usedBytes }));
  core.checkMethodOptions = checkMethodOptions;
  const runtime: Runtime = {
    core, get namespace() { return job.namespace; }, get isolation() { return job.isolation; }, address: config.address,
    environments: new EnvironmentResolver(host.environment?.record ?? null, config.sessionDir),
    ready: Promise.resolve({ nodeId: config.nodeId, jobId: config.jobId, sessionDir: config.sessionDir }),
    stop: () => Promise.resolve(),
  };
  setRuntime(runtime);
  const output = config.logToDriver ? captureOutput((stream, lines) => link.send({ type: "log", record: { pid, workerId, source: sourceOf(core), stream, lines } })) : null;
  reportUnusualEnds(core, link, output);
  link.onMessage((message) => {
    if (message.type === "jobAssigned") {
      job = message.job;
      prepareImports = loadOnce(job.loaders);
    }
    if (message.type === "drainOutput") output?.flush();
    core.onNodeMessage(message);
    host.onHostMessage?.(message);
  });
  link.onClose(() => host.nodeLost());
  link.ref();
  // While nothing waits: what the first task or actor would have to load.
  host.clock.after(WARM_UP_AFTER_MS, () => warmUp(core));
  link.send({ type: "register", workerId, pid, listenAddress: host.listenAddress });
  return core;
}

/** "Counter" or "Counter.inc" for an actor, the function's name for a task. */
function sourceOf(core: CoreWorker): string | null {
  const actor = core.currentActor();
  if (actor !== undefined) return actor.spec.className;
  return core.context.current()?.name ?? null;
}

/** `process.emitWarning` says it when the thread has a turn. */
function warnAsleep(text: string): void {
  process.stderr.write(`MantarayWarning: ${text}\n`);
}

/** User code can end its worker in ways that say nothing by themselves; these last words name the cause. `output`: what it prints goes to its program. */
function reportUnusualEnds(core: CoreWorker, link: NodeLink, output: ReturnType<typeof captureOutput> | null): void {
  const exit = process.exit.bind(process);
  process.exit = ((code?: number | string | null): never => {
    core.flush();
    output?.flush();
    const running = core.context.current();
    const { where, actorId } = sharedActorOf(core);
    link.send({ type: "exiting", reason: `called process.exit(${code ?? ""})${running === undefined ? "" : ` in ${running.name}()`}${where}`, actorId });
    return exit(code);
  }) as typeof process.exit;
  const crash = (error: unknown, kind: string): void => {
    core.flush();
    const stack = error instanceof Error ? cleanStack(String(error.stack)) : String(error);
    const { where, actorId } = sharedActorOf(core);
    // Whoever waits for this worker is told by its end; there may be nobody.
    if (output !== null) process.stderr.write(`This worker ends by an ${kind}${where}: ${stack}\n`);
    output?.flush();
    link.send({ type: "exiting", reason: `ended by an ${kind}${where}: ${stack}`, actorId });
    exit(1);
  };
  const kill = process.kill.bind(process);
  // What has ended here has ended, also for a worker that kills itself.
  process.kill = (pid, signal) => {
    if (pid === process.pid) core.flush();
    return kill(pid, signal);
  };
  process.on("uncaughtException", (error) => crash(error, "uncaught exception"));
  process.on("unhandledRejection", (error) => {
    // A cancelled task need not await everything that it has started.
    if (!isCancelReason(error)) crash(error, "unhandled rejection");
  });
}

/** Of several actors in one worker: which one it was, as far as that is known. */
function sharedActorOf(core: CoreWorker): { readonly where: string; readonly actorId: string | null } {
  const spec = core.currentActor()?.spec;
  return spec?.isShared === true ? { where: ` of actor ${spec.className} (${spec.actorId})`, actorId: spec.actorId } : { where: "", actorId: null };
}

const WARM_UP_AFTER_MS = 20;

/** Runs the code that rebuilds values and starts actors once: the first actor takes a third less of the worker's time then. */
function warmUp(core: CoreWorker): void {
  const { serializer } = core;
  serializer.decode(serializer.encode([new RangeError("warm-up"), new Map([[1, { two: 3 }]])], "the warm-up"));
  core.actorHost.rehearse();
  emptyYoungGeneration();
}

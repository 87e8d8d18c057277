import { Worker } from "node:worker_threads";
import type { InitOptions, Runtime, RuntimeInfo } from "../api/mod.ts";
import { newWorkerId, nodeKeyOf, RuntimeStateError } from "../base/mod.ts";
import { openMessageLink, type LaunchedWorker, type NodeLink } from "../clients/mod.ts";
import type { CoreWorker } from "../core-worker/mod.ts";
import { createStoreDoor, removeOwnFolder, type SharedStore, storeFoldersOf } from "../object-store/mod.ts";
import type { FromNode } from "../protocol/mod.ts";
import { EnvironmentResolver, needsNoSetup } from "../runtime-env/mod.ts";
import { type LoopSpinner, openThreadChannel } from "../transport/mod.ts";
import type { BrokerMessage, NodeThreadData, SessionConfig } from "./bootstrap.ts";
import { Caretaker } from "./caretaker.ts";
import { createDriverCore, ProgramEnd, STOP_MS_MAX } from "./driver-core.ts";
import { DriverOutput } from "./driver-output.ts";
import { entryModuleUrl, inheritedNodeOptions, preloadedLoaders } from "./entry-module.ts";
import { codeOrigin } from "./module-services.ts";
import { realClock } from "./real-clock.ts";
import { realRandom } from "./real-random.ts";
import { publishTicket } from "./runtime-address.ts";
import { newSessionConfig } from "./session-config.ts";
import { launchThread } from "./thread-launcher.ts";
import { connectToProcess, createLoopSpinner, createPeerEnds, createPoller, createThreadLinkPair, linkTransferList, newSpinPermits, openPeer } from "./thread-links.ts";

const NODE_THREAD = new URL("./node-thread.js", import.meta.url);

/** Starts an embedded runtime: the driver here, the node thread, and at once a first worker beside it. */
export function startEmbedded(options: InitOptions): Runtime {
  const { session, caretaker } = newSession(options);
  const node = nodeKeyOf(session.nodeId);
  const driverId = newWorkerId(realRandom, node);
  const config: SessionConfig = { ...session, origin: codeOrigin(driverId) };
  const spinPermits = newSpinPermits();
  const poller = createPoller(spinPermits);
  const spinner = createLoopSpinner(spinPermits);
  const [ours, theirs] = createThreadLinkPair();
  const link: NodeLink = openMessageLink(openThreadChannel(ours.channel, { peerId: config.nodeId, poller }));
  const storeDoor = createStoreDoor();
  const { core, store } = createDriverCore({ ...config, driverId, storeDoor, link,
    keepAlive: (isNeeded) => {
      spinner.isNeeded = isNeeded;
      if (isNeeded) link.ref();
      else link.unref();
    },
  });

  let firstWorker: (LaunchedWorker & { readonly workerId: string }) | null = null;
  let firstLink: NodeThreadData["firstWorker"] = null;
  if (config.isolation === "thread" && (config.runtimeEnv === null || needsNoSetup(config.runtimeEnv)) && (config.totals["CPU"] ?? 0) > 0) {
    // A thread takes as long to start as the node thread: both at once, instead of one after the other.
    const workerId = newWorkerId(realRandom, node);
    const [forNode, forWorker] = createThreadLinkPair();
    const [forUs, forPeer] = createPeerEnds(driverId, workerId);
    firstLink = { workerId, ...forNode };
    firstWorker = { workerId, ...launchThread({ workerId, config, node: forWorker, spinPermits, storeDoor, environment: config.runtimeEnv === null ? null : { record: config.runtimeEnv, workingDir: null, npm: null }, memoryLimitBytes: null, driver: forPeer }, (death) => link.send({ type: "workerExited", workerId, death })) };
    openPeer(core, forUs, poller);
  }
  const nodeData: NodeThreadData = { kind: "mantaray-node", config, driverId, driver: theirs, spinPermits, storeDoor, firstWorker: firstLink };
  const thread = new Worker(NODE_THREAD, { workerData: nodeData, execArgv: [], transferList: [...linkTransferList(theirs), ...(firstLink === null ? [] : linkTransferList(firstLink))], name: "mantaray-node" });
  thread.unref();

  const output = new DriverOutput(realClock);
  if (options.logToDriver !== false) core.onLog((record) => output.print(record));
  ours.broker.on("message", (message: BrokerMessage) => {
    if (message.type === "peer") openPeer(core, message.end, poller);
  });
  ours.broker.unref();
  const embedded = new EmbeddedRuntime(core, store, config, link, thread, firstWorker, output, caretaker, spinner);
  link.send({ type: "register", workerId: driverId, pid: process.pid, listenAddress: null });
  // While the threads are starting, this one has time. Nothing makes a folder before: what is killed at any moment leaves none.
  caretaker.start();
  publishTicket(config);
  return embedded;
}

class EmbeddedRuntime implements Runtime {
  readonly core: CoreWorker;
  readonly #store: SharedStore;
  readonly namespace: string;
  readonly isolation: "thread" | "process";
  readonly address: string;
  readonly environments: EnvironmentResolver;
  readonly ready: Promise<RuntimeInfo>;
  readonly #config: SessionConfig;
  readonly #link: NodeLink;
  readonly #node: Worker;
  readonly #firstWorker: (LaunchedWorker & { readonly workerId: string }) | null;
  readonly #programEnd: ProgramEnd;
  readonly #caretaker: Caretaker;
  readonly #spinner: LoopSpinner;
  readonly #nodeEnded: Promise<void>;
  #stopping: Promise<void> | null = null;

  constructor(core: CoreWorker, store: SharedStore, config: SessionConfig, link: NodeLink, node: Worker, firstWorker: (LaunchedWorker & { readonly workerId: string }) | null, output: DriverOutput, caretaker: Caretaker, spinner: LoopSpinner) {
    this.core = core;
    this.#store = store;
    this.namespace = config.namespace;
    this.isolation = config.isolation;
    this.address = config.address;
    this.environments = new EnvironmentResolver(config.runtimeEnv, config.sessionDir);
    this.#config = config;
    this.#link = link;
    this.#node = node;
    this.#firstWorker = firstWorker;
    this.#caretaker = caretaker;
    this.#spinner = spinner;
    const info: RuntimeInfo = { nodeId: config.nodeId, jobId: config.jobId, sessionDir: config.sessionDir };
    this.ready = new Promise((resolve, reject) => {
      node.ref();
      // Once it is being stopped, its end is what is waited for.
      const settle = (act: () => void): void => {
        if (this.#stopping !== null) return;
        node.unref();
        act();
      };
      link.onMessage((message) => {
        if (message.type === "registered") settle(() => resolve(info));
        else this.#onMessage(message);
        core.onNodeMessage(message);
      });
      node.on("error", (error) => settle(() => reject(new RuntimeStateError(`the node thread failed: ${error.message}`, { cause: error }))));
      node.once("exit", () => reject(new RuntimeStateError("the runtime was shut down before it was ready")));
    });
    this.#nodeEnded = new Promise((resolve) => node.once("exit", () => resolve()));
    // Whoever is just making a file in it is waited for.
    this.#programEnd = new ProgramEnd(core, output, this.#nodeEnded, () => {
      for (const folder of [config.sessionDir, ...storeFoldersOf(config.store)]) removeOwnFolder(folder);
    });
  }

  #onMessage(message: FromNode): void {
    if (message.type === "terminateWorker") this.#firstWorker?.terminate();
    else if (message.type === "noteWorkerEnd") this.#firstWorker?.noteReason(message.reason);
    else if (message.type === "connectSocket") connectToProcess(this.core, message, { workerId: this.core.env.workerId, token: this.#config.token, spinner: this.#spinner });
  }

  stop(): Promise<void> {
    return (this.#stopping ??= this.#stop());
  }

  async #stop(): Promise<void> {
    this.#programEnd.stopping();
    this.core.shutDown();
    this.#node.ref();
    await this.#programEnd.drainOutput();
    this.#firstWorker?.terminate();
    this.#store.detach();
    this.#link.send({ type: "shutdown" });
    // An orderly end comes within milliseconds; a node thread that hangs is ended all the same.
    const forced = realClock.after(STOP_MS_MAX, () => void this.#node.terminate());
    await this.#nodeEnded;
    forced.cancel();
    this.#link.close();
    this.#programEnd.finish();
    await this.#caretaker.stop();
  }
}

function newSession(options: InitOptions): { readonly session: SessionConfig; readonly caretaker: Caretaker } {
  let packer: Caretaker | null = null;
  const caretakerOf = (store: SessionConfig["store"]): Caretaker => new Caretaker([store.sessionDir, ...storeFoldersOf(store)]);
  try {
    const session = newSessionConfig(options, {
      entryUrl: entryModuleUrl(), loaders: preloadedLoaders(), nodeOptions: inheritedNodeOptions(),
      environment: (store) => {
        if (options.runtimeEnv === undefined) return null;
        // Its files are packed at once.
        packer = caretakerOf(store);
        packer.start();
        return EnvironmentResolver.forProgram(options.runtimeEnv, store.sessionDir).inherited;
      },
    });
    return { session, caretaker: packer ?? caretakerOf(session.store) };
  } catch (error) {
    void (packer as Caretaker | null)?.stop();
    throw error;
  }
}

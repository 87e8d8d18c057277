import type { InitOptions, Runtime, RuntimeInfo } from "../api/mod.ts";
import { InvalidArgumentError, newJobId, newWorkerId, nodeKeyOf, RuntimeStateError, type WorkerId } from "../base/mod.ts";
import type { CoreWorker } from "../core-worker/mod.ts";
import { EnvironmentResolver } from "../runtime-env/mod.ts";
import { removeOwnFolder, type SharedStore } from "../object-store/mod.ts";
import type { FromNode, NetworkAddress, WorkerIsolation } from "../protocol/mod.ts";
import { connectSocket, listenSocket, TransportError, type Channel, type ChannelCloseReason, type SocketListener } from "../transport/mod.ts";
import type { Caretaker } from "./caretaker.ts";
import { createDriverCore, ProgramEnd, STOP_MS_MAX } from "./driver-core.ts";
import { DriverOutput } from "./driver-output.ts";
import { entryModuleUrl, resolvedLoaders } from "./entry-module.ts";
import { JoiningLink } from "./joining-link.ts";
import { codeOrigin } from "./module-services.ts";
import { packageUpload } from "./package-upload.ts";
import { PeerListener } from "./peer-listener.ts";
import { realClock } from "./real-clock.ts";
import { realRandom } from "./real-random.ts";
import { findRemoteNode } from "./remote-node.ts";
import { clusterAddressIn, findRuntime, isHostAlive, networkAddressIn, nodeOfCluster, socketPathOf, type Ticket, workerSocketPath } from "./runtime-address.ts";
import { linkOpener } from "./testing-faults.ts";
import { connectToProcess, createLoopSpinner, newSpinPermits, type PeerIdentity } from "./thread-links.ts";

/** A runtime that has just been started opens its socket a moment later. */
const SOCKET_WAIT_MS_MAX = 10_000;
const SOCKET_LOOK_EVERY_MS = 10;

/** What the program that started the runtime has decided for all. */
const OPTIONS_OF_THE_HOST = ["numCpus", "numGpus", "memory", "resources", "labels", "objectStoreMemory", "objectSpillingDirectory"] as const;

/** Joins the runtime of another program on this machine, as a driver with a job of its own. */
export function startAttached(options: InitOptions, address: string): Runtime {
  for (const name of OPTIONS_OF_THE_HOST) {
    if (options[name] === undefined) continue;
    throw new InvalidArgumentError(`option '${name}' of init() cannot be given together with the address '${address}'${options.address === undefined ? " (from MANTARAY_ADDRESS)" : ""}: it is decided by the program that started that runtime; leave it out, or pass address: "local" for a new runtime`);
  }
  const { ticket, caretaker } = ticketFor(address);
  return new AttachedRuntime(options, ticket, caretaker);
}

/** A program need not be on a machine that has a node: then it joins the node whose address it has. */
function ticketFor(address: string): { readonly ticket: Ticket; readonly caretaker: Caretaker | null } {
  const networkAddress = clusterAddressIn(address);
  const ticket = networkAddress === null ? findRuntime(address) : nodeOfCluster(address, networkAddress);
  return ticket === null ? findRemoteNode(networkAddress as NetworkAddress) : { ticket, caretaker: null };
}

class AttachedRuntime implements Runtime {
  readonly core: CoreWorker;
  readonly namespace: string;
  readonly isolation: WorkerIsolation;
  readonly address: string;
  readonly environments: EnvironmentResolver;
  readonly ready: Promise<RuntimeInfo>;
  readonly #ticket: Ticket;
  /** Of the folder that this program has of its own; null where it shares that of a node. */
  readonly #caretaker: Caretaker | null;
  readonly #driverId: WorkerId;
  readonly #store: SharedStore;
  readonly #link = new JoiningLink();
  readonly #openLink = linkOpener(process.env);
  readonly #programEnd: ProgramEnd;
  #listener: SocketListener | null = null;
  readonly #peers: PeerListener;
  readonly #spinner = createLoopSpinner(newSpinPermits());
  #isNeeded = false;
  #isJoining = true;
  #isLeaving = false;
  /** The runtime was not ended in good order. */
  #isHostLost = false;
  #settleReady!: { resolve(): void; reject(error: Error): void };
  readonly #nodeEnded: Promise<void>;
  #nodeHasEnded!: () => void;
  #stopping: Promise<void> | null = null;

  constructor(options: InitOptions, ticket: Ticket, caretaker: Caretaker | null) {
    const { session } = ticket;
    const jobId = newJobId(realRandom);
    this.#ticket = ticket;
    this.#caretaker = caretaker;
    this.#driverId = newWorkerId(realRandom, nodeKeyOf(session.nodeId));
    this.namespace = options.namespace ?? `job-${jobId}`;
    this.isolation = options.isolation === "process" || options.isolation === "thread" ? options.isolation : session.isolation;
    this.address = session.address;
    this.environments = EnvironmentResolver.forProgram(options.runtimeEnv, session.sessionDir, networkAddressIn(session.address) === null ? null : packageUpload((message) => this.#link.send(message)));
    const origin = codeOrigin(this.#driverId);
    const { core, store } = createDriverCore({
      ...session, totals: session.networkHost === null ? session.totals : null, origin, driverId: this.#driverId, jobId, namespace: this.namespace, entryUrl: entryModuleUrl(), storeDoor: null, link: this.#link,
      keepAlive: (isNeeded) => {
        this.#isNeeded = isNeeded;
        this.#spinner.isNeeded = isNeeded;
        this.#keepAlive();
      },
    });
    this.core = core;
    this.#peers = new PeerListener({ workerId: this.#driverId, token: session.token, host: session.networkHost, spinner: this.#spinner, link: this.#link, core: () => core });
    this.#store = store;
    const output = new DriverOutput(realClock);
    if (options.logToDriver !== false) core.onLog((record) => output.print(record));
    this.#nodeEnded = new Promise((resolve) => { this.#nodeHasEnded = resolve; });
    this.#programEnd = new ProgramEnd(core, output, this.#nodeEnded, () => this.#removeFiles());
    const info: RuntimeInfo = { nodeId: session.nodeId, jobId, sessionDir: session.sessionDir };
    this.ready = new Promise((resolve, reject) => { this.#settleReady = { resolve: () => resolve(info), reject }; });
    this.#link.onMessage((message) => this.#onMessage(message));
    this.#link.onClose((reason) => this.#hostLost(reason));
    this.#keepAlive();
    const listenAddress = networkAddressIn(session.address) === null ? workerSocketPath(session.sessionDir, this.#driverId) : null;
    this.#link.send({ type: "registerDriver", listenAddress, pid: process.pid, job: { jobId, driverId: this.#driverId, namespace: this.namespace, isolation: this.isolation, loaders: resolvedLoaders(), origin } });
    this.#join(listenAddress).catch((error: Error) => this.#fail(error));
  }

  /** `listenAddress`: null on another machine than the node. */
  async #join(listenAddress: string | null): Promise<void> {
    const identity = { workerId: this.#driverId, token: this.#ticket.session.token, spinner: this.#spinner };
    if (listenAddress !== null) {
      const listener = await listenSocket({ path: listenAddress }, { ...identity, onChannel: (channel) => this.core.peerConnected(channel.peerId, channel, null) });
      this.#listener = listener;
      if (this.#stopping !== null) return listener.close();
    }
    this.#link.open(this.#openLink(await this.#connectToNode(identity)));
  }

  async #connectToNode(identity: PeerIdentity): Promise<Channel> {
    const address = networkAddressIn(this.address);
    if (address !== null) return connectSocket(address, identity);
    const path = socketPathOf(this.address);
    const deadlineMs = realClock.nowMs() + SOCKET_WAIT_MS_MAX;
    for (;;) {
      try {
        return await connectSocket({ path }, identity);
      } catch (error) {
        const code = ((error as Error).cause as NodeJS.ErrnoException | undefined)?.code;
        // The second: its file is there a moment before anybody listens.
        const isNotYetThere = code === "ENOENT" || code === "ECONNREFUSED";
        if (!isNotYetThere || this.#stopping !== null || !isHostAlive(this.#ticket) || realClock.nowMs() > deadlineMs) throw error;
        await new Promise((resolve) => setTimeout(resolve, SOCKET_LOOK_EVERY_MS));
      }
    }
  }

  #keepAlive(): void {
    if (this.#isNeeded || this.#isJoining || this.#isLeaving) this.#link.ref();
    else this.#link.unref();
  }

  #onMessage(message: FromNode): void {
    if (message.type === "registered") this.#joined();
    else if (message.type === "listenForPeers") this.#peers.asked(message.askerId);
    else if (message.type === "connectSocket") connectToProcess(this.core, message, { workerId: this.#driverId, token: this.#ticket.session.token, spinner: this.#spinner });
    this.core.onNodeMessage(message);
  }

  #joined(): void {
    this.#isJoining = false;
    this.#keepAlive();
    this.#settleReady.resolve();
  }

  /** It could not be joined. */
  #fail(cause: Error): void {
    const { pid } = this.#ticket;
    const what = cause instanceof TransportError ? cause.message : String(cause);
    const why = isHostAlive(this.#ticket) ? "" : ` Its process (pid ${pid}) has ended.`;
    this.#end(new RuntimeStateError(`the runtime at '${this.address}' could not be joined: ${what}${why}`, { cause }));
  }

  #hostLost(reason: ChannelCloseReason): void {
    if (reason === "local" || this.#stopping !== null) return this.#nodeHasEnded();
    const { pid, node } = this.#ticket;
    this.#isHostLost = reason === "lost";
    const host = node === null ? `the program that started it (pid ${pid})` : `${node.isHead ? "the head" : "the node that this program joined"} (pid ${pid}) of the cluster at ${node.clusterAddress}`;
    const what = reason === "peer" ? `was shut down by ${host}` : isHostAlive(this.#ticket) ? `is out of reach: the connection with ${host} broke` : `is gone: ${host} has ended`;
    this.#end(new RuntimeStateError(`the runtime at '${this.address}' ${what}; call shutdown(), and then init() for another one`));
  }

  #end(error: RuntimeStateError): void {
    this.#isJoining = false;
    this.#nodeHasEnded();
    this.#settleReady.reject(error);
    this.#link.end(error.message);
    this.core.failEverything(error.message);
    this.core.shutDown(`when its runtime had ended: ${error.message}`);
  }

  stop(): Promise<void> {
    return (this.#stopping ??= this.#stop());
  }

  async #stop(): Promise<void> {
    this.#programEnd.stopping();
    this.core.shutDown();
    this.#settleReady.reject(new RuntimeStateError("the runtime was shut down before it was joined"));
    if (this.#isJoining) this.#nodeHasEnded();
    this.#isLeaving = true;
    this.#keepAlive();
    await this.#programEnd.drainOutput();
    this.#store.detach();
    // The node ends what this program still has there, then it closes the link.
    this.#link.send({ type: "shutdown" });
    const forced = realClock.after(STOP_MS_MAX, () => this.#nodeHasEnded());
    await this.#nodeEnded;
    forced.cancel();
    this.#link.close();
    this.#isLeaving = false;
    this.#keepAlive();
    this.#programEnd.finish();
    await this.#caretaker?.stop();
  }

  /** Whoever is left removes what a program that was killed could not: one that lives may have lost this connection alone. */
  #removeFiles(): void {
    this.#listener?.close();
    this.#peers.close();
    if ((this.#isHostLost && !isHostAlive(this.#ticket)) || networkAddressIn(this.address) !== null) removeOwnFolder(this.#ticket.session.sessionDir);
  }
}

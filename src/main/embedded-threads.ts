import type { WorkerId } from "../base/mod.ts";
import { openMessageLink, type WorkerLink } from "../clients/mod.ts";
import { openThreadChannel, type ThreadPoller } from "../transport/mod.ts";
import type { BrokerMessage, PeerEnd, SessionConfig, ThreadLink } from "./bootstrap.ts";
import type { ThreadHosting, WorkerStart } from "./local-node.ts";
import { launchThread, type ProbedWorker } from "./thread-launcher.ts";
import { createPeerEnds, createThreadLinkPair, peerTransferList } from "./thread-links.ts";

export interface EmbeddedThreadsEnvironment {
  readonly config: SessionConfig;
  readonly poller: ThreadPoller;
  readonly spinPermits: SharedArrayBuffer;
  readonly storeDoor: SharedArrayBuffer;
  serve(workerId: WorkerId, link: WorkerLink): void;
}

/** Worker threads in the process of the node, which reach each other through shared memory. */
export class EmbeddedThreads implements ThreadHosting {
  readonly areOfJobs = false;
  readonly #env: EmbeddedThreadsEnvironment;
  readonly #brokers = new Map<WorkerId, ThreadLink["broker"]>();

  constructor(environment: EmbeddedThreadsEnvironment) {
    this.#env = environment;
  }

  /** A thread that somebody else has started; the driver's is one too. */
  add(workerId: WorkerId, { channel, broker }: ThreadLink): WorkerLink {
    const link: WorkerLink = openMessageLink(openThreadChannel(channel, { peerId: workerId, poller: this.#env.poller }));
    this.#brokers.set(workerId, broker);
    this.#env.serve(workerId, link);
    return link;
  }

  launch({ workerId, memoryLimitBytes, environment, onExit }: WorkerStart): ProbedWorker {
    const { config, spinPermits, storeDoor, poller } = this.#env;
    const [ours, theirs] = createThreadLinkPair();
    this.add(workerId, ours);
    return launchThread({ workerId, config, node: theirs, spinPermits, storeDoor, environment, memoryLimitBytes, driver: null }, (death) => {
      // Its last words may still lie in the channel.
      poller.wake();
      onExit(death);
    });
  }

  connect(askerId: WorkerId, targetId: WorkerId): boolean {
    const asker = this.#brokers.get(askerId);
    const target = this.#brokers.get(targetId);
    if (asker === undefined || target === undefined) return false;
    const [forAsker, forTarget] = createPeerEnds(askerId, targetId);
    handOver(asker, forAsker);
    handOver(target, forTarget);
    return true;
  }

  /** Written by a thread that hosts shared actors, read when it does not answer any more. */
  watchRunning(workerId: WorkerId): Int32Array | null {
    const broker = this.#brokers.get(workerId);
    if (broker === undefined) return null;
    const memory = new SharedArrayBuffer(Int32Array.BYTES_PER_ELEMENT);
    broker.postMessage({ type: "runningActor", memory } satisfies BrokerMessage);
    return new Int32Array(memory);
  }

  remove(workerId: WorkerId): void {
    this.#brokers.get(workerId)?.close();
    this.#brokers.delete(workerId);
  }
}

function handOver(broker: ThreadLink["broker"], end: PeerEnd): void {
  broker.postMessage({ type: "peer", end } satisfies BrokerMessage, peerTransferList(end));
}

import { mkdirSync, renameSync } from "node:fs";
import { join } from "node:path";
import { MessageChannel } from "node:worker_threads";
import { nodeKeyOf, RuntimeStateError } from "../base/mod.ts";
import { textOf } from "../protocol/mod.ts";
import { makeOwnedFolder, createStoreDoor, removeOwnFolder, removeStaleFolders, storeFoldersOf, ObjectManager, type ObjectManagerEnvironment, ObjectTransferServer, type StoreService } from "../object-store/mod.ts";
import { checkNodeLabels } from "../scheduling/mod.ts";
import type { SessionConfig } from "./bootstrap.ts";
import { Caretaker } from "./caretaker.ts";
import { ClusterConnections } from "./cluster-connections.ts";
import { clusterToken } from "./cluster-greeting.ts";
import { LocalNode } from "./local-node.ts";
import { networkAddressOf } from "./network-address.ts";
import { localHostTowards } from "./network-host.ts";
import { type NodeEnd, nodeEnd } from "./node-end.ts";
import { realClock } from "./real-clock.ts";
import { removeDeadSessions, socketPathOf, writeTicket } from "./runtime-address.ts";
import { newSessionConfig, type MachineOptions } from "./session-config.ts";
import { linkOpener } from "./testing-faults.ts";
import { WorkerHosts } from "./worker-hosts.ts";

/** A node that is a process of its own. Plain data. */
export interface NodeOptions extends MachineOptions {
  /** `HOST:PORT` of the head whose cluster it joins; null for the head of a new one. */
  readonly headAddress: string | null;
  /** Where others reach this node; null: as the head is reached from here, and for a head on this machine alone. */
  readonly host: string | null;
  /** 0: any that is free. */
  readonly port: number;
  readonly name: string | null;
  /** It ends with the process that has started it, and is found by its address alone. */
  readonly isForTest: boolean;
}

/** What is known of a node that has started. Plain data. */
export interface NodeReport {
  readonly pid: number;
  readonly nodeId: string;
  readonly isHead: boolean;
  /** `HOST:PORT` of its head. */
  readonly clusterAddress: string;
  /** Programs of this machine join through this node with it. */
  readonly address: string;
  readonly sessionDir: string;
  /** Null where it writes to the terminal. */
  readonly logFile: string | null;
}

const LOOPBACK = "127.0.0.1";
const SIGNALS: readonly NodeJS.Signals[] = ["SIGTERM", "SIGINT", "SIGHUP"];

/**
 * A node without a program: all workers are of programs that join. It stays until a signal ends it, and takes along whatever it has
 * started. Killed at once, its workers see that by themselves; the files that it leaves are removed by the last of them, or by the
 * next node.
 *
 * `logFile`: where its output goes already; it moves to the session's folder.
 */
export async function startNode(options: NodeOptions, logFile: string | null): Promise<NodeReport> {
  checkNodeLabels(options.labels ?? {}, "labels of this node");
  const openLink = linkOpener(process.env);
  const headAddress = options.headAddress === null ? null : networkAddressOf(options.headAddress);
  const host = options.host ?? (headAddress === null ? LOOPBACK : await localHostTowards(headAddress));
  const config: SessionConfig = { ...newSessionConfig(options), token: clusterToken(), networkHost: host };
  const { sessionDir } = config;
  process.on("exit", () => removeOwnFolder(sessionDir));
  const caretaker = new Caretaker([sessionDir, ...storeFoldersOf(config.store)]);
  caretaker.start();
  makeOwnedFolder(sessionDir);
  let end: NodeEnd = () => undefined;
  const failed = (error: Error): never => { throw explained(error, options, host); };
  const objectServer = await ObjectTransferServer.open({ host, nodeKey: nodeKeyOf(config.nodeId), token: config.token }).catch(failed);
  const connections = await ClusterConnections.open({
    config, name: options.name, headAddress, listen: { host, port: options.port }, objectAddress: objectServer.address, note, openLink,
    serve: (driverId, link) => node.service.serve(driverId, link),
    headLost: (reason) => end(`the head ${reason}`, "has ended", 1),
    leave: (reason) => end(`this node ${reason}`, reason, 0),
  }).catch(failed);
  const { cluster } = connections;
  const createObjects = (store: StoreService, send: ObjectManagerEnvironment["send"]): ObjectManager => new ObjectManager({
    clock: realClock, nodeKey: nodeKeyOf(config.nodeId), token: config.token, capacityBytes: config.store.capacityBytes, store, server: objectServer, send,
    addressOf: (other) => cluster.objectAddressOf(other),
  });
  const threads: WorkerHosts = new WorkerHosts({
    clock: realClock, config, nodeAddress: socketPathOf(config.address), caretaker,
    output: (workerId, pid, stream, lines) => node.printed(workerId, pid, stream, lines),
    memoryExceeded: (workerId, usedBytes) => node.nodeManager.memoryExceeded(workerId, usedBytes),
  });
  process.on("exit", () => threads.killAll());
  const node: LocalNode = new LocalNode({ config, storeDoor: createStoreDoor(), driverId: null, threads, caretaker, onShutdown: () => undefined, cluster, createObjects });
  end = endingOnSignals(node, threads, connections, caretaker);
  cluster.attach(node.service);
  await node.openDoor();
  // The first program should not have to wait for processes.
  threads.prepare();
  const clusterAddress = textOf(connections.headAddress);
  const isHead = headAddress === null;
  const report: NodeReport = { pid: process.pid, nodeId: config.nodeId, isHead, clusterAddress, address: config.address, sessionDir, logFile: logFile === null ? null : movedLog(logFile, sessionDir) };
  writeTicket(config, { clusterAddress, name: options.name, isHead, isForTest: options.isForTest });
  removeDeadSessions();
  removeStaleFolders();
  return report;
}

/** A line of the node's log. */
function note(text: string): void {
  console.log(`${new Date().toISOString()} ${text}`);
}

/** What whoever starts a node can do about it. */
function explained(error: Error, { headAddress, port }: NodeOptions, host: string): Error {
  const { code: reason } = (error.cause ?? {}) as NodeJS.ErrnoException;
  const failed = (message: string): Error => new RuntimeStateError(message, { cause: error });
  switch ((error as { readonly code?: string }).code) {
    case "ERR_MANTARAY_LISTEN_FAILED":
      if (reason === "EADDRINUSE") return failed(`port ${port} of ${host} is in use, perhaps by another cluster: pass another --port (0 for any that is free), or end that one with \`mantaray stop\``);
      if (reason === "EADDRNOTAVAIL" || reason === "ENOTFOUND") return failed(`${host} is no address of this machine: pass one of its own as --host (${LOOPBACK} for programs of this machine alone)`);
      if (reason === "EACCES") return failed(`this user may not listen on port ${port}: pass a --port above 1023`);
      return error;
    case "ERR_MANTARAY_CONNECT_FAILED":
      return failed(`there is no head at ${headAddress ?? ""} (${reason ?? error.message}): start it with \`mantaray start --head\`, and pass the address that it prints; for other machines it needs --host`);
    case "ERR_MANTARAY_PEER_TOKEN":
      return failed(`the cluster at ${headAddress ?? ""} has another secret: set MANTARAY_CLUSTER_TOKEN to the same on all nodes`);
    case "ERR_MANTARAY_PEER_REFUSED":
    case "ERR_MANTARAY_CONNECT_TIMEOUT":
      return failed(`${error.message} What listens at ${headAddress ?? ""} is no head of a cluster, or hangs: pass the address that \`mantaray start --head\` has printed`);
    default:
      return error;
  }
}

function movedLog(logFile: string, sessionDir: string): string {
  const moved = join(sessionDir, "logs", "node.log");
  mkdirSync(join(sessionDir, "logs"), { recursive: true });
  renameSync(logFile, moved);
  return moved;
}

/** Answers how else it is ended. */
function endingOnSignals(node: LocalNode, threads: WorkerHosts, connections: ClusterConnections, caretaker: Caretaker): NodeEnd {
  // Sockets of others keep nobody alive.
  const { port1: alive } = new MessageChannel();
  alive.on("message", () => undefined);
  const end = nodeEnd({ clock: realClock, connections, node, threads, caretaker, note, exit: (exitCode) => process.exit(exitCode) });
  let isEnding = false;
  const begin: NodeEnd = (reason, told, exitCode) => {
    isEnding = true;
    end(reason, told, exitCode);
  };
  for (const signal of SIGNALS) process.on(signal, () => begin(signal, "has ended", 0));
  return (reason, told, exitCode) => {
    // Their calls fail because the node ends. Why it does, nobody else says to them.
    if (!isEnding) node.service.toDrivers({ type: "warning", text: `the node that this program has joined (pid ${process.pid}) ends: ${reason}` });
    begin(reason, told, exitCode);
  };
}

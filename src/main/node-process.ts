import { mkdirSync, renameSync, rmSync } from "node:fs";
import { join } from "node:path";
import { MessageChannel } from "node:worker_threads";
import { RuntimeStateError } from "../base/mod.ts";
import { makeOwnedFolder, createStoreDoor, removeStaleFolders } from "../object-store/mod.ts";
import { listenSocket, type SocketListener, type TransportError } from "../transport/mod.ts";
import type { SessionConfig } from "./bootstrap.ts";
import { STOP_MS_MAX } from "./driver-core.ts";
import { LocalNode } from "./local-node.ts";
import { realClock } from "./real-clock.ts";
import { removeDeadSessions, writeTicket } from "./runtime-address.ts";
import { newSessionConfig, type MachineOptions } from "./session-config.ts";

/** A node that is a process of its own. Plain data. */
export interface NodeOptions extends MachineOptions {
  /** Where the head of a new cluster listens; port 0: any that is free. */
  readonly head: { readonly host: string; readonly port: number };
  readonly name: string | null;
}

/** What is known of a node that has started. Plain data. */
export interface NodeReport {
  readonly pid: number;
  readonly nodeId: string;
  /** `HOST:PORT` of its head. */
  readonly clusterAddress: string;
  readonly sessionDir: string;
  /** Null where it writes to the terminal. */
  readonly logFile: string | null;
}

/** Secret of clusters whose users have set none: who can reach the port can join. */
const TOKEN_DEFAULT = "mantaray";
const SIGNALS: readonly NodeJS.Signals[] = ["SIGTERM", "SIGINT", "SIGHUP"];

/**
 * A node without a program: all workers are of programs that join. It stays until a signal ends it, and takes along whatever it has
 * started. Killed at once, its workers see that by themselves; the files that it leaves are removed by the last of them, or by the
 * next node.
 *
 * `logFile`: where its output goes already; it moves to the session's folder.
 */
export async function startNode(options: NodeOptions, logFile: string | null): Promise<NodeReport> {
  const config = newSessionConfig(options);
  const { sessionDir } = config;
  const remove = (): void => rmSync(sessionDir, { recursive: true, force: true, maxRetries: 2, retryDelay: 5 });
  process.on("exit", remove);
  makeOwnedFolder(sessionDir);
  const port = await listen(config, options.head);
  const { host, port: portNumber } = port.address as { readonly host: string; readonly port: number };
  const clusterAddress = `${host.includes(":") ? `[${host}]` : host}:${portNumber}`;
  const node = new LocalNode({ config, storeDoor: createStoreDoor(), driverId: null, threads: null, onShutdown: () => undefined, cluster: null });
  await node.openDoor();
  staysUntilSignal(node, port);
  const report: NodeReport = { pid: process.pid, nodeId: config.nodeId, clusterAddress, sessionDir, logFile: logFile === null ? null : movedLog(logFile, sessionDir) };
  writeTicket(config, { clusterAddress, name: options.name, isHead: true });
  removeDeadSessions();
  removeStaleFolders();
  return report;
}

async function listen(config: SessionConfig, { host, port }: NodeOptions["head"]): Promise<SocketListener> {
  const token = process.env["MANTARAY_CLUSTER_TOKEN"] || TOKEN_DEFAULT;
  try {
    return await listenSocket({ host, port }, { workerId: config.nodeId, token, onChannel: (channel) => channel.close() });
  } catch (error) {
    const { code } = ((error as TransportError).cause ?? {}) as NodeJS.ErrnoException;
    if (code === "EADDRINUSE") throw new RuntimeStateError(`port ${port} of ${host} is in use, perhaps by another cluster: pass another --port (0 for any that is free), or end that one with \`mantaray stop\``, { cause: error });
    if (code === "EADDRNOTAVAIL" || code === "ENOTFOUND") throw new RuntimeStateError(`${host} is no address of this machine: pass one of its own as --host (127.0.0.1 for programs of this machine alone)`, { cause: error });
    if (code === "EACCES") throw new RuntimeStateError(`this user may not listen on port ${port}: pass a --port above 1023`, { cause: error });
    throw error;
  }
}

function movedLog(logFile: string, sessionDir: string): string {
  const moved = join(sessionDir, "logs", "node.log");
  mkdirSync(join(sessionDir, "logs"), { recursive: true });
  renameSync(logFile, moved);
  return moved;
}

function staysUntilSignal(node: LocalNode, port: SocketListener): void {
  // Sockets of others keep nobody alive.
  const { port1: alive } = new MessageChannel();
  alive.on("message", () => undefined);
  let isStopping = false;
  const stop = async (signal: NodeJS.Signals): Promise<void> => {
    if (isStopping) return;
    isStopping = true;
    console.log(`${new Date().toISOString()} ends on ${signal}`);
    port.close();
    // What is left then is killed on the way out.
    realClock.after(STOP_MS_MAX, () => process.exit(1));
    await node.stop();
    process.exit(0);
  };
  for (const signal of SIGNALS) process.on(signal, () => void stop(signal));
}

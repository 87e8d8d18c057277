import { lstatSync, mkdirSync, readdirSync, readFileSync, readlinkSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { hostname, tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { InvalidArgumentError, RuntimeStateError, type WorkerId } from "../base/mod.ts";
import { type NetworkAddress, PROTOCOL_VERSION, textOf } from "../protocol/mod.ts";
import type { StoreConfig } from "../object-store/mod.ts";
import type { SessionConfig } from "./bootstrap.ts";
import { parseNetworkAddress } from "./network-address.ts";

/**
 * How programs find the runtime of another on the same machine. Its address is the path of the socket of its node thread; beside
 * that lies a *ticket*, a file with what else one needs to join, which only the same user can read. Both are in the session's
 * folder, which only that user can enter:
 *
 *   /tmp/mantaray-PID-JOB/node-XXXXXXXX.sock   the address is unix: and this
 *   /tmp/mantaray-PID-JOB/node-XXXXXXXX.json   the ticket
 */
const SCHEME = "unix:";
const NETWORK_SCHEME = "tcp:";
const SESSION_FOLDER_NAME = /^mantaray-(\d+)-[0-9a-f]+$/;
const TICKET_NAME = /^node-[0-9a-f]+\.json$/;
const TICKET_BYTES_MAX = 100_000;
const PRIVATE_FOLDER_MODE = 0o700;
const PRIVATE_FILE_MODE = 0o600;

/** What a program that joins takes over from the one that started the runtime. */
export type JoinedSession = { readonly store: StoreConfig | null } & Pick<SessionConfig, "nodeId" | "isolation" | "totals" | "labels" | "sessionDir" | "token" | "address" | "networkHost">;

export interface Ticket {
  readonly protocolVersion: number;
  /** Process ids mean something only where this is the same. */
  readonly surroundings: string;
  readonly pid: number;
  readonly session: JoinedSession;
  /** Null for the runtime of a program. */
  readonly node: NodeTicket | null;
}

/** Of a node that is a process of its own. */
export interface NodeTicket {
  /** Of the cluster that it is of: `HOST:PORT` of its head. */
  readonly clusterAddress: string;
  readonly name: string | null;
  readonly isHead: boolean;
  /** Of a test: found by its address alone. */
  readonly isForTest: boolean;
}

export interface FoundTicket {
  readonly folder: string;
  readonly ticket: Ticket;
  readonly madeAtMs: number;
}

export function addressOf(socketPath: string): string {
  return SCHEME + socketPath;
}

export function networkAddressText(address: NetworkAddress): string {
  return NETWORK_SCHEME + textOf(address);
}

/** Of a node on another machine; null for one on this machine. */
export function networkAddressIn(address: string): NetworkAddress | null {
  return address.startsWith(NETWORK_SCHEME) ? parseNetworkAddress(address.slice(NETWORK_SCHEME.length)) : null;
}

/** Where a program is to join a cluster: HOST:PORT, or what `init` answers on a machine without a node; null for any other address. */
export function clusterAddressIn(address: string): NetworkAddress | null {
  return parseNetworkAddress(address) ?? networkAddressIn(address);
}

export function socketPathOf(address: string): string {
  return address.slice(SCHEME.length);
}

/** Where a worker process, a hosted thread or a program that has joined listens for the others of its machine. */
export function workerSocketPath(sessionDir: string, workerId: WorkerId): string {
  return join(sessionDir, `${workerId}.sock`);
}

function ticketPathOf(socketPath: string): string {
  return socketPath.replace(/\.sock$/, ".json");
}

/** From now on the runtime of this process can be found. Where files cannot be written it works too, but nobody can join. */
export function publishTicket(session: JoinedSession): void {
  attempt(() => writeTicket(session, null));
}

/** @throws what the file system says: a node is there for others. */
export function writeTicket(session: JoinedSession, node: NodeTicket | null): void {
  const { nodeId, isolation, totals, labels, sessionDir, store, token, address, networkHost } = session;
  const ticket: Ticket = { protocolVersion: PROTOCOL_VERSION, surroundings: surroundings(), pid: process.pid, session: { nodeId, isolation, totals, labels, sessionDir, store, token, address, networkHost }, node };
  const path = ticketPathOf(socketPathOf(address));
  mkdirSync(sessionDir, { recursive: true, mode: PRIVATE_FOLDER_MODE });
  // Nobody reads half of it.
  writeFileSync(`${path}.unfinished`, JSON.stringify(ticket), { mode: PRIVATE_FILE_MODE, flag: "wx" });
  renameSync(`${path}.unfinished`, path);
}

/** The ticket of the runtime at `address`, or for "auto" of the newest node of a cluster, else of the newest one of a program. @throws InvalidArgumentError, RuntimeStateError. */
export function findRuntime(address: string): Ticket {
  if (address === "auto") return newestRuntime();
  const socketPath = socketPathOf(address);
  if (!address.startsWith(SCHEME) || !socketPath.endsWith(".sock")) {
    throw new InvalidArgumentError(`the address '${address}' cannot be joined: pass what init() of another program on this machine has returned as 'address' (unix:/…/node-….sock), the address of a cluster (HOST:PORT), "auto" for the newest cluster or runtime of this user on this machine, or "local" for a new one`);
  }
  const ticket = readTicket(ticketPathOf(socketPath));
  if (ticket === null) throw new RuntimeStateError(`there is no runtime at '${address}': the program that started it has ended, or it belongs to another user; start it, pass its new address, or use "local" for a runtime of this program's own`);
  checkVersion(ticket, address);
  if (!isHostAlive(ticket)) throw new RuntimeStateError(`the runtime at '${address}' is not there any more: its process (pid ${ticket.pid}) has ended; start that program again and pass its new address`);
  return ticket;
}

function newestRuntime(): Ticket {
  const usable = [...ticketsOfThisUser()].filter(({ ticket }) => ticket.protocolVersion === PROTOCOL_VERSION && isHostAlive(ticket)).sort((a, b) => b.madeAtMs - a.madeAtMs);
  // A cluster was started to be joined; a program that happens to run was not.
  const newest = usable.find(({ ticket: { node } }) => node !== null && !node.isForTest) ?? usable.find(({ ticket }) => ticket.node === null);
  if (newest === undefined) throw new RuntimeStateError(`no runtime of this user was found on this machine (looked in ${tmpdir()}): run \`mantaray start --head\` or start a program that calls init() first, or leave 'address' out for a runtime of this program's own`);
  const { node } = newest.ticket;
  return (node === null ? null : bestNode(node.clusterAddress)) ?? newest.ticket;
}

/** A node of that cluster on this machine, or null. */
export function nodeOfCluster(address: string, wanted: NetworkAddress): Ticket | null {
  const ticket = bestNode(textOf(wanted));
  if (ticket !== null) checkVersion(ticket, address);
  return ticket;
}

/** The head if it is on this machine, as it lasts longest; else the newest node. */
function bestNode(clusterAddress: string): Ticket | null {
  const nodes = findNodes().map(({ ticket }) => ticket).filter(({ node }) => node?.clusterAddress === clusterAddress);
  return nodes.find(({ node }) => node?.isHead === true) ?? nodes.at(-1) ?? null;
}

/** The nodes of clusters of this user on this machine whose processes live, oldest first. */
export function findNodes(): FoundTicket[] {
  return [...ticketsOfThisUser()].filter(({ ticket }) => ticket.node !== null && isHostAlive(ticket)).sort((a, b) => a.madeAtMs - b.madeAtMs);
}

function checkVersion({ protocolVersion, pid }: Ticket, address: string): void {
  if (protocolVersion === PROTOCOL_VERSION) return;
  throw new RuntimeStateError(`the runtime at '${address}' (pid ${pid}) speaks protocol version ${protocolVersion}, this program version ${PROTOCOL_VERSION}; run the same version of mantaray in both`);
}

function* ticketsOfThisUser(): Iterable<FoundTicket> {
  for (const name of attempt(() => readdirSync(tmpdir())) ?? []) {
    if (!SESSION_FOLDER_NAME.test(name)) continue;
    const folder = join(tmpdir(), name);
    for (const file of attempt(() => readdirSync(folder)) ?? []) {
      if (!TICKET_NAME.test(file)) continue;
      const path = join(folder, file);
      const ticket = readTicket(path);
      const madeAtMs = attempt(() => lstatSync(path).mtimeMs);
      if (ticket !== null && madeAtMs !== null) yield { folder, ticket, madeAtMs };
    }
  }
}

/** Null if there is none that this user has written: what others put there is not to be trusted. */
function readTicket(path: string): Ticket | null {
  return attempt(() => {
    const folder = lstatSync(dirname(path));
    const file = lstatSync(path);
    if (!folder.isDirectory() || !file.isFile() || file.size > TICKET_BYTES_MAX) return null;
    const userId = process.getuid?.();
    if (userId !== undefined && (folder.uid !== userId || file.uid !== userId)) return null;
    const ticket = JSON.parse(readFileSync(path, "utf8")) as Partial<Ticket>;
    if (typeof ticket.pid !== "number" || typeof ticket.protocolVersion !== "number" || typeof ticket.session !== "object") return null;
    // Other versions of the package have none.
    return { ...(ticket as Ticket), node: ticket.node ?? null };
  });
}

/** True where it cannot be known. */
export function isHostAlive({ pid, surroundings: where }: Ticket): boolean {
  if (where !== surroundings()) return true;
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code !== "ESRCH";
  }
}

/** Folders of programs that were killed, which could not remove them. */
export function removeDeadSessions(): void {
  for (const { folder, ticket } of ticketsOfThisUser()) {
    if (!isHostAlive(ticket)) attempt(() => rmSync(folder, { recursive: true, force: true }));
  }
}

function surroundings(): string {
  return `${hostname()} ${attempt(() => readlinkSync("/proc/self/ns/pid")) ?? ""}`;
}

function attempt<T>(action: () => T): T | null {
  try {
    return action();
  } catch {
    return null;
  }
}

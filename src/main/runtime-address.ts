import { lstatSync, mkdirSync, readdirSync, readFileSync, readlinkSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { hostname, tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { InvalidArgumentError, RuntimeStateError } from "../base/mod.ts";
import { PROTOCOL_VERSION } from "../protocol/mod.ts";
import type { SessionConfig } from "./bootstrap.ts";

/**
 * How programs find the runtime of another on the same machine. Its address is the path of the socket of its node thread; beside
 * that lies a *ticket*, a file with what else one needs to join, which only the same user can read. Both are in the session's
 * folder, which only that user can enter:
 *
 *   /tmp/mantaray-PID-JOB/node-XXXXXXXX.sock   the address is unix: and this
 *   /tmp/mantaray-PID-JOB/node-XXXXXXXX.json   the ticket
 */
const SCHEME = "unix:";
const SESSION_FOLDER_NAME = /^mantaray-(\d+)-[0-9a-f]+$/;
const TICKET_NAME = /^node-[0-9a-f]+\.json$/;
const TICKET_BYTES_MAX = 100_000;
const PRIVATE_FOLDER_MODE = 0o700;
const PRIVATE_FILE_MODE = 0o600;

/** What a program that joins takes over from the one that started the runtime. */
export type JoinedSession = Pick<SessionConfig, "nodeId" | "isolation" | "totals" | "labels" | "sessionDir" | "store" | "token" | "address" | "networkHost">;

export interface Ticket {
  readonly protocolVersion: number;
  /** Process ids mean something only where this is the same. */
  readonly surroundings: string;
  readonly pid: number;
  readonly session: JoinedSession;
}

export function addressOf(socketPath: string): string {
  return SCHEME + socketPath;
}

export function socketPathOf(address: string): string {
  return address.slice(SCHEME.length);
}

function ticketPathOf(socketPath: string): string {
  return socketPath.replace(/\.sock$/, ".json");
}

/** From now on the runtime of this process can be found. Where files cannot be written it works too, but nobody can join. */
export function publishTicket(session: JoinedSession): void {
  attempt(() => writeTicket(session));
}

function writeTicket(session: JoinedSession): void {
  const { nodeId, isolation, totals, labels, sessionDir, store, token, address, networkHost } = session;
  const ticket: Ticket = { protocolVersion: PROTOCOL_VERSION, surroundings: surroundings(), pid: process.pid, session: { nodeId, isolation, totals, labels, sessionDir, store, token, address, networkHost } };
  const path = ticketPathOf(socketPathOf(address));
  mkdirSync(sessionDir, { recursive: true, mode: PRIVATE_FOLDER_MODE });
  // Nobody reads half of it.
  writeFileSync(`${path}.unfinished`, JSON.stringify(ticket), { mode: PRIVATE_FILE_MODE, flag: "wx" });
  renameSync(`${path}.unfinished`, path);
}

/** The ticket of the runtime at `address`, or of the newest one for "auto". @throws InvalidArgumentError, RuntimeStateError. */
export function findRuntime(address: string): Ticket {
  if (address === "auto") return newestRuntime();
  const socketPath = socketPathOf(address);
  if (!address.startsWith(SCHEME) || !socketPath.endsWith(".sock")) {
    throw new InvalidArgumentError(`the address '${address}' cannot be joined: pass what init() of another program on this machine has returned as 'address' (unix:/…/node-….sock), "auto" for the newest runtime of this user, or "local" for a new one; addresses of other machines are not supported by this version of mantaray`);
  }
  const ticket = readTicket(ticketPathOf(socketPath));
  if (ticket === null) throw new RuntimeStateError(`there is no runtime at '${address}': the program that started it has ended, or it belongs to another user; start it, pass its new address, or use "local" for a runtime of this program's own`);
  if (ticket.protocolVersion !== PROTOCOL_VERSION) {
    throw new RuntimeStateError(`the runtime at '${address}' (pid ${ticket.pid}) speaks protocol version ${ticket.protocolVersion}, this program version ${PROTOCOL_VERSION}; run the same version of mantaray in both`);
  }
  if (!isHostAlive(ticket)) throw new RuntimeStateError(`the runtime at '${address}' is not there any more: its process (pid ${ticket.pid}) has ended; start that program again and pass its new address`);
  return ticket;
}

function newestRuntime(): Ticket {
  let newest: { readonly ticket: Ticket; readonly madeAtMs: number } | null = null;
  for (const { ticket, madeAtMs } of ticketsOfThisUser()) {
    if (ticket.protocolVersion === PROTOCOL_VERSION && isHostAlive(ticket) && (newest === null || madeAtMs > newest.madeAtMs)) newest = { ticket, madeAtMs };
  }
  if (newest === null) throw new RuntimeStateError(`no runtime of this user was found on this machine (looked in ${tmpdir()}): start a program that calls init() first, or leave 'address' out for a runtime of this program's own`);
  return newest.ticket;
}

function* ticketsOfThisUser(): Iterable<{ readonly folder: string; readonly ticket: Ticket; readonly madeAtMs: number }> {
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
    return typeof ticket.pid === "number" && typeof ticket.protocolVersion === "number" && typeof ticket.session === "object" ? (ticket as Ticket) : null;
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

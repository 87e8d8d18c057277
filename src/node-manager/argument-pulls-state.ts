import type { NodeKey, WorkerId } from "../base/mod.ts";
import type { ArgumentRecord, LeaseShape } from "../protocol/mod.ts";

/** Of the store's memory, for arguments of leases that are not given yet. One set of arguments may be larger. */
const ROOM_SHARE = 0.5;

/** Leases of one key that an owner wants of this node. */
export interface LeaseRequest {
  readonly ownerId: WorkerId;
  readonly key: string;
  readonly shape: LeaseShape;
  /** All ever wanted, the granted ones included; 0 when nothing more will be. */
  readonly target: number;
  readonly priority: number;
}

export type ArgumentPullInstruction =
  /** Answered by `settled`. */
  | { readonly type: "pull"; readonly object: ArgumentRecord }
  | { readonly type: "cancelPull"; readonly object: ArgumentRecord }
  /** The scheduler may give these leases now, or is to know that they are not wanted any more. */
  | { readonly type: "demand"; readonly request: LeaseRequest };

interface Fetched {
  readonly object: ArgumentRecord;
  readonly users: Set<Entry>;
  isSettled: boolean;
}

interface Entry {
  request: LeaseRequest;
  readonly objects: readonly ArgumentRecord[];
  stage: "idle" | "waiting" | "fetching" | "ready";
  granted: number;
}

/**
 * Which large arguments are brought to this node before it gives leases for the tasks that have them: until they are here no worker and
 * no processor is taken. Pure: events in, instructions out.
 *
 * One key of one owner, from its first demand to its last:
 *
 * ```
 *   IDLE ── leases are missing (1) ──▶ WAITING ── its turn (2) ──▶ FETCHING ── all settled (3) ──▶ READY: the scheduler knows it
 *    ▲                                    │                           │                              │
 *    └────────────────────────────────────┴── withdrawn, or lost (4) ─┴────────── all granted (5) ───┘
 * ```
 *
 * (2) In the order of the demands, while there is room for their arguments beside those of others; see ROOM_SHARE. What several have
 *     in common counts once, and is fetched once.
 * (3) Here, or not to be had: then the task that needs it says why.
 * (4) What nobody else wants is not fetched on.
 * (5) From here on its arguments are copies like others: the task that comes keeps them in memory by reading them.
 */
export class ArgumentPullsState {
  readonly #ownNode: NodeKey;
  readonly #roomBytes: number;
  readonly #entries = new Map<string, Entry>();
  readonly #fetched = new Map<string, Fetched>();
  #fetchedBytes = 0;
  #instructions: ArgumentPullInstruction[] = [];

  /** `storeBytes`: of the whole store. */
  constructor(ownNode: NodeKey, storeBytes: number) {
    this.#ownNode = ownNode;
    this.#roomBytes = storeBytes * ROOM_SHARE;
  }

  /** What is to be done after the last events. */
  takeInstructions(): ArgumentPullInstruction[] {
    const instructions = this.#instructions;
    this.#instructions = [];
    return instructions;
  }

  /** (1), (4) False if there is nothing to fetch for it: the scheduler gets it as it is. */
  demand(request: LeaseRequest): boolean {
    const id = idOf(request.ownerId, request.key);
    const known = this.#entries.get(id);
    if (known === undefined) {
      const objects = request.shape.arguments?.type === "named" ? request.shape.arguments.objects.filter(({ node }) => node !== this.#ownNode) : [];
      if (objects.length === 0 || request.target === 0) return false;
      this.#entries.set(id, { request, objects, stage: "waiting", granted: 0 });
    } else {
      this.#changed(known, request);
      if (request.target === 0) this.#entries.delete(id);
    }
    this.#startWaiting();
    return true;
  }

  #changed(entry: Entry, request: LeaseRequest): void {
    entry.request = request;
    const isAnyMissing = request.target > entry.granted;
    if (entry.stage === "ready" || !isAnyMissing) this.#instructions.push({ type: "demand", request });
    if (!isAnyMissing) this.#release(entry);
    else if (entry.stage === "idle") entry.stage = "waiting";
  }

  /** (5) One lease. */
  granted(ownerId: WorkerId, key: string): void {
    const entry = this.#entries.get(idOf(ownerId, key));
    if (entry === undefined) return;
    entry.granted++;
    if (entry.granted < entry.request.target) return;
    this.#release(entry);
    this.#startWaiting();
  }

  /** (4) The scheduler hears of that by itself. */
  ownerLost(ownerId: WorkerId): void {
    for (const [id, entry] of this.#entries) {
      if (entry.request.ownerId !== ownerId) continue;
      this.#release(entry);
      this.#entries.delete(id);
    }
    this.#startWaiting();
  }

  /** (3) */
  settled(object: ArgumentRecord): void {
    const fetched = this.#fetched.get(keyOf(object));
    if (fetched === undefined) return;
    fetched.isSettled = true;
    for (const entry of fetched.users) this.#readyIfAllHere(entry);
  }

  #readyIfAllHere(entry: Entry): void {
    if (entry.stage !== "fetching" || !entry.objects.every((object) => this.#fetched.get(keyOf(object))?.isSettled === true)) return;
    entry.stage = "ready";
    this.#instructions.push({ type: "demand", request: entry.request });
  }

  /** (2) */
  #startWaiting(): void {
    for (const entry of this.#entries.values()) {
      if (entry.stage !== "waiting") continue;
      const missing = entry.objects.filter((object) => !this.#fetched.has(keyOf(object)));
      const bytes = missing.reduce((sum, { byteLength }) => sum + byteLength, 0);
      if (this.#fetchedBytes > 0 && this.#fetchedBytes + bytes > this.#roomBytes) return;
      this.#start(entry, missing);
    }
  }

  #start(entry: Entry, missing: readonly ArgumentRecord[]): void {
    entry.stage = "fetching";
    for (const object of missing) {
      this.#fetched.set(keyOf(object), { object, users: new Set(), isSettled: false });
      this.#fetchedBytes += object.byteLength;
      this.#instructions.push({ type: "pull", object });
    }
    for (const object of entry.objects) this.#fetched.get(keyOf(object))?.users.add(entry);
    this.#readyIfAllHere(entry);
  }

  #release(entry: Entry): void {
    const hasFetched = entry.stage === "fetching" || entry.stage === "ready";
    entry.stage = "idle";
    if (!hasFetched) return;
    for (const object of entry.objects) {
      const fetched = this.#fetched.get(keyOf(object));
      if (fetched === undefined) continue;
      fetched.users.delete(entry);
      if (fetched.users.size > 0) continue;
      this.#fetched.delete(keyOf(object));
      this.#fetchedBytes -= object.byteLength;
      if (!fetched.isSettled) this.#instructions.push({ type: "cancelPull", object });
    }
  }
}

function idOf(ownerId: WorkerId, key: string): string {
  return `${ownerId}/${key}`;
}

function keyOf({ node, id }: ArgumentRecord): string {
  return `${node}/${id}`;
}

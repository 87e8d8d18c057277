import type { NodeKey, SystemErrorRecord, WorkerId } from "../base/mod.ts";
import type { NodeObjects } from "./node-objects.ts";
import type { RemoteObject } from "./remote-object.ts";

export interface Copy {
  readonly key: string;
  readonly object: RemoteObject;
  readonly copyId: number;
  /** Null until there is memory. */
  bytes: Uint8Array | null;
  isComplete: boolean;
  /** Chunks that are being sent from it to others, and those that are still being read into it though nobody wants them. */
  uses: number;
  /** Its memory goes when the last use ends. */
  isDropped: boolean;
}

/** The copies of other nodes' objects that this node has or is getting. A complete one may be dropped by the store while it is not in use. */
export class NodeCopies {
  readonly #objects: NodeObjects;
  readonly #byKey = new Map<string, Copy>();
  readonly #byId = new Map<number, Copy>();

  constructor(objects: NodeObjects) {
    this.#objects = objects;
  }

  get(key: string): Copy | undefined {
    return this.#byKey.get(key);
  }

  withId(copyId: number): Copy | undefined {
    return this.#byId.get(copyId);
  }

  *of(node: NodeKey): IterableIterator<Copy> {
    for (const copy of [...this.#byKey.values()]) if (copy.object.node === node) yield copy;
  }

  /** Asks the store for memory; answers why it can never have any, or null. */
  add(key: string, object: RemoteObject): SystemErrorRecord | null {
    const copyId = this.#objects.addCopy(object);
    if (typeof copyId !== "number") return copyId;
    const copy: Copy = { key, object, copyId, bytes: null, isComplete: false, uses: 0, isDropped: false };
    this.#byKey.set(key, copy);
    this.#byId.set(copyId, copy);
    this.#objects.settle();
    return null;
  }

  /** It is in use from the first moment, since memory may be short: `endUse` when all that wait for it have it. */
  complete(copy: Copy): void {
    copy.isComplete = true;
    copy.uses++;
    this.#objects.completeCopy(copy.copyId);
  }

  /** False if it is not in memory any more. */
  tryUse(copy: Copy): boolean {
    if (copy.isComplete && copy.uses === 0 && !this.#objects.pinCopy(copy.copyId)) return false;
    copy.uses++;
    return true;
  }

  endUse(copy: Copy): void {
    if (--copy.uses > 0) return;
    if (copy.isComplete) this.#objects.unpinCopy(copy.copyId);
    else if (copy.isDropped) this.#objects.dropCopy(copy.copyId);
  }

  /** It is this node's own from now on: its row, or undefined if it is not there any more. */
  keep(copy: Copy, ownerId: WorkerId): number | undefined {
    const row = this.#objects.keepCopy(copy.copyId, ownerId);
    if (row !== undefined) this.forget(copy);
    return row;
  }

  /** The store has none of it. */
  forget(copy: Copy): void {
    this.#byId.delete(copy.copyId);
    if (this.#byKey.get(copy.key) === copy) this.#byKey.delete(copy.key);
  }

  /** Nobody needs it. */
  drop(copy: Copy): void {
    this.forget(copy);
    copy.isDropped = true;
    if (copy.isComplete || copy.uses === 0) this.#objects.dropCopy(copy.copyId);
  }
}

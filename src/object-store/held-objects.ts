import type { NodeObjects } from "./node-objects.ts";

/** An object of this node's that is kept in memory for other nodes. */
export interface HeldObject {
  readonly id: number;
  readonly bytes: Uint8Array;
  /** Chunks that are being sent. */
  uses: number;
  /** It goes with the last use. */
  isLetGo: boolean;
}

export class HeldObjects {
  readonly #objects: NodeObjects;
  readonly #held = new Map<number, HeldObject>();

  constructor(objects: NodeObjects) {
    this.#objects = objects;
  }

  get(id: number): HeldObject | undefined {
    return this.#held.get(id);
  }

  /** True if it is here already; else the store is asked for it. */
  hold(id: number): boolean {
    const held = this.#held.get(id);
    if (held !== undefined) {
      held.isLetGo = false;
      return true;
    }
    this.#objects.watch(id);
    this.#objects.hold(id);
    this.#objects.settle();
    return false;
  }

  add(id: number, bytes: Uint8Array): void {
    this.#held.set(id, { id, bytes, uses: 0, isLetGo: false });
  }

  endUse(held: HeldObject): void {
    held.uses--;
    if (held.isLetGo) this.letGo(held.id);
  }

  letGo(id: number): void {
    const held = this.#held.get(id);
    if (held === undefined) return;
    held.isLetGo = true;
    if (held.uses > 0) return;
    this.#held.delete(id);
    this.#objects.letGo(id);
  }
}

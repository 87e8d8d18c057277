import type { NodeKey } from "../base/mod.ts";
import type { WantRecord } from "../protocol/mod.ts";
import { distinctWants, feasibleNodes, type NodeView } from "../scheduling/mod.ts";

interface Told {
  readonly text: string;
  /** Of it, what this node could hold. */
  readonly wanted: readonly WantRecord[];
}

/** What others wait for that no node has room for, as they tell it: owners of other nodes, and the GCS for actors. Pure. */
export class WantedElsewhere {
  readonly #told = new Map<NodeKey | "actors", Told>();

  /** True if it is not what was told last. */
  told(by: NodeKey | "actors", wants: readonly WantRecord[], own: NodeView): boolean {
    if (wants.length === 0) return this.#told.delete(by);
    const text = JSON.stringify(wants);
    if (this.#told.get(by)?.text === text) return false;
    this.#told.set(by, { text, wanted: wants.filter((want) => feasibleNodes([own], want).length > 0) });
    return true;
  }

  /** Each kind once. */
  all(): readonly WantRecord[] {
    return distinctWants([...this.#told.values()].flatMap(({ wanted }) => wanted.map(({ resources, sharer }) => [{ resources, bundle: null, strategy: null }, sharer] as const)));
  }
}

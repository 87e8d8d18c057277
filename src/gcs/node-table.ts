import { nodeKeyOf, type NodeId, type NodeKey } from "../base/mod.ts";
import { type NodeLoadChange, type NodeLoadRecord, type NodeRecord, textOf } from "../protocol/mod.ts";
import { keepUp, type KnownAmounts, knownAtFirst } from "../scheduling/mod.ts";

/** Nodes that have left or were lost, so that they can be listed, and those that join be told. */
const LOST_NODES_MAX = 100;

export interface KnownNode {
  readonly record: NodeRecord;
  /** Its amounts change in place. */
  load: NodeLoadRecord & KnownAmounts;
}

/** The nodes of the cluster: who is there, and what each has free. Pure. */
export class NodeTable {
  readonly #live = new Map<NodeKey, KnownNode>();
  readonly #lost: NodeRecord[] = [];
  #nextNumber: number;

  /** `firstNumber`: of the next node; numbers are never given twice. */
  constructor(firstNumber = 1) {
    this.#nextNumber = firstNumber;
  }

  /** Why it cannot join, or its number. */
  join(record: NodeRecord): { readonly refusal: string } | { readonly nodeNumber: number } {
    const key = nodeKeyOf(record.nodeId);
    const other = this.#live.get(key);
    const namesake = record.name === null ? undefined : [...this.#live.values()].find((node) => node.record.name === record.name);
    if (other !== undefined) {
      return { refusal: other.record.nodeId === record.nodeId ? `node ${record.nodeId} is in this cluster already, at ${textOf(other.record.address)}` : `its id begins like that of node ${other.record.nodeId} at ${textOf(other.record.address)}; start it again, for another id` };
    }
    if (namesake !== undefined) return { refusal: `node ${namesake.record.nodeId} at ${textOf(namesake.record.address)} is called '${record.name}' already; start it with another --node-name` };
    this.#live.set(key, { record, load: { node: key, version: 0, ...knownAtFirst(record.totals), isDraining: false } });
    return { nodeNumber: this.#nextNumber++ };
  }

  /** False if it is not newer than what is known. */
  loadChanged(change: NodeLoadChange): boolean {
    const node = this.#live.get(change.node);
    if (node === undefined || change.version <= node.load.version) return false;
    const { totals, available } = node.load;
    keepUp(node.load, change);
    node.load = { ...change, totals, available };
    return true;
  }

  /** Undefined if it was not there. */
  lost(key: NodeKey): NodeRecord | undefined {
    const node = this.#live.get(key);
    if (node === undefined) return undefined;
    this.#live.delete(key);
    this.#lost.push(node.record);
    if (this.#lost.length > LOST_NODES_MAX) this.#lost.shift();
    return node.record;
  }

  get(key: NodeKey): KnownNode | undefined {
    return this.#live.get(key);
  }

  find(nodeId: NodeId): KnownNode | undefined {
    const node = this.#live.get(nodeKeyOf(nodeId));
    return node?.record.nodeId === nodeId ? node : undefined;
  }

  live(): Iterable<KnownNode> {
    return this.#live.values();
  }

  get lostNodes(): readonly NodeRecord[] {
    return this.#lost;
  }
}

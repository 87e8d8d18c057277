import { nodeKeyOf, type NodeKey } from "../base/mod.ts";
import { type NodeRecord, textOf } from "../protocol/mod.ts";

/** A node may take so long to end by itself after its deadline before it counts as lost. */
const END_MS_MAX = 10_000;

/** Which nodes are to leave the cluster, and by when. Pure. */
export class NodeDrains {
  /** By the clock of the GCS; null: whenever they have nothing left to do. */
  readonly #deadlines = new Map<NodeKey, number | null>();

  has(node: NodeKey): boolean {
    return this.#deadlines.has(node);
  }

  /** False if nothing comes of it: it drains already, and no later. */
  begin(node: NodeKey, deadlineMs: number | null): boolean {
    const known = this.#deadlines.get(node);
    if (known !== undefined && (deadlineMs === null || (known !== null && known <= deadlineMs))) return false;
    this.#deadlines.set(node, deadlineMs);
    return true;
  }

  /** True if it was to leave. */
  left(node: NodeKey): boolean {
    return this.#deadlines.delete(node);
  }

  /** Those that should have ended long ago. */
  overdue(nowMs: number): NodeKey[] {
    return [...this.#deadlines].filter(([, deadlineMs]) => deadlineMs !== null && nowMs > deadlineMs + END_MS_MAX).map(([node]) => node);
  }
}

/** The one that a person means by the beginning of its id, its address or its name; else why that is none. */
export function nodeMeantBy(text: string, nodes: readonly NodeRecord[], head: NodeKey | null): { readonly node: NodeKey } | { readonly refusal: string } {
  const meant = nodes.filter(({ nodeId, address, name }) => (text !== "" && nodeId.startsWith(text.toLowerCase())) || textOf(address) === text || name === text);
  const [found] = meant;
  if (found === undefined) return { refusal: `no node of this cluster has an id that begins with '${text}', that address or that name; it has ${nodes.map(described).join(", ")}` };
  if (meant.length > 1) return { refusal: `'${text}' is the beginning of several ids: ${meant.map(described).join(", ")}; say more of it` };
  if (nodeKeyOf(found.nodeId) === head) return { refusal: `node ${described(found)} is the head, without which there is no cluster; end the whole cluster with \`mantaray stop\`` };
  return { node: nodeKeyOf(found.nodeId) };
}

function described({ nodeId, address, name }: NodeRecord): string {
  return `${nodeId} (${name === null ? "" : `${name}, `}${textOf(address)})`;
}

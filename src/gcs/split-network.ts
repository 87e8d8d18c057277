import type { NodeKey } from "../base/mod.ts";

/**
 * Which nodes have to go so that those that stay can all reach each other: of two that cannot, one cannot be told from one that is gone.
 * Whoever is part of most such pairs goes first, of equal ones the one that joined last, and never the head. Pure.
 *
 * `pairs`: who cannot reach whom. `order`: the nodes as they have joined, the head first.
 */
export function nodesToTakeOut(pairs: readonly (readonly [NodeKey, NodeKey])[], order: readonly NodeKey[]): NodeKey[] {
  const out: NodeKey[] = [];
  let left = pairs.filter((pair) => pair.every((node) => order.includes(node)));
  while (left.length > 0) {
    const [first] = order.slice(1).map((node, index) => ({ node, index, count: left.filter((pair) => pair.includes(node)).length })).sort((a, b) => b.count - a.count || b.index - a.index);
    if (first === undefined || first.count === 0) break;
    out.push(first.node);
    left = left.filter((pair) => !pair.includes(first.node));
  }
  return out;
}

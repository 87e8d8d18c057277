import { EXTENSION_PROTOTYPE, NodeKind, PROPERTY_ACCESSOR } from "./graph-format.ts";
import type { Graph, Shape } from "./graph-format.ts";

/** Where each node's content begins. */
export interface NodeIndex {
  kindOf(id: number): number;
  contentOf(id: number): number;
}

/** Nodes are written in any order, so their positions have to be found first. */
export function indexNodes(graph: Graph): NodeIndex {
  const { words, nodeCount } = graph;
  const contents = new Int32Array(nodeCount);
  const kinds = new Uint8Array(nodeCount);
  for (let at = 0; at < words.length; ) {
    const kind = words[at] as number;
    const id = words[at + 1] as number;
    kinds[id] = kind;
    contents[id] = at + 2;
    at = endOfContent(graph, kind, at + 2);
  }
  return {
    kindOf: (id) => kinds[id] as number,
    contentOf: (id) => contents[id] as number,
  };
}

function endOfContent(graph: Graph, kind: number, at: number): number {
  const { words } = graph;
  const word = (offset: number): number => words[at + offset] as number;
  switch (kind) {
    case NodeKind.shaped:
      return at + 1 + (graph.shapes[word(0)] as Shape).keys.length;
    case NodeKind.array:
    case NodeKind.argumentsObject:
      return at + 1 + word(0);
    case NodeKind.arrayExtended:
      return endOfExtension(words, at + 2 + word(1));
    case NodeKind.object:
      return endOfExtension(words, at);
    case NodeKind.map:
      return endOfExtension(words, at + 1 + word(0) * 2);
    case NodeKind.set:
      return endOfExtension(words, at + 1 + word(0));
    case NodeKind.date:
    case NodeKind.error:
    case NodeKind.boxed:
      return endOfExtension(words, at + 1);
    case NodeKind.regExp:
    case NodeKind.domException:
      return endOfExtension(words, at + 3);
    case NodeKind.view:
      return endOfExtension(words, at + 4);
    case NodeKind.boundFunction:
      return endOfExtension(words, at + 3 + word(2));
    case NodeKind.function:
      return endOfExtension(words, endOfExtension(words, at + 2 + word(1)));
    case NodeKind.methodOf:
      return at + 3;
    case NodeKind.arrayBuffer:
    case NodeKind.symbol:
    case NodeKind.url:
      return at + 2;
    case NodeKind.reference:
    case NodeKind.runtimeObject:
    case NodeKind.codeUnit:
    case NodeKind.prototypeOf:
      return at + 1;
    default:
      throw new Error(`Unknown kind of node ${kind}: written by another version?`);
  }
}

function endOfExtension(words: Int32Array, start: number): number {
  const flags = words[start] as number;
  if (flags === 0) return start + 1;
  let at = start + (flags & EXTENSION_PROTOTYPE ? 2 : 1);
  const propertyCount = words[at++] as number;
  for (let index = 0; index < propertyCount; index++) at += (words[at + 1] as number) & PROPERTY_ACCESSOR ? 4 : 3;
  return at + 1 + (words[at] as number) * 3;
}

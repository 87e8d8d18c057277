import { getHeapSnapshot, getHeapStatistics } from "node:v8";

/** A scope of a function, counted from the innermost. */
export interface ScopeOfFunction {
  readonly fn: Function;
  readonly scopeIndex: number;
}

/** A snapshot of a larger heap would stop the program for seconds. */
const SNAPSHOT_HEAP_BYTES_MAX = 512 * 1024 * 1024;

/**
 * Tells which scopes are one and the same activation. V8 shows a scope's variables to nobody by reference, except in a
 * heap snapshot, where a function leads to its context and that to the contexts around it. A snapshot takes tenths of a
 * second, so this is asked only if two functions assign and read variables that look alike in every way.
 *
 * Returns a number per scope, equal for the same activation; undefined if the heap is too large to look.
 */
export function identifyScopes(scopes: readonly ScopeOfFunction[]): number[] | undefined {
  if (getHeapStatistics().used_heap_size > SNAPSHOT_HEAP_BYTES_MAX) return undefined;
  const marker = new MantarayScopeMarker();
  scopes.forEach(({ fn }, index) => (marker[propertyName(index)] = fn));
  const snapshot = new HeapSnapshot(readSnapshot());
  const markerNode = snapshot.nodeNamed(MantarayScopeMarker.name);
  if (markerNode === undefined) return undefined;
  const identities: number[] = [];
  for (const [index, { scopeIndex }] of scopes.entries()) {
    const closure = snapshot.follow(markerNode, "property", propertyName(index));
    let context = closure === undefined ? undefined : snapshot.follow(closure, "internal", "context");
    for (let step = 0; step < scopeIndex && context !== undefined; step++) {
      context = snapshot.follow(context, "internal", "previous");
    }
    if (context === undefined) return undefined;
    identities.push(context);
  }
  return identities;
}

/** Found in the snapshot by its class's name; its properties lead to the functions. */
class MantarayScopeMarker {
  [name: string]: Function;
}

function propertyName(index: number): string {
  return `function${index}`;
}

interface SnapshotText {
  readonly snapshot: {
    readonly meta: { node_fields: string[]; edge_fields: string[]; edge_types: (string | string[])[] };
  };
  readonly nodes: readonly number[];
  readonly edges: readonly number[];
  readonly strings: readonly string[];
}

function readSnapshot(): SnapshotText {
  const stream = getHeapSnapshot();
  const chunks: Buffer[] = [];
  // The snapshot is taken while it is read, and is there as a whole: nothing has to be waited for.
  for (let chunk: unknown = stream.read(); chunk !== null; chunk = stream.read()) chunks.push(chunk as Buffer);
  return JSON.parse(Buffer.concat(chunks).toString()) as SnapshotText;
}

/** https://developer.chrome.com/docs/devtools/memory-problems/heap-snapshot-schema: numbers in rows of so many fields. */
class HeapSnapshot {
  readonly #text: SnapshotText;
  readonly #firstEdges: Int32Array;
  readonly #nodeLength: number;
  readonly #edgeLength: number;
  readonly #edgeName: number;
  readonly #edgeTarget: number;
  readonly #nodeName: number;

  constructor(text: SnapshotText) {
    this.#text = text;
    const { node_fields: nodeFields, edge_fields: edgeFields } = text.snapshot.meta;
    this.#nodeLength = nodeFields.length;
    this.#edgeLength = edgeFields.length;
    this.#nodeName = nodeFields.indexOf("name");
    this.#edgeName = edgeFields.indexOf("name_or_index");
    this.#edgeTarget = edgeFields.indexOf("to_node");
    const edgeCount = nodeFields.indexOf("edge_count");
    this.#firstEdges = new Int32Array(text.nodes.length / this.#nodeLength + 1);
    let edge = 0;
    for (let node = 0; node < text.nodes.length; node += this.#nodeLength) {
      this.#firstEdges[node / this.#nodeLength] = edge;
      edge += (text.nodes[node + edgeCount] as number) * this.#edgeLength;
    }
    this.#firstEdges[text.nodes.length / this.#nodeLength] = edge;
  }

  /** The object of a class with that name (its constructor has the name too, but other edges). */
  nodeNamed(name: string): number | undefined {
    const nameIndex = this.#text.strings.indexOf(name);
    for (let node = 0; node < this.#text.nodes.length; node += this.#nodeLength) {
      if (this.#text.nodes[node + this.#nodeName] !== nameIndex) continue;
      if (this.follow(node, "property", propertyName(0)) !== undefined) return node;
    }
    return undefined;
  }

  follow(node: number, type: string, name: string): number | undefined {
    const { edges, strings } = this.#text;
    const types = this.#text.snapshot.meta.edge_types[0] as string[];
    const end = this.#firstEdges[node / this.#nodeLength + 1] as number;
    for (let edge = this.#firstEdges[node / this.#nodeLength] as number; edge < end; edge += this.#edgeLength) {
      if (types[edges[edge] as number] !== type) continue;
      if (strings[edges[edge + this.#edgeName] as number] === name) return edges[edge + this.#edgeTarget];
    }
    return undefined;
  }
}

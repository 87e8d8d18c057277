import { getHeapStatistics } from "node:v8";
import { inspectorProbe } from "./inspector-probe.ts";

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
  const snapshot = inspectorProbe().heapSnapshot(scopes.map((scope) => scope.fn));
  const { node_fields: nodeFields, edge_fields: edgeFields, edge_types: edgeTypes } = snapshot.meta;
  const nodeLength = nodeFields.length;
  const idField = nodeFields.indexOf("id");
  const edgeCountField = nodeFields.indexOf("edge_count");
  const edgeLength = edgeFields.length;
  const nameField = edgeFields.indexOf("name_or_index");
  const targetField = edgeFields.indexOf("to_node");
  const internalType = (edgeTypes[0] as string[]).indexOf("internal");
  const contextName = snapshot.strings.indexOf("context");
  const previousName = snapshot.strings.indexOf("previous");

  const wanted = new Set(snapshot.objectIds);
  const nodeOfObject = new Map<number, number>();
  const edgesOfNode = new Int32Array(snapshot.nodes.length / nodeLength + 1);
  let edge = 0;
  for (let node = 0; node < snapshot.nodes.length; node += nodeLength) {
    edgesOfNode[node / nodeLength] = edge;
    const id = snapshot.nodes[node + idField] as number;
    if (wanted.has(id)) nodeOfObject.set(id, node);
    edge += (snapshot.nodes[node + edgeCountField] as number) * edgeLength;
  }
  edgesOfNode[snapshot.nodes.length / nodeLength] = edge;

  const follow = (node: number, name: number): number | undefined => {
    const end = edgesOfNode[node / nodeLength + 1] as number;
    for (let at = edgesOfNode[node / nodeLength] as number; at < end; at += edgeLength) {
      if (snapshot.edges[at] === internalType && snapshot.edges[at + nameField] === name) {
        return snapshot.edges[at + targetField];
      }
    }
    return undefined;
  };

  const identities: number[] = [];
  for (const [index, { scopeIndex }] of scopes.entries()) {
    const closure = nodeOfObject.get(snapshot.objectIds[index] as number);
    let context = closure === undefined ? undefined : follow(closure, contextName);
    for (let step = 0; step < scopeIndex && context !== undefined; step++) context = follow(context, previousName);
    if (context === undefined) return undefined;
    identities.push(context);
  }
  return identities;
}

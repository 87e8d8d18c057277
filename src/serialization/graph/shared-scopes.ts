import { identifyScopes } from "../closure/scope-identity.ts";
import type { Capture } from "../closure/function-capture.ts";
import type { FunctionInspection } from "../closure/inspector-probe.ts";
import { readVariable } from "../closure/variable-lookup.ts";
import type { FoundVariable } from "../closure/variable-lookup.ts";
import type { CaptureSlot, SharedScope } from "./graph-format.ts";

/** A function that is being written, as far as its scopes are concerned. */
export interface ScopedFunction {
  readonly id: number;
  readonly fn: Function;
  readonly label: string;
  readonly moduleKey: string;
  readonly group: number;
  readonly inspection: FunctionInspection;
  readonly captures: readonly Capture[];
  /** In the order of the captures; a shared variable's slot is replaced. */
  readonly slots: CaptureSlot[];
  setScope(index: number): void;
}

interface Use {
  readonly owner: ScopedFunction;
  readonly slot: number;
  readonly capture: Capture & { readonly variable: FoundVariable };
}
interface DraftScope {
  readonly group: number;
  readonly depth: number;
  readonly names: Set<string>;
  readonly outer: Set<number>;
}

/**
 * A local variable of an enclosing function that one of the functions assigns and another reads must stay one variable.
 * Finds those, and makes scopes of them that the copies share. `onAmbiguity` throws.
 */
export function findSharedScopes(
  functions: readonly ScopedFunction[],
  onAmbiguity: (first: ScopedFunction, second: ScopedFunction, name: string) => never,
): SharedScope[] {
  const suspects = suspectUses(functions);
  if (suspects.length === 0) return [];
  const uses = suspects.flat();
  const identities = identifyScopes(
    uses.map((use) => ({ fn: use.owner.fn, scopeIndex: use.capture.variable.scopeIndex })),
  );
  if (identities === undefined) {
    const [first, second] = suspects[0] as [Use, Use];
    onAmbiguity(first.owner, second.owner, first.capture.name);
  }

  const drafts = new Map<number, DraftScope>();
  const scopesOfFunction = new Map<ScopedFunction, Set<number>>();
  let position = 0;
  for (const alike of suspects) {
    const byIdentity = groupBy(alike, () => identities[position++] as number);
    for (const [identity, same] of byIdentity) {
      if (same.length < 2 || !same.some((use) => use.capture.isAssigned)) continue;
      for (const { owner, slot, capture } of same) {
        const depth = owner.inspection.scopes.length - capture.variable.scopeIndex;
        const draft = drafts.get(identity) ?? { group: owner.group, depth, names: new Set(), outer: new Set() };
        draft.names.add(capture.name);
        drafts.set(identity, draft);
        scopesOfFunction.set(owner, (scopesOfFunction.get(owner) ?? new Set()).add(identity));
        owner.slots[slot] = { to: "shared", name: capture.name, scope: identity, isAssigned: capture.isAssigned };
      }
    }
  }
  return link(drafts, scopesOfFunction);
}

/** Groups of uses that may be of one variable: same module, name and surroundings, all values equal, and one assigns. */
function suspectUses(functions: readonly ScopedFunction[]): Use[][] {
  const alike = new Map<string, Use[]>();
  for (const owner of functions) {
    owner.captures.forEach((capture, slot) => {
      const { variable } = capture;
      if (capture.to !== "local" || variable === undefined) return;
      const { description, variables } = variable.scope;
      const key = [owner.moduleKey, capture.name, description, ...Object.keys(variables)].join("\0");
      const uses = alike.get(key) ?? [];
      uses.push({ owner, slot, capture: { ...capture, variable } });
      alike.set(key, uses);
    });
  }
  return [...alike.values()].flatMap((uses) => {
    if (uses.length < 2 || !uses.some((use) => use.capture.isAssigned)) return [];
    return clustersOfEqualScopes(uses).filter(
      (cluster) => cluster.length > 1 && cluster.some((use) => use.capture.isAssigned),
    );
  });
}

/** Different values prove different activations. */
function clustersOfEqualScopes(uses: readonly Use[]): Use[][] {
  const clusters: Use[][] = [];
  for (const use of uses) {
    const cluster = clusters.find((candidate) => haveEqualVariables(candidate[0] as Use, use));
    if (cluster === undefined) clusters.push([use]);
    else cluster.push(use);
  }
  return clusters;
}

function haveEqualVariables(left: Use, right: Use): boolean {
  const one = left.capture.variable.scope;
  const other = right.capture.variable.scope;
  return Object.keys(one.variables).every((name) =>
    Object.is(readVariable(one, name).value, readVariable(other, name).value),
  );
}

/** Numbers the scopes, outer ones first, and nests them as they were. */
function link(drafts: Map<number, DraftScope>, scopesOfFunction: Map<ScopedFunction, Set<number>>): SharedScope[] {
  for (const identities of scopesOfFunction.values()) {
    for (const inner of identities) {
      for (const outer of identities) {
        if (depthOf(drafts, outer) < depthOf(drafts, inner)) drafts.get(inner)?.outer.add(outer);
      }
    }
  }
  const ordered = [...drafts.keys()].sort((left, right) => depthOf(drafts, left) - depthOf(drafts, right));
  const deepest = (identities: Iterable<number>): number => {
    let index = -1;
    for (const identity of identities) index = Math.max(index, ordered.indexOf(identity));
    return index;
  };
  for (const [owner, identities] of scopesOfFunction) {
    owner.setScope(deepest(identities));
    owner.slots.forEach((slot, index) => {
      if (slot.to === "shared") owner.slots[index] = { ...slot, scope: ordered.indexOf(slot.scope) };
    });
  }
  return ordered.map((identity) => {
    const { group, names, outer } = drafts.get(identity) as DraftScope;
    return { group, parent: deepest(outer), names: [...names] };
  });
}

function depthOf(drafts: Map<number, DraftScope>, identity: number): number {
  return drafts.get(identity)?.depth ?? 0;
}

function groupBy<Item, Key>(items: readonly Item[], keyOf: (item: Item) => Key): Map<Key, Item[]> {
  const groups = new Map<Key, Item[]>();
  for (const item of items) {
    const key = keyOf(item);
    const group = groups.get(key);
    if (group === undefined) groups.set(key, [item]);
    else group.push(item);
  }
  return groups;
}

import type { GcsWaits, NodeWaits, WaitsQuestion } from "../protocol/mod.ts";
import type { NodeRequests } from "./node-requests.ts";
import { nodeIdOf, type PendingItem, type ResourceShortage, type Wait, WaitGraph, type WaitReason } from "./wait-graph.ts";

/** Chains of reasons are told so far. */
const CHAIN_MAX = 50;
/** Reasons that are told of one thing that waits for several. */
const BRANCHES_MAX = 8;
/** How many of these its message names. */
const BRANCHES_NAMED_MAX = 2;

/** Why one thing is not there yet. */
export interface PendingReason {
  /** `put`: a value on its way into an object store, by `put()`, as an argument or as a result. */
  readonly kind: "task" | "call" | "actor" | "placementGroup" | "put";
  /** Of the object that it makes, of the actor, of the group, or of the worker that sleeps for room. */
  readonly id: string;
  /** Of the function, of class and method, of the class, or of the group; of what runs in the worker that sleeps, "put" in a program itself. */
  readonly name: string;
  /** Of a call, or an actor. */
  readonly actorId?: string;
  /** Where it was called, as far as that is known. */
  readonly callSite?: string;
  /** Where it is, if it is anywhere. */
  readonly workerId?: string;
  readonly nodeId?: string;
  readonly reason: WaitReason;
  /** All of it as one sentence, the reasons behind it included. */
  readonly message: string;
  /** With `reason: "resources"`: what is missing, where it is known. */
  readonly shortages: readonly ResourceShortage[];
  /** What it waits for, each with its own reason. Of a cycle: the others in it, in order. */
  readonly because: readonly PendingReason[];
}

/** All that is known of what waits. A cycle is asked for once more, so that what merely changed meanwhile is not taken for one. */
export async function surveyWaits(requests: NodeRequests, question: WaitsQuestion): Promise<Explanations> {
  const first = await oneSurvey(requests, question);
  const cycles = first.graph.cycles();
  if (cycles.length === 0) return new Explanations(first.graph, first.nodes, []);
  const { graph, nodes } = await oneSurvey(requests, question);
  const before = new Set(cycles.map((cycle) => cycle.join()));
  return new Explanations(graph, nodes, graph.cycles().filter((cycle) => before.has(cycle.join())));
}

async function oneSurvey(requests: NodeRequests, question: WaitsQuestion): Promise<{ readonly graph: WaitGraph; readonly nodes: readonly NodeWaits[] }> {
  const [nodes, { actors, groups }] = await Promise.all([
    requests.ask<readonly NodeWaits[]>((requestId) => ({ type: "listWaits", requestId, ...question })),
    requests.ask<GcsWaits>((requestId) => ({ type: "listWaiting", requestId, jobId: question.jobId })),
  ]);
  return { graph: new WaitGraph({ nodes, actors, groups }), nodes };
}

/** What is at the end of a chain of reasons. */
export interface RootReason {
  /** The same for what has the same reason. */
  readonly key: string;
  readonly reason: WaitReason;
  readonly message: string;
  readonly isGoingOn: boolean;
  readonly wasTold: boolean;
}

/** Words for what a graph of waits says. Pure. */
export class Explanations {
  readonly graph: WaitGraph;
  readonly #nodes: readonly NodeWaits[];
  /** The cycle of each that is in one. */
  readonly #cycleOf = new Map<string, readonly string[]>();

  constructor(graph: WaitGraph, nodes: readonly NodeWaits[], cycles: readonly (readonly string[])[]) {
    this.graph = graph;
    this.#nodes = nodes;
    for (const cycle of cycles) for (const key of cycle) this.#cycleOf.set(key, cycle);
  }

  of(keys: readonly string[]): PendingReason[] {
    return keys.filter((key) => this.graph.has(key)).map((key) => this.#reasonOf(key, []));
  }

  /** What it waits for in the end; more than one if it waits for several things. Without `acrossRuns` a run that waits is an end, too: it may have gone on before. */
  rootsOf(key: string, acrossRuns = true): RootReason[] {
    const roots = new Map<string, RootReason>();
    const seen = new Set<string>();
    const visit = (one: string): void => {
      if (seen.has(one) || !this.graph.has(one)) return;
      seen.add(one);
      const cycle = this.#cycleOf.get(one);
      const { on, reason, text, isGoingOn, wasTold } = this.graph.waitOf(one);
      const ahead = on.filter((other) => this.graph.has(other));
      if (cycle !== undefined) roots.set(cycle.join(), { key: cycle.join(), reason: "cycle", message: this.#cycleText(cycle), isGoingOn: false, wasTold: false });
      else if (ahead.length > 0 && (acrossRuns || reason !== "objects")) ahead.forEach(visit);
      else {
        const item = this.graph.itemOf(one);
        // A thousand tasks that want the same are one thing to tell.
        const rootKey = item.kind === "task" ? `${item.name} ${text}` : item.kind === "call" ? `${item.actorId} ${reason}` : one;
        roots.set(rootKey, { key: rootKey, reason, message: `${labelOf(item)} ${text}`, isGoingOn, wasTold });
      }
    };
    visit(key);
    return [...roots.values()];
  }

  #reasonOf(key: string, path: readonly string[]): PendingReason {
    const item = this.graph.itemOf(key);
    const cycle = this.#cycleOf.get(key);
    const wait = this.graph.waitOf(key);
    if (cycle !== undefined) {
      const others = [...cycle.slice(cycle.indexOf(key) + 1), ...cycle.slice(0, cycle.indexOf(key))];
      const members = others.map((other) => this.#toldAs(this.graph.itemOf(other), this.graph.waitOf(other), []));
      return { ...this.#toldAs(item, wait, members), reason: "cycle", message: this.#cycleText([key, ...others]) };
    }
    const isFarEnough = path.length >= CHAIN_MAX;
    const on = isFarEnough ? [] : wait.on.filter((other) => this.graph.has(other) && !path.includes(other) && other !== key);
    return this.#toldAs(item, wait, on.slice(0, BRANCHES_MAX).map((other) => this.#reasonOf(other, [...path, key])));
  }

  #toldAs(item: PendingItem, { reason, text, shortages }: Wait, because: readonly PendingReason[]): PendingReason {
    const { kind, id, name, actorId, callSite, workerId } = item;
    const nodeId = workerId === null ? undefined : nodeIdOf(workerId, this.#nodes);
    const behind = because.slice(0, BRANCHES_NAMED_MAX).map(({ message }) => message).join("; and ");
    const more = because.length > BRANCHES_NAMED_MAX ? `; and ${because.length - BRANCHES_NAMED_MAX} more` : "";
    return {
      kind, id, name, ...(actorId === null ? {} : { actorId }), ...(callSite === null ? {} : { callSite }), ...(workerId === null ? {} : { workerId }), ...(nodeId === undefined ? {} : { nodeId }),
      reason, message: `${labelOf(item)} ${text}${behind === "" ? "" : `: ${behind}${more}`}`, shortages, because,
    };
  }

  /** Along the cycle, from its first member back to it. */
  #cycleText(cycle: readonly string[]): string {
    const labels = cycle.map((key) => labelOf(this.graph.itemOf(key)));
    const own = cycle.length === 1 ? "itself" : `${labels.slice(1).join(", which waits for ")}, which waits for ${nameOf(this.graph.itemOf(cycle[0] as string))} again`;
    return `${labels[0]} waits for ${own}: none of them can ever go on; let one of these actors run more calls at once (maxConcurrency, or a concurrency group), or have its method not wait for the other`;
  }
}

function nameOf({ kind, name }: PendingItem): string {
  return kind === "task" || kind === "call" ? `${name}()` : name;
}

function labelOf(item: PendingItem): string {
  const { kind, id, actorId } = item;
  const callSite = item.callSite?.split(" | ")[0] ?? null;
  const site = callSite === null ? "" : `, called at ${callSite}`;
  switch (kind) {
    case "task": return `task ${nameOf(item)}${callSite === null ? "" : ` (called at ${callSite})`}`;
    case "call": return `call ${nameOf(item)} (of actor ${actorId}${site})`;
    case "actor": return `actor ${nameOf(item)} (${id})`;
    case "put": return `a value${callSite === null ? "" : ` of ${callSite}`}${item.name === "put" ? "" : ` in ${item.name}()`}`;
    case "placementGroup": return `placement group '${nameOf(item)}'`;
  }
}

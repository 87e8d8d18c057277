import { nodeKeyOf, type Clock, type NodeKey, type PlacementGroupId, type SystemErrorRecord, type Timer, type WorkerId } from "../base/mod.ts";
import type { FromNode, LeaseShape, NodeLoadChange, NodeLoadRecord, NodeRecord, WantRecord } from "../protocol/mod.ts";
import { distinctWants, keepUp, type KnownAmounts, knownAtFirst, type NodeView } from "../scheduling/mod.ts";
import { type ArgumentFetcher, ArgumentPulls } from "./argument-pulls.ts";
import { SpillOver, type SpillInstruction } from "./spill-over.ts";
import { WantedElsewhere } from "./wanted-elsewhere.ts";
import { sharerOf } from "./wishes.ts";

/** What no node could ever hold, at two looks in a row, is refused. */
const INFEASIBLE_LOOK_MS = 2_500;

export interface LeaseSpreadingEnvironment {
  readonly clock: Clock;
  /** This node as it is now. */
  own(): NodeView;
  demandHere(ownerId: WorkerId, key: string, shape: LeaseShape, target: number, priority: number): void;
  demandThere(node: NodeKey, ownerId: WorkerId, key: string, shape: LeaseShape, target: number, priority: number): void;
  /** What this node could hold of all that is waited for elsewhere. */
  wantedElsewhere(wanted: readonly WantRecord[]): void;
  /** `wants` may be others now. */
  wantsChanged(): void;
  /** Null where there are no objects of other nodes. */
  readonly fetcher: ArgumentFetcher | null;
  tell(ownerId: WorkerId, message: FromNode & { readonly type: "leaseRefused" | "nameArguments" }): void;
}

interface OtherNode extends KnownAmounts {
  readonly record: NodeRecord;
}

/** Gets leases for the owners of this node from all nodes of the cluster: SpillOver decides, this acts. */
export class LeaseSpreading {
  readonly #env: LeaseSpreadingEnvironment;
  readonly #node: NodeKey;
  readonly #state: SpillOver;
  readonly #arguments: ArgumentPulls | null;
  readonly #others = new Map<NodeKey, OtherNode>();
  readonly #wantedElsewhere = new WantedElsewhere();
  #isWanting = false;
  #infeasibleTimer: Timer | null = null;
  #isPlanning = false;
  #isPlanDue = false;

  constructor(environment: LeaseSpreadingEnvironment) {
    this.#env = environment;
    this.#node = environment.own().key;
    this.#state = new SpillOver(this.#node);
    const { fetcher } = environment;
    this.#arguments = fetcher === null ? null : new ArgumentPulls(this.#node, fetcher, ({ ownerId, key, shape, target, priority }) => environment.demandHere(ownerId, key, shape, target, priority));
  }

  nodeJoined(node: NodeKey, record: NodeRecord): void {
    this.#others.set(node, { record, ...knownAtFirst(record.totals) });
    this.#see(node, false);
    this.plan();
  }

  /** Of nodes that were there before this one. */
  loadsKnown(loads: readonly NodeLoadRecord[]): void {
    for (const { node, totals, available } of loads) {
      const other = this.#others.get(node);
      if (other !== undefined) this.#others.set(node, { record: other.record, totals: { ...totals }, available: { ...available } });
    }
    this.loadsChanged(loads);
  }

  loadsChanged(changes: readonly NodeLoadChange[]): void {
    let isWantedChanged = false;
    for (const change of changes) {
      const { node, isDraining, wants } = change;
      const other = this.#others.get(node);
      if (other === undefined) continue;
      keepUp(other, change);
      this.#see(node, isDraining);
      if (this.#wantedElsewhere.told(node, wants ?? [], this.#env.own())) isWantedChanged = true;
    }
    this.plan();
    if (isWantedChanged) this.#env.wantedElsewhere(this.#wantedElsewhere.all());
  }

  #see(key: NodeKey, isDraining: boolean): void {
    const { record: { nodeId, labels }, totals, available } = this.#others.get(key) as OtherNode;
    this.#state.nodeSeen({ key, nodeId, totals, available, labels, isAlive: true, isDraining, weightless: 0 });
  }

  nodeLost(node: NodeKey): void {
    this.#others.delete(node);
    this.#state.nodeLost(node);
    this.plan();
    if (this.#wantedElsewhere.told(node, [], this.#env.own())) this.#env.wantedElsewhere(this.#wantedElsewhere.all());
  }

  actorsWait(wants: readonly WantRecord[]): void {
    if (this.#wantedElsewhere.told("actors", wants, this.#env.own())) this.#env.wantedElsewhere(this.#wantedElsewhere.all());
  }

  demand(ownerId: WorkerId, key: string, shape: LeaseShape, target: number, priority: number): void {
    this.#state.demand(ownerId, key, shape, target, priority);
    this.plan();
  }

  /** Of this node, which its owner or the owner's node has chosen: when the arguments of the tasks are here. */
  demandHere(ownerId: WorkerId, key: string, shape: LeaseShape, target: number, priority: number): void {
    if (this.#arguments === null || shape.arguments === undefined) this.#env.demandHere(ownerId, key, shape, target, priority);
    else this.#arguments.demand({ ownerId, key, shape, target, priority });
  }

  /** By this node, to an owner anywhere. A plan follows by itself. */
  grantedHere(ownerId: WorkerId, key: string, shape: LeaseShape): void {
    if (nodeKeyOf(ownerId) === this.#node) this.#state.granted(ownerId, key, this.#node);
    if (shape.arguments !== undefined) this.#arguments?.granted(ownerId, key);
  }

  /** By another node, to an owner of this one. */
  granted(ownerId: WorkerId, key: string, node: NodeKey): void {
    this.#state.granted(ownerId, key, node);
    // What that node has left may have been heard of before: then it seemed to be all that it had, and was asked for so much less.
    this.plan();
  }

  refused(ownerId: WorkerId, key: string, node: NodeKey): void {
    this.#state.refused(ownerId, key, node);
  }

  refuseInGroup(groupId: PlacementGroupId, errorFor: (shape: LeaseShape) => SystemErrorRecord | null): void {
    this.#act(this.#state.refuseInGroup(groupId, errorFor));
    this.plan();
  }

  ownerLost(ownerId: WorkerId): void {
    this.#state.ownerLost(ownerId);
    this.#arguments?.ownerLost(ownerId);
  }

  /** After everything that may change where something fits. */
  plan(): void {
    this.#isPlanDue = true;
    if (this.#isPlanning) return;
    this.#isPlanning = true;
    while (this.#isPlanDue) {
      this.#isPlanDue = false;
      this.#act(this.#state.planHere(this.#env.own()));
      this.#act(this.#state.planThere(this.#env.own()));
    }
    this.#isPlanning = false;
    this.#tellWants();
    if (this.#state.isAnythingMissing) this.#lookForInfeasible();
  }

  /** What owners of this node wait for, and no node has room for. */
  get wants(): readonly WantRecord[] { return distinctWants(this.#state.unmet.map((wish) => [wish.shape, sharerOf(wish)])); }

  /** For tasks of this node's owners. */
  mayRunElsewhere(ownerId: WorkerId, key: string): boolean { return this.#state.mayRunElsewhere(ownerId, key, this.#env.own()); }

  #tellWants(): void {
    const wasWanting = this.#isWanting;
    this.#isWanting = this.#state.unmet.length > 0;
    if (this.#isWanting || wasWanting) this.#env.wantsChanged();
  }

  #lookForInfeasible(): void {
    this.#infeasibleTimer ??= this.#env.clock.after(INFEASIBLE_LOOK_MS, () => {
      this.#infeasibleTimer = null;
      this.#act(this.#state.refuseInfeasible(this.#env.own()));
      if (this.#state.isAnythingMissing) this.#lookForInfeasible();
    });
  }

  #act(instructions: readonly SpillInstruction[]): void {
    for (const instruction of instructions) {
      const { ownerId, key } = instruction;
      if (instruction.type === "refuse") {
        this.#env.tell(ownerId, { type: "leaseRefused", key, error: instruction.error });
        continue;
      }
      if (instruction.type === "nameArguments") {
        this.#env.tell(ownerId, { type: "nameArguments", key, count: instruction.count });
        continue;
      }
      const { shape, target, priority } = instruction;
      if (instruction.type === "askHere") this.demandHere(ownerId, key, shape, target, priority);
      else this.#env.demandThere(instruction.node, ownerId, key, shape, target, priority);
    }
  }

  stop(): void {
    this.#infeasibleTimer?.cancel();
    this.#arguments?.stop();
  }
}


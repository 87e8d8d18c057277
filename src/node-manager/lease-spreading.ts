import type { Clock, NodeKey, ResourceAmounts, SystemErrorRecord, Timer, WorkerId } from "../base/mod.ts";
import type { LeaseShape, NodeLoadRecord, NodeRecord } from "../protocol/mod.ts";
import type { NodeView } from "../scheduling/mod.ts";
import { SpillOver, type SpillInstruction } from "./spill-over.ts";

/** What no node could ever hold, at two looks in a row, is refused. */
const INFEASIBLE_LOOK_MS = 2_500;

export interface LeaseSpreadingEnvironment {
  readonly clock: Clock;
  /** This node as it is now. */
  own(): NodeView;
  demandHere(ownerId: WorkerId, key: string, shape: LeaseShape, target: number, priority: number): void;
  demandThere(node: NodeKey, ownerId: WorkerId, key: string, shape: LeaseShape, target: number, priority: number): void;
  refuse(ownerId: WorkerId, key: string, error: SystemErrorRecord): void;
}

/** Gets leases for the owners of this node from all nodes of the cluster: SpillOver decides, this acts. */
export class LeaseSpreading {
  readonly #env: LeaseSpreadingEnvironment;
  readonly #state: SpillOver;
  readonly #records = new Map<NodeKey, NodeRecord>();
  #infeasibleTimer: Timer | null = null;
  #isPlanning = false;
  #isPlanDue = false;

  constructor(environment: LeaseSpreadingEnvironment) {
    this.#env = environment;
    this.#state = new SpillOver(environment.own().key);
  }

  nodeJoined(node: NodeKey, record: NodeRecord): void {
    this.#records.set(node, record);
    this.#nodeSeen(node, record, record.totals, record.totals);
  }

  loadsChanged(loads: readonly NodeLoadRecord[]): void {
    for (const { node, totals, available } of loads) {
      const record = this.#records.get(node);
      if (record !== undefined) this.#state.nodeSeen(viewOf(node, record, totals, available));
    }
    this.plan();
  }

  #nodeSeen(node: NodeKey, record: NodeRecord, totals: ResourceAmounts, available: ResourceAmounts): void {
    this.#state.nodeSeen(viewOf(node, record, totals, available));
    this.plan();
  }

  nodeLost(node: NodeKey): void {
    this.#records.delete(node);
    this.#state.nodeLost(node);
    this.plan();
  }

  demand(ownerId: WorkerId, key: string, shape: LeaseShape, target: number, priority: number): void {
    this.#state.demand(ownerId, key, shape, target, priority);
    this.plan();
  }

  /** A plan follows by itself where the grant is this node's. */
  granted(ownerId: WorkerId, key: string, node: NodeKey): void {
    this.#state.granted(ownerId, key, node);
  }

  refused(ownerId: WorkerId, key: string): void {
    this.#state.refused(ownerId, key);
  }

  ownerLost(ownerId: WorkerId): void {
    this.#state.ownerLost(ownerId);
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
    if (this.#state.isAnythingMissing) this.#lookForInfeasible();
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
        this.#env.refuse(ownerId, key, instruction.error);
        continue;
      }
      const { shape, target, priority } = instruction;
      if (instruction.type === "askHere") this.#env.demandHere(ownerId, key, shape, target, priority);
      else this.#env.demandThere(instruction.node, ownerId, key, shape, target, priority);
    }
  }

  stop(): void {
    this.#infeasibleTimer?.cancel();
  }
}

function viewOf(key: NodeKey, { nodeId, labels }: NodeRecord, totals: ResourceAmounts, available: ResourceAmounts): NodeView {
  return { key, nodeId, totals, available, labels, isAlive: true, isDraining: false, weightless: 0 };
}

import type { NodeKey, WorkerId } from "../base/mod.ts";
import type { ArgumentRecord } from "../protocol/mod.ts";
import { ArgumentPullsState, type LeaseRequest } from "./argument-pulls-state.ts";

/** What brings objects of other nodes to this one. */
export interface ArgumentFetcher {
  /** Of the whole store. */
  readonly capacityBytes: number;
  /** Resolves when a copy is here; rejects if there can be none, or with the signal's reason. */
  pull(object: ArgumentRecord, signal: AbortSignal): Promise<void>;
}

/** Brings large arguments here before the scheduler hears of the leases for their tasks: ArgumentPullsState decides, this acts. */
export class ArgumentPulls {
  readonly #fetcher: ArgumentFetcher;
  readonly #demand: (request: LeaseRequest) => void;
  readonly #state: ArgumentPullsState;
  readonly #pulls = new Map<string, AbortController>();

  constructor(ownNode: NodeKey, fetcher: ArgumentFetcher, demand: (request: LeaseRequest) => void) {
    this.#fetcher = fetcher;
    this.#demand = demand;
    this.#state = new ArgumentPullsState(ownNode, fetcher.capacityBytes);
  }

  demand(request: LeaseRequest): void {
    if (this.#state.demand(request)) this.#act();
    else this.#demand(request);
  }

  granted(ownerId: WorkerId, key: string): void {
    this.#state.granted(ownerId, key);
    this.#act();
  }

  ownerLost(ownerId: WorkerId): void {
    this.#state.ownerLost(ownerId);
    this.#act();
  }

  #act(): void {
    for (const instruction of this.#state.takeInstructions()) {
      if (instruction.type === "demand") this.#demand(instruction.request);
      else if (instruction.type === "pull") this.#pull(instruction.object);
      else this.#cancel(instruction.object);
    }
  }

  #pull(object: ArgumentRecord): void {
    const controller = new AbortController();
    this.#pulls.set(keyOf(object), controller);
    const settled = (): void => {
      if (this.#pulls.get(keyOf(object)) !== controller) return;
      this.#pulls.delete(keyOf(object));
      this.#state.settled(object);
      this.#act();
    };
    // What cannot be had is no reason to wait: the task that reads it ends with the error, or has it made again.
    this.#fetcher.pull(object, controller.signal).then(settled, settled);
  }

  #cancel(object: ArgumentRecord): void {
    const controller = this.#pulls.get(keyOf(object));
    this.#pulls.delete(keyOf(object));
    controller?.abort();
  }

  stop(): void {
    for (const controller of this.#pulls.values()) controller.abort();
    this.#pulls.clear();
  }
}

function keyOf({ node, id }: ArgumentRecord): string {
  return `${node}/${id}`;
}

import type { Clock, NodeKey, Timer } from "../base/mod.ts";
import type { HandedObject } from "../object-store/mod.ts";
import type { HandOverRefusal } from "../protocol/mod.ts";
import { type HandOverOffer, HandOverState } from "./hand-over-state.ts";

/** How often it is looked what is new here, and what its owner has freed. */
const LOOK_MS = 100;
/** Answers of so long are acted on together. */
const GATHER_MS = 5;

export interface HandOverEnvironment {
  readonly clock: Clock;
  /** Primary copies that belong to workers and programs of other nodes. */
  objects(): Iterable<HandedObject>;
  /** Those that take what they have room for. */
  nodes(): readonly NodeKey[];
  /** Answered by `answered`. */
  offer(offer: HandOverOffer): void;
}

/** Gives the objects of a node that drains to others: HandOverState decides, this acts. Goes on while the node has work left, which makes more. */
export class HandOver {
  readonly #env: HandOverEnvironment;
  readonly #state = new HandOverState();
  #timer: Timer | null = null;
  #dueMs = Infinity;
  #isStopped = false;
  #onOver: (() => void) | null = null;

  constructor(environment: HandOverEnvironment) {
    this.#env = environment;
    this.#look();
  }

  /** Nothing new is made here now. `onOver` once, when what is left here stays. */
  finish(onOver: () => void): void {
    if (this.#onOver !== null) return;
    this.#onOver = onOver;
    this.#state.tryAllAgain();
    this.#lookWithin(0);
  }

  answered(id: number, node: NodeKey, refusal: HandOverRefusal | null): void {
    if (refusal === null) this.#state.taken(id, this.#env.clock.nowMs());
    else this.#state.refused(id, node, refusal);
    this.#lookWithin(GATHER_MS);
  }

  nodeLost(node: NodeKey): void {
    this.#state.nodeLost(node);
    this.#lookWithin(GATHER_MS);
  }

  /** For the reason with which the node leaves: what is lost with it, unless what has made it runs again. */
  get leftBehind(): string {
    const { objects, bytes } = this.#state.leftBehind;
    return objects === 0 ? "" : `${objects === 1 ? "1 object" : `${objects} objects`} of ${(bytes / 1e6).toFixed(1)} MB`;
  }

  #lookWithin(delayMs: number): void {
    if (this.#isStopped) return;
    const dueMs = this.#env.clock.nowMs() + delayMs;
    if (this.#timer !== null && this.#dueMs <= dueMs) return;
    this.#timer?.cancel();
    this.#dueMs = dueMs;
    this.#timer = this.#env.clock.after(delayMs, () => {
      this.#timer = null;
      this.#look();
    });
  }

  #look(): void {
    for (const offer of this.#state.plan(this.#env.objects(), this.#env.nodes(), this.#env.clock.nowMs())) this.#env.offer(offer);
    const onOver = this.#state.isOver ? this.#onOver : null;
    if (onOver !== null) this.#onOver = null;
    this.#lookWithin(LOOK_MS);
    onOver?.();
  }

  stop(): void {
    this.#isStopped = true;
    this.#timer?.cancel();
  }
}

import { type ActorId, type NodeKey, nodeKeyOf, type WorkerId } from "../base/mod.ts";
import type { ActorInstruction } from "./actor-state.ts";

/** Whom `kill` answers. */
export interface EndAsker {
  readonly workerId: WorkerId;
  readonly requestId: number;
}
interface Ending {
  readonly workerId: WorkerId;
  readonly askers: EndAsker[];
}

/**
 * Actors that were told to end, and who waits for it: until the word of its node is there, code of such an actor may still run. Pure.
 */
export class AwaitedEnds {
  readonly #endings = new Map<ActorId, Ending>();

  /** What `kill` led to. False when nothing of the actor is left to wait for. */
  add(actorId: ActorId, instructions: readonly ActorInstruction[], asker: EndAsker): boolean {
    const known = this.#endings.get(actorId);
    if (known !== undefined) {
      known.askers.push(asker);
      return true;
    }
    for (const instruction of instructions) {
      if (instruction.type !== "endWorker" && instruction.type !== "endShared") continue;
      this.#endings.set(actorId, { workerId: instruction.workerId, askers: [asker] });
      return true;
    }
    return false;
  }

  /** One of several in its worker. Answers who is to be told. */
  actorEnded(actorId: ActorId): readonly EndAsker[] {
    const ending = this.#endings.get(actorId);
    this.#endings.delete(actorId);
    return ending?.askers ?? [];
  }

  workerLost(workerId: WorkerId): readonly EndAsker[] {
    return this.#lost((ending) => ending.workerId === workerId);
  }

  nodeLost(node: NodeKey): readonly EndAsker[] {
    return this.#lost((ending) => nodeKeyOf(ending.workerId) === node);
  }

  #lost(isLost: (ending: Ending) => boolean): readonly EndAsker[] {
    const askers: EndAsker[] = [];
    for (const [actorId, ending] of this.#endings) {
      if (!isLost(ending)) continue;
      this.#endings.delete(actorId);
      askers.push(...ending.askers);
    }
    return askers;
  }
}

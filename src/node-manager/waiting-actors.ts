import type { ActorId, JobId, WorkerId } from "../base/mod.ts";
import type { FromNode, NodeWaits } from "../protocol/mod.ts";
import type { HeldUp } from "./held-up.ts";
import type { LeaseWaits } from "./lease-waits.ts";

export interface WaitingActorsEnvironment {
  drivers(jobId: JobId): Iterable<WorkerId>;
  send(workerId: WorkerId, message: FromNode): void;
}

/** Actors that wait for a worker: their programs are told why. */
export class WaitingActors {
  readonly #env: WaitingActorsEnvironment;
  readonly #actors = new Map<ActorId, { readonly className: string; readonly jobId: JobId; wasTold: boolean }>();

  constructor(environment: WaitingActorsEnvironment) {
    this.#env = environment;
  }

  add(actorId: ActorId, className: string, jobId: JobId): void {
    this.#actors.set(actorId, { className, jobId, wasTold: false });
  }

  delete(actorId: ActorId): void {
    this.#actors.delete(actorId);
  }

  warn(actorId: ActorId, text: string): void {
    const actor = this.#actors.get(actorId);
    if (actor === undefined) return;
    actor.wasTold = true;
    for (const driverId of this.#env.drivers(actor.jobId)) this.#env.send(driverId, { type: "warning", text: `actor ${actor.className} ${text}` });
  }

  /** With those marked of whom it was said already. */
  marked({ demands, placements }: LeaseWaits): Pick<NodeWaits, "demands" | "placements"> {
    return { demands, placements: placements.map((one) => ({ ...one, wasTold: this.#actors.get(one.actorId)?.wasTold === true })) };
  }

  /** To the program that it concerns; tasks are known to their owners. */
  tellHeldUp({ task, actorId, reason }: HeldUp): void {
    if (task !== null) return this.#env.send(task.ownerId, { type: "leasesHeldUp", key: task.key, reason });
    this.warn(actorId as ActorId, `waits for ${reason}; it starts when enough of it is given back: end what is not needed, ask for less, or give the cluster more`);
  }
}

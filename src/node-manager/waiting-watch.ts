import type { Clock, Timer } from "../base/mod.ts";
import type { HeldUp } from "./held-up.ts";

/** Who is held up at two looks in a row is told of. */
const LOOK_EVERY_MS = 2_500;

export interface WaitingWatchEnvironment {
  readonly clock: Clock;
  heldUp(): readonly HeldUp[];
  tell(heldUp: HeldUp): void;
}

/** Says once of each who waits for resources that it may wait for ever. Looks only while somebody waits. */
export class WaitingWatch {
  readonly #env: WaitingWatchEnvironment;
  #timer: Timer | null = null;
  /** Of those who waited at the last look: whether it was said. */
  #known = new Map<string, boolean>();

  constructor(environment: WaitingWatchEnvironment) {
    this.#env = environment;
  }

  /** Somebody wants resources that are in use. */
  somebodyWaits(): void {
    this.#timer ??= this.#env.clock.after(LOOK_EVERY_MS, () => {
      this.#timer = null;
      this.#look();
    });
  }

  #look(): void {
    const before = this.#known;
    this.#known = new Map();
    let isAnyUntold = false;
    for (const heldUp of this.#env.heldUp()) {
      const id = heldUp.actorId ?? `${heldUp.task?.ownerId}/${heldUp.task?.key}`;
      const wasTold = before.get(id);
      if (wasTold === false) this.#env.tell(heldUp);
      this.#known.set(id, wasTold !== undefined);
      isAnyUntold ||= wasTold === undefined;
    }
    if (isAnyUntold) this.somebodyWaits();
  }

  stop(): void {
    this.#timer?.cancel();
  }
}

import type { Clock } from "../base/mod.ts";
import type { Explanations, RootReason } from "./explanation.ts";
import { StuckState } from "./stuck-state.ts";

/** Between looks at what is pending, as a part of how long that may take. */
const LOOKS_PER_WAIT = 4;

export interface StuckWatchEnvironment {
  readonly clock: Clock;
  /** How long something may be pending without progress before it is told why. */
  readonly afterMs: number;
  isAnythingPending(): boolean;
  /** Keys of what is pending here, or of the first of it. */
  pending(): Iterable<string>;
  survey(): Promise<Explanations>;
  warn(text: string): void;
}

/** Tells the user why something does not go on. Looks only while something is pending. */
export class StuckWatch {
  readonly #env: StuckWatchEnvironment;
  readonly #state: StuckState;
  #isWatching = false;

  constructor(environment: StuckWatchEnvironment) {
    this.#env = environment;
    this.#state = new StuckState(environment.afterMs);
  }

  somethingPending(): void {
    if (this.#isWatching) return;
    this.#isWatching = true;
    this.#env.clock.after(this.#env.afterMs / LOOKS_PER_WAIT, () => void this.#look().then(() => {
      this.#isWatching = false;
      if (this.#env.isAnythingPending()) this.somethingPending();
    }));
  }

  async #look(): Promise<void> {
    const { clock } = this.#env;
    const old = this.#state.look(clock.nowMs(), this.#env.pending());
    if (old.length === 0) return;
    // Without an answer there is nothing to say.
    let found = await this.#env.survey().catch(() => null);
    if (found === null) return;
    let all = foldedRoots(found);
    if (all.some(({ isGoingOn, wasTold }) => !isGoingOn && !wasTold)) {
      // Each has answered at a moment of its own. What was merely on its way then is over at a second survey.
      const before = new Set(all.map(({ key }) => key));
      found = await this.#env.survey().catch(() => null);
      if (found === null) return;
      all = foldedRoots(found).filter(({ key }) => before.has(key));
    }
    const latest = found;
    const own = old.flatMap((key) => latest.rootsOf(key, false));
    for (const text of this.#state.surveyed(clock.nowMs(), own, all)) this.#env.warn(text);
  }
}

/** Of everything that waits, each reason once. */
function foldedRoots(found: Explanations): RootReason[] {
  const all = new Map<string, { readonly root: RootReason; count: number }>();
  for (const key of found.graph.keys()) for (const root of found.rootsOf(key)) {
    const known = all.get(root.key);
    if (known === undefined) all.set(root.key, { root, count: 1 });
    else known.count++;
  }
  return Array.from(all.values(), ({ root, count }) => (root.reason === "cycle" || count === 1 ? root : { ...root, message: `${root.message} (and ${count - 1} more ${count === 2 ? "waits" : "wait"} for the same)` }));
}

import { type Clock, foldAlike, moreWait } from "../base/mod.ts";
import type { Explanations, RootReason } from "./explanation.ts";
import { StuckState } from "./stuck-state.ts";

/** Between looks at what is pending, as a part of how long that may take. */
const LOOKS_PER_WAIT = 4;
/** What workers wait for that is looked at together. */
const ELSEWHERE_MAX = 1_000;

export interface StuckWatchEnvironment {
  readonly clock: Clock;
  /** How long something may be pending without progress before it is told why. */
  readonly afterMs: number;
  isAnythingPending(): boolean;
  /** In a worker: whether nobody else looks after what waits here for so long, who was told of it now. Default: nobody does. */
  isLeftAlone?(keys: readonly string[]): Promise<boolean>;
  /** Keys of what is pending here, or of the first of it. */
  pending(): Iterable<string>;
  survey(): Promise<Explanations>;
  warn(text: string): void;
}

/** Tells the user why something does not go on. Looks only while something is pending. */
export class StuckWatch {
  readonly #env: StuckWatchEnvironment;
  readonly #state: StuckState;
  readonly #elsewhere = new Set<string>();
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
    if (this.#env.isLeftAlone !== undefined && !(await this.#env.isLeftAlone(old).catch(() => false))) return this.#state.lookedAfter(clock.nowMs());
    await this.#tell(old);
  }

  /** A worker of the program has waited for these for so long, whether or not the program itself waits. Many may say so at once. */
  waitsElsewhere(keys: readonly string[]): void {
    const isFirst = this.#elsewhere.size === 0;
    for (const key of keys) if (this.#elsewhere.size < ELSEWHERE_MAX) this.#elsewhere.add(key);
    if (!isFirst) return;
    this.#env.clock.after(this.#env.afterMs / LOOKS_PER_WAIT, () => {
      const told = [...this.#elsewhere];
      this.#elsewhere.clear();
      void this.#tell(told);
    });
  }

  async #tell(old: readonly string[]): Promise<void> {
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
    for (const text of this.#state.surveyed(this.#env.clock.nowMs(), own, all)) this.#env.warn(text);
  }
}

/** Of everything that waits, each reason once. */
function foldedRoots(found: Explanations): RootReason[] {
  const roots = Array.from(found.graph.keys()).flatMap((key) => [...found.rootsOf(key)]);
  return Array.from(foldAlike(roots, ({ key }) => key), (alike) => (alike.first.reason === "cycle" || alike.count === 1 ? alike.first : { ...alike.first, message: alike.first.message + moreWait(alike) }));
}

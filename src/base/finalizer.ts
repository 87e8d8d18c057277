/** Calls back once a target was collected, unless its token was unregistered before. */
export interface FinalizerRegistry {
  /** `token` is for one registration only, of all finalizers. */
  register(target: object, collected: () => void, token?: object): void;
  /** False if there is none, or none any more. */
  unregister(token: object): boolean;
}

interface Watched {
  readonly finalizer: Finalizer<unknown>;
  readonly held: unknown;
}

/**
 * One for all, which lives as long as its thread: when V8 (in Node 20, 22 and 24) collects a FinalizationRegistry whose turn to be
 * called has been scheduled, no registry of that thread is ever called again.
 */
// oxlint-disable-next-line eslint/no-restricted-globals -- the one
const registry = new FinalizationRegistry<Watched>(({ finalizer, held }) => finalizer.onCollected(held));
/** In place of it, where a simulation says what is collected when. */
let simulated: FinalizerRegistry | null = null;

/** Until the result is called, finalizers of this thread register there. */
export function useFinalizerRegistry(other: FinalizerRegistry): () => void {
  simulated = other;
  return () => { simulated = null; };
}

/**
 * A FinalizationRegistry that may itself become garbage at any time. What is held, and the finalizer, stay reachable for as long as
 * what was registered does.
 */
export class Finalizer<Held> {
  /** Must not throw. */
  readonly onCollected: (held: Held) => void;

  constructor(onCollected: (held: Held) => void) {
    this.onCollected = onCollected;
  }

  /** `token` is for one registration only, of all finalizers. */
  register(target: object, held: Held, token?: object): void {
    if (simulated !== null) return simulated.register(target, () => this.onCollected(held), token);
    registry.register(target, { finalizer: this as Finalizer<unknown>, held }, token);
  }

  /** False if there is none, or none any more. */
  unregister(token: object): boolean {
    return simulated === null ? registry.unregister(token) : simulated.unregister(token);
  }
}

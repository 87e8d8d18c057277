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
    registry.register(target, { finalizer: this as Finalizer<unknown>, held }, token);
  }

  /** False if there is none, or none any more. */
  unregister(token: object): boolean {
    return registry.unregister(token);
  }
}

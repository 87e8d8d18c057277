export type AnyFunction = (...args: any[]) => unknown;

/** The actor behind one process of a `Pool`. */
export class PoolWorker {
  readonly #initialized: Promise<unknown>;

  constructor(initializer: AnyFunction | null, initArgs: readonly unknown[]) {
    // What an asynchronous one rejects with is what the calls fail with.
    this.#initialized = Promise.resolve(initializer?.(...initArgs));
    this.#initialized.catch(() => undefined);
  }

  /** One result for each element, one after the other; the first that throws ends it. */
  async run(fn: AnyFunction, chunk: readonly unknown[], isSpread: boolean): Promise<unknown[]> {
    await this.#initialized;
    const results: unknown[] = [];
    for (const element of chunk) results.push(await (isSpread ? fn(...(element as readonly unknown[])) : fn(element)));
    return results;
  }
}

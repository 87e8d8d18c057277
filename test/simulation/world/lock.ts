/** Whoever takes it waits until those before have freed it. */
export class Lock {
  #free: Promise<void> = Promise.resolve();

  /** What is returned frees it. */
  async take(): Promise<() => void> {
    const before = this.#free;
    let free!: () => void;
    this.#free = new Promise((resolve) => { free = resolve; });
    await before;
    return free;
  }
}

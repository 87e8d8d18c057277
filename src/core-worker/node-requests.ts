import { RenewedMap } from "../base/mod.ts";
import type { ToNode } from "../protocol/mod.ts";

/** Requests to the node manager and the GCS, and the promises that wait for their answers; the process lives until they come. */
export class NodeRequests {
  readonly #send: (message: ToNode) => void;
  readonly #sendSoon: (message: ToNode) => void;
  readonly #hold: () => () => void;
  #release: (() => void) | null = null;
  readonly #waiting = new RenewedMap<number, { resolve: (result: unknown) => void; reject: (error: Error) => void }>();
  #next = 1;

  constructor(send: (message: ToNode) => void, sendSoon: (message: ToNode) => void, hold: () => () => void) {
    this.#send = send;
    this.#sendSoon = sendSoon;
    this.#hold = hold;
  }

  ask<T>(build: (requestId: number) => ToNode): Promise<T> {
    return this.#ask(build, this.#send);
  }

  /** With others of this turn in one frame: for what is asked by the hundred. */
  askSoon<T>(build: (requestId: number) => ToNode): Promise<T> {
    return this.#ask(build, this.#sendSoon);
  }

  #ask<T>(build: (requestId: number) => ToNode, send: (message: ToNode) => void): Promise<T> {
    const requestId = this.#next++;
    return new Promise<T>((resolve, reject) => {
      this.#waiting.set(requestId, { resolve: resolve as (result: unknown) => void, reject });
      this.#release ??= this.#hold();
      send(build(requestId));
    });
  }

  replied(requestId: number, result: unknown, error: Error | null): void {
    const waiting = this.#waiting.get(requestId);
    this.#waiting.delete(requestId);
    this.#releaseIfDone();
    if (error === null) waiting?.resolve(result);
    else waiting?.reject(error);
  }

  failAll(error: Error): void {
    for (const { reject } of this.#waiting.values()) reject(error);
    this.#waiting.clear();
    this.#releaseIfDone();
  }

  #releaseIfDone(): void {
    if (this.#waiting.size > 0) return;
    this.#release?.();
    this.#release = null;
  }
}

import { performance } from "node:perf_hooks";
import { useFinalizerRegistry } from "../../../src/base/mod.ts";
import { isCancelReason } from "../../../src/core-worker/mod.ts";
import { HeldWeakRef } from "./garbage.ts";
import type { SimulatedProcess } from "./simulated-process.ts";
import type { World } from "./world.ts";

/** Runs a callback in a turn of the real event loop, after which all promises have gone on. */
export type RealTurn = (callback: () => void) => void;

interface ReplacedGlobals {
  readonly turn: RealTurn;
  restore(): void;
}

const realSetImmediate = setImmediate;

/**
 * While a world runs, what would bring in the real one is its own (turns of the event loop, the time that passes, garbage
 * collection), or fails the run: real timers, real time and real randomness.
 */
export function replaceGlobals(world: World): ReplacedGlobals {
  const undo: (() => void)[] = [];
  const replace = (object: object, name: string, value: unknown): void => {
    const before = Object.getOwnPropertyDescriptor(object, name);
    Object.defineProperty(object, name, { value, configurable: true, writable: true, enumerable: before?.enumerable ?? false });
    undo.push(() => {
      if (before === undefined) delete (object as Record<string, unknown>)[name];
      else Object.defineProperty(object, name, before);
    });
  };
  const forbidden = (what: string) => (): never => {
    const error = new Error(`${what} was called inside the simulation`);
    world.fail(error);
    throw error;
  };
  replace(globalThis, "setImmediate", (callback: (...args: unknown[]) => void, ...args: unknown[]) => {
    const timer = world.schedule(world.current, world.current?.spentMs ?? 0, "turn", () => callback(...args));
    const immediate = { cancel: () => timer.cancel(), ref: () => immediate, unref: () => immediate, hasRef: () => true };
    return immediate;
  });
  replace(globalThis, "clearImmediate", (immediate: { cancel(): void } | undefined) => immediate?.cancel());
  replace(globalThis, "WeakRef", class extends HeldWeakRef<object> {
    constructor(target: object) {
      super(target);
      world.garbage.refer(this);
    }
  });
  for (const [name, value] of Object.entries(world.globals)) replace(globalThis, name, value);
  for (const name of ["setTimeout", "setInterval"]) replace(globalThis, name, forbidden(name));
  replace(Date, "now", forbidden("Date.now"));
  replace(Math, "random", forbidden("Math.random"));
  replace(globalThis.crypto, "randomUUID", forbidden("crypto.randomUUID"));
  replace(globalThis.crypto, "getRandomValues", forbidden("crypto.getRandomValues"));
  replace(performance, "timeOrigin", 0);
  replace(performance, "now", () => world.nowMs + (world.current?.spentMs ?? 0));
  undo.push(useFinalizerRegistry({
    register: (target, collected, token) => world.garbage.register(target, inProcess(world, collected), token),
    unregister: (token) => world.garbage.unregister(token),
  }));
  // A cancelled task need not await everything that it has started.
  const failed = (error: unknown): void => { if (!isCancelReason(error)) world.fail(error); };
  for (const event of ["uncaughtException", "unhandledRejection"] as const) {
    process.on(event, failed);
    undo.push(() => process.off(event, failed));
  }
  return {
    turn: (callback) => void realSetImmediate(callback),
    restore: () => { for (const back of undo.reverse()) back(); },
  };
}

/** What is collected was some process's, and that hears of it. */
function inProcess(world: World, collected: () => void): () => void {
  const owner: SimulatedProcess | null = world.current;
  return () => {
    if (owner === null) collected();
    else world.schedule(owner, 0, "collected", collected);
  };
}

import type { Timer } from "../../../src/base/mod.ts";
import { EventQueue } from "./event-queue.ts";
import { Garbage, type GarbageCollector } from "./garbage.ts";
import { Lock } from "./lock.ts";
import { Chance } from "./chance.ts";
import { type RealTurn, replaceGlobals } from "./replaced-globals.ts";
import type { SimulatedProcess } from "./simulated-process.ts";
import { Trace } from "./trace.ts";

/** Of one process, or of the world itself. */
interface WorldEvent {
  atMs: number;
  readonly order: number;
  readonly process: SimulatedProcess | null;
  readonly label: string;
  act: (() => void) | null;
}

/** Events that are handed to the real event loop at once: after each it does what promises wait for. */
const EVENTS_PER_TURN = 64;
/** A run that takes longer hangs. */
const EVENTS_MAX = 20_000_000;
/** Held by the world that runs: while one does, what is global is its own. */
const thread = new Lock();

/**
 * A world in one thread in which time passes only from event to event. All that happens follows from its seed: the same seed gives
 * the same events in the same order.
 */
export class World {
  readonly seed: number;
  readonly random: Chance;
  readonly trace: Trace;
  readonly garbage = new Garbage();
  /** What its programs find in globalThis. */
  readonly globals: Record<string, unknown> = {};
  nowMs = 0;
  /** Whose event runs now. */
  current: SimulatedProcess | null = null;
  readonly #queue = new EventQueue<WorldEvent>();
  readonly #collector: GarbageCollector;
  #order = 0;
  #failure: { readonly error: unknown } | null = null;

  constructor(seed: number, collector: GarbageCollector, readTrace: ((line: string) => void) | null = null) {
    this.seed = seed;
    this.#collector = collector;
    this.random = new Chance(seed);
    this.trace = new Trace(readTrace);
  }

  schedule(process: SimulatedProcess | null, delayMs: number, label: string, act: () => void): Timer {
    return this.scheduleAt(process, this.nowMs + delayMs, label, act);
  }

  /** What is scheduled for the same time happens in the order in which it was scheduled. A delay that is computed from that time may miss it by a rounding. */
  scheduleAt(process: SimulatedProcess | null, atMs: number, label: string, act: () => void): Timer {
    const event: WorldEvent = { atMs, order: this.#order++, process, label, act };
    this.#queue.push(event);
    return { cancel: () => { event.act = null; } };
  }

  /** The rest of this event, which is the world's own, is that process's: it comes to life in it. */
  become(process: SimulatedProcess): void {
    this.current = process;
    process.enter();
  }

  /** Between events. Returns what is to be called because of it. */
  collectGarbage(): Promise<readonly (() => void)[]> {
    return this.#collector.collect(this.garbage);
  }

  /** The run has failed; the first failure counts. */
  fail(error: unknown): void {
    this.#failure ??= { error };
  }

  /** Until it holds, or nothing happens any more: then false. Waits for other worlds of this thread that run. @throws what went wrong in any event. */
  async run(holds: () => boolean, timeMsMax = Infinity): Promise<boolean> {
    const endMs = this.nowMs + timeMsMax;
    const free = await thread.take();
    const globals = replaceGlobals(this);
    try {
      return await new Promise<boolean>((resolve, reject) => {
        let left = 0;
        let isOver = false;
        const over = (settle: () => void): void => {
          isOver = true;
          settle();
        };
        const step = (): void => {
          left--;
          if (isOver) return;
          // Whatever promises waited for since the last event belongs to its process.
          this.#leave();
          if (this.#failure !== null) return over(() => reject((this.#failure as { error: Error }).error));
          if (holds()) return over(() => resolve(true));
          if (this.trace.events > EVENTS_MAX) return over(() => reject(new Error(`more than ${EVENTS_MAX} events: it does not come to an end`)));
          if (!this.#next(endMs)) return over(() => resolve(holds()));
          if (left === 0) turn(globals.turn);
        };
        const turn = (run: RealTurn): void => {
          left = EVENTS_PER_TURN;
          for (let index = 0; index < EVENTS_PER_TURN; index++) run(step);
        };
        turn(globals.turn);
      });
    } finally {
      this.#leave();
      globals.restore();
      free();
    }
  }

  /** False if nothing happens by then. */
  #next(endMs: number): boolean {
    for (let event = this.#queue.peek(); event !== undefined; event = this.#queue.peek()) {
      if (event.act === null || event.process?.isAlive === false) {
        this.#queue.pop();
        continue;
      }
      if (event.atMs > endMs) return false;
      this.#queue.pop();
      const { process } = event;
      if (process !== null && process.busyUntilMs > event.atMs) {
        event.atMs = process.busyUntilMs;
        this.#queue.push(event);
        continue;
      }
      this.#act(event, event.act);
      return true;
    }
    return false;
  }

  #act({ atMs, process, label }: WorldEvent, act: () => void): void {
    this.nowMs = atMs;
    this.current = process;
    this.trace.event(atMs, process?.name ?? "", label);
    process?.enter();
    try {
      act();
    } catch (error) {
      this.fail(error);
    }
  }

  #leave(): void {
    this.current?.leave();
    this.current = null;
  }
}

import { setRuntime, type Runtime } from "../../../src/api/mod.ts";
import type { Clock } from "../../../src/base/mod.ts";
import type { Chance } from "./chance.ts";
import type { World } from "./world.ts";

/**
 * A process (or thread) of the simulated world. All its code runs in events of its own: between them the world belongs to others,
 * so what a process has for itself in a thread (its runtime, its time) is put in place before each.
 */
export class SimulatedProcess {
  readonly name: string;
  /** Machines fail as a whole. */
  readonly machine: string;
  readonly world: World;
  readonly random: Chance;
  readonly clock: Clock;
  /** Where API calls of this process go; null where there is no user code. */
  runtime: Runtime | null = null;
  isAlive = true;
  /** It does not run until then: it computes, or was stopped. What comes meanwhile waits. */
  busyUntilMs = 0;
  /** Until then each event takes it so much longer. */
  #slow = { untilMs: 0, eventMs: 0 };
  /** Computed within the event that runs now. */
  spentMs = 0;
  /** By itself: what it has sent leaves it. */
  hasExited = false;
  /** By a fault. */
  wasKilled = false;
  /** Its node drains, or did so: whoever hears late of its end may take it for that of the node, which costs nothing. */
  isOnDrainingNode: () => boolean = () => false;
  /** Its node process has ended, which a moment later ends it too. */
  isOrphaned: () => boolean = () => false;
  /** With its machine: those on others do not hear of it. */
  isSilent = false;
  readonly #ends: (() => void)[] = [];

  constructor(world: World, name: string, machine: string) {
    this.world = world;
    this.name = name;
    this.machine = machine;
    this.random = world.random.branch();
    this.clock = {
      nowMs: () => world.nowMs + this.spentMs,
      after: (delayMs, callback) => world.schedule(this, this.spentMs + delayMs, "timer", callback),
    };
  }

  enter(): void {
    setRuntime(this.runtime);
  }

  leave(): void {
    if (this.world.nowMs < this.#slow.untilMs) this.spentMs += this.#slow.eventMs;
    if (this.spentMs > 0) this.busyUntilMs = Math.max(this.busyUntilMs, this.world.nowMs + this.spentMs);
    this.spentMs = 0;
    setRuntime(null);
  }

  /** Code that computes for so long. */
  spend(ms: number): void {
    this.spentMs += ms;
  }

  slow(untilMs: number, eventMs: number): void {
    this.#slow = { untilMs, eventMs };
  }

  onEnd(callback: () => void): void {
    this.#ends.push(callback);
  }

  /** In good order. */
  exit(): void {
    this.hasExited = true;
    this.end();
  }

  kill(): void {
    this.wasKilled = true;
    this.end();
  }

  /** At once, in whatever it does: nothing of it runs any more. */
  end(): void {
    if (!this.isAlive) return;
    this.isAlive = false;
    this.world.trace.note(this.world.nowMs, this.name, () => "ends");
    for (const callback of this.#ends) callback();
  }
}

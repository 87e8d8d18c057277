import { type ActorDiedError, ActorUnavailableError } from "../../../src/api/mod.ts";
import type { SimulatedProcess } from "../world/simulated-process.ts";
import type { World } from "../world/world.ts";
import type { ActorPlan } from "./plan.ts";

/** A worker that was given to an actor. */
interface Place {
  readonly process: SimulatedProcess;
  readonly isDraining: () => boolean;
  /** Its node drained when it ended: that costs no restart. */
  wasDrained: boolean;
  /** Its node had been told to drain before the actor had another place: the head, which hears late of an end, may have moved it and not missed it. */
  mayHaveMoved: boolean;
  /** Constructors of this actor that have run there for this place. */
  runs: number;
}

interface ActorRecord {
  readonly plan: ActorPlan;
  /** Where it was created: that worker owns it. */
  readonly owner: SimulatedProcess;
  readonly places: Place[];
  /** Where its constructor has run, each time. */
  readonly runs: Place[];
  /** Its program has asked for its end, as planned. */
  isEndAsked: boolean;
  /** Starts of each call, by caller and number. */
  readonly starts: Map<string, number>;
  /** By incarnation and caller: the call that started last. */
  readonly last: Map<string, number>;
}

/** What must hold when all has come to rest, of an error that was seen before. */
interface Claim {
  readonly what: string;
  holds(): boolean;
}

/**
 * What actors may do: run in one place at a time, start again for each worker that they lose and no more often than `maxRestarts`, run
 * calls in the order of each caller, and fail calls for reasons that there are.
 */
export class ActorLives {
  readonly #world: World;
  readonly #actors: ActorRecord[] = [];
  /** As the runtime calls them. */
  readonly #byHandle = new Map<string, ActorRecord>();
  readonly #claims: Claim[] = [];
  /** Constructors that have run again. */
  restarts = 0;

  constructor(world: World) {
    this.#world = world;
  }

  /** What is returned is its number. A task that runs again makes another. */
  made(plan: ActorPlan): number {
    return this.#actors.push({ plan, owner: this.#world.current as SimulatedProcess, places: [], runs: [], isEndAsked: false, starts: new Map(), last: new Map() }) - 1;
  }

  knownAs(id: number, handleId: string): void {
    this.#byHandle.set(handleId, this.#actor(id));
  }

  endAsked(id: number): void {
    this.#actor(id).isEndAsked = true;
  }

  /** A node has a worker for it. */
  placed(handleId: string, process: SimulatedProcess, isDraining: () => boolean): void {
    const record = this.#byHandle.get(handleId);
    if (record === undefined) return this.#fail(`an actor that nobody has made (${handleId}) is placed in ${process.name}`);
    const place: Place = { process, isDraining, wasDrained: false, mayHaveMoved: false, runs: 0 };
    for (const before of record.places) before.mayHaveMoved ||= before.isDraining();
    record.places.push(place);
    if (process.isAlive) process.onEnd(() => { place.wasDrained = isDraining(); });
    else place.wasDrained = isDraining();
  }

  /** Its constructor runs: the how manieth time that is. */
  starts(id: number): number {
    const { plan, places, runs } = this.#actor(id);
    const process = this.#world.current as SimulatedProcess;
    this.#world.trace.note(this.#world.nowMs, process.name, () => `constructs actor ${id} (run ${runs.length + 1}, maxRestarts ${plan.maxRestarts})`);
    const place = places.findLast((candidate) => candidate.process === process && candidate.runs === 0);
    if (place === undefined) {
      this.#fail(`actor ${id} starts in ${process.name}, which was not given to it, or runs its constructor twice`);
      return runs.length + 1;
    }
    const elsewhere = runs.find((run) => run.process.isAlive && !run.process.isOrphaned() && !(plan.isShared && run.isDraining()));
    if (elsewhere !== undefined) this.#fail(`actor ${id} starts in ${process.name} while it lives in ${elsewhere.process.name}`);
    place.runs++;
    if (runs.push(place) > 1) this.restarts++;
    const charged = runs.slice(0, -1).filter((run) => !isFree(run) && !run.mayHaveMoved).length;
    if (plan.maxRestarts >= 0 && charged > plan.maxRestarts) this.#fail(`actor ${id} starts again for the ${charged}th time, with maxRestarts ${plan.maxRestarts}`);
    if (plan.maxRestarts === 0 && runs.length > 1) this.#fail(`actor ${id} starts again, with maxRestarts 0`);
    return runs.length;
  }

  callStarts(id: number, incarnation: number, caller: string, number: number): void {
    const { plan: { maxTaskRetries }, last, starts, runs } = this.#actor(id);
    const process = this.#world.current as SimulatedProcess;
    if (runs[incarnation - 1]?.process !== process) this.#fail(`actor ${id}: call ${number} of ${caller} started in ${process.name}, where that actor is not`);
    const place = `${incarnation} ${caller}`;
    const before = last.get(place) ?? 0;
    if (number <= before) this.#fail(`actor ${id}: call ${number} of ${caller} started after call ${before} of the same caller`);
    last.set(place, number);
    const call = `${caller} ${number}`;
    const count = (starts.get(call) ?? 0) + 1;
    starts.set(call, count);
    if (maxTaskRetries >= 0 && count > maxTaskRetries + 1) this.#fail(`actor ${id}: call ${number} of ${caller} started ${count} times, with maxTaskRetries ${maxTaskRetries}`);
  }

  callReturned(id: number, caller: string, number: number, value: number): void {
    if (value !== number) this.#fail(`actor ${id}: call ${number} of ${caller} returned ${value}`);
    if (!this.#actor(id).starts.has(`${caller} ${number}`)) this.#fail(`actor ${id}: call ${number} of ${caller} returned, and never ran`);
  }

  // ------------------------------------------------------------------ errors

  /** Whether this may have become of an actor. What nobody can know yet is asked in the end. */
  isAllowed(error: ActorDiedError | ActorUnavailableError): boolean {
    const record = this.#byHandle.get(error.actorId);
    if (record === undefined) return false;
    const { plan, owner, places } = record;
    if (error instanceof ActorUnavailableError) {
      if (plan.maxRestarts === 0) return false;
      this.#claim(error, () => places.some(({ process }) => !process.isAlive) || (plan.isShared && places.some((place) => place.isDraining())));
      return true;
    }
    switch (error.reason) {
      case "killed":
        return plan.end === "kill" && record.isEndAsked;
      case "exited":
        return plan.end === "terminate" && record.isEndAsked;
      case "ownerEnded":
        this.#claim(error, () => !owner.isAlive);
        return true;
      case "workerLost":
        if (plan.maxRestarts < 0) return false;
        // With `maxRestarts` 0 it does not move, so a node that drains ends it.
        this.#claim(error, () => places.filter((place) => !place.process.isAlive && (plan.maxRestarts === 0 || !isFree(place))).length > plan.maxRestarts);
        return true;
      default:
        return false;
    }
  }

  #claim(error: Error, holds: () => boolean): void {
    if (!holds()) this.#claims.push({ what: String(error.message), holds });
  }

  /** All has come to rest. */
  check(): void {
    for (const { what, holds } of this.#claims) if (!holds()) throw new Error(`a call failed for no reason: ${what}`);
    for (const [id, { runs, places }] of this.#actors.entries()) if (runs.length > places.length) throw new Error(`actor ${id} has started ${runs.length} times in ${places.length} workers`);
  }

  #actor(id: number): ActorRecord {
    return this.#actors[id] as ActorRecord;
  }

  #fail(message: string): void {
    this.#world.fail(new Error(message));
  }
}

/** Its end costs no restart. */
function isFree({ process, wasDrained, isDraining }: Place): boolean {
  return process.isAlive ? isDraining() : wasDrained;
}

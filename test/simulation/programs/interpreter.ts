import { type ActorHandle, asCompleted, cancel, get, kill, type ObjectRef, ObjectStoreFullError, OutOfDiskError, placementGroup, type PlacementGroup, put, removePlacementGroup, type SchedulingStrategy, wait } from "../../../src/api/mod.ts";
import type { SimulatedProcess } from "../world/simulated-process.ts";
import type { World } from "../world/world.ts";
import { type Oracle, PLANNED_FAILURE } from "./oracle.ts";
import { type ActorPlan, BACKGROUND_RESOURCE, type CallerPlan, OBJECT_BYTES_MAX, OBJECT_VALUE, type Step, streamValue, sumOf, type TaskPlan, valueOf } from "./plan.ts";
import type { Given, Outcome, Recorder, UserCode } from "./user-code.ts";

const UNDAMAGED_NOTHING: Outcome = { value: 0, isDamaged: false };
const LOST: Outcome = { value: 0, isDamaged: true };
/** What objects are made of, as long as the largest. */
const OBJECT_BYTES = Buffer.alloc(OBJECT_BYTES_MAX, OBJECT_VALUE);

/** Does what plans say, in whichever process it is called, and tells the oracle what happens. */
export class Interpreter {
  readonly #world: World;
  readonly #oracle: Oracle;

  constructor(world: World, oracle: Oracle) {
    this.#world = world;
    this.#oracle = oracle;
  }

  get #process(): SimulatedProcess {
    return this.#world.current as SimulatedProcess;
  }

  // ------------------------------------------------------------------ tasks

  async runTask(code: UserCode, invocation: number, plan: TaskPlan, given: Given): Promise<Outcome> {
    this.#oracle.runs(invocation);
    const outcomes: Outcome[] = [];
    if (given !== null) outcomes.push(await this.#read(given, `the object for task ${plan.id}`));
    outcomes.push(await this.interpret(code, plan));
    if (plan.isEndless === true) await new Promise(() => undefined);
    if (plan.fails) throw new Error(PLANNED_FAILURE);
    return joined(0, outcomes);
  }

  async #read(given: Exclude<Given, null>, what: string): Promise<Outcome> {
    if (given instanceof Uint8Array) return { value: valueOfObject(given), isDamaged: false };
    return this.#attempt(what, 0, async () => ({ value: valueOfObject(await get(given[0] as ObjectRef<Uint8Array>)), isDamaged: false }));
  }

  async interpret(code: UserCode, plan: TaskPlan): Promise<Outcome> {
    const outcomes: Outcome[] = [];
    for (const [index, step] of plan.steps.entries()) {
      this.#world.trace.note(this.#world.nowMs, this.#process.name, () => `step ${index + 1} of task ${plan.id}: ${step.do}`);
      outcomes.push(...(await this.#step(code, step)));
    }
    return joined(plan.id, outcomes);
  }

  async #step(code: UserCode, step: Step): Promise<Outcome[]> {
    try {
      return await this.#do(code, step);
    } catch (error) {
      // A call may find no room for what it is given. It throws then, and what was called before goes on with nobody who waits for it.
      if (!(error instanceof ObjectStoreFullError || error instanceof OutOfDiskError)) throw error;
      return [this.#lost(error, `step '${step.do}'`, 0, false)];
    }
  }

  async #do(code: UserCode, step: Step): Promise<Outcome[]> {
    switch (step.do) {
      case "sleep":
        await this.#sleep(step.ms);
        return [];
      case "compute":
        this.#process.spend(step.ms);
        return [];
      case "background":
        this.#submit(code, step.task, null);
        return [];
      case "call":
        return this.#call(code, step);
      case "wait":
        return this.#wait(code, step);
      case "put":
        return this.#put(code, step);
      case "make":
        return this.#make(code, step);
      case "hold":
        return this.#hold(code, step);
      case "group":
        return this.#inGroup(code, step);
      case "cancel":
        return this.#cancel(code, step);
      case "stream":
        return [await this.#stream(code, step)];
      case "actor":
        return this.#actor(code, step.actor);
    }
  }

  #submit(code: UserCode, plan: TaskPlan, given: ObjectRef<Uint8Array> | readonly ObjectRef<Uint8Array>[] | null, strategy: SchedulingStrategy | null = plan.isSpread === true ? "SPREAD" : null): ObjectRef<Outcome> {
    const invocation = this.#oracle.invoked(`task ${plan.id}`, plan.maxRetries);
    return code.task.options({ numCpus: plan.cpus, maxRetries: plan.maxRetries, ...(strategy === null ? {} : { schedulingStrategy: strategy }), ...(plan.isEndless === true ? { resources: { [BACKGROUND_RESOURCE]: 1 } } : {}) }).remote(invocation, plan, given as never) as ObjectRef<Outcome>;
  }

  /** `retries`: also of what made its argument. */
  async #outcomeOf(plan: TaskPlan, ref: ObjectRef<Outcome>, extra = 0, retries = plan.maxRetries): Promise<Outcome> {
    try {
      const outcome = await get(ref);
      if (plan.fails) throw new Error(`task ${plan.id} was to fail, and returned ${outcome.value}`);
      const expected = sumOf(valueOf(plan), [extra]);
      if (!outcome.isDamaged && outcome.value !== expected) throw new Error(`task ${plan.id} returned ${outcome.value} instead of ${expected}`);
      return outcome;
    } catch (error) {
      if (plan.fails && this.#oracle.isPlanned(error)) return UNDAMAGED_NOTHING;
      return this.#lost(error, `task ${plan.id}`, retries, plan.mayBeCancelled);
    }
  }

  async #attempt(what: string, retries: number, body: () => Promise<Outcome>, mayBeCancelled = true): Promise<Outcome> {
    try {
      return await body();
    } catch (error) {
      return this.#lost(error, what, retries, mayBeCancelled);
    }
  }

  /** What a cancelled task awaits is cancelled, and so is it. */
  #lost(error: unknown, what: string, retries: number, mayBeCancelled: boolean): Outcome {
    if (mayBeCancelled && this.#oracle.isCancelled(error)) throw error;
    this.#oracle.lost(error, what, retries);
    return LOST;
  }

  async #call(code: UserCode, { tasks, how }: Step & { readonly do: "call" }): Promise<Outcome[]> {
    const refs = tasks.map((plan) => this.#submit(code, plan, null));
    if (how === "together") return Promise.all(tasks.map((plan, index) => this.#outcomeOf(plan, refs[index] as ObjectRef<Outcome>)));
    const outcomes: Outcome[] = [];
    if (how === "as completed") for await (const ref of asCompleted(refs)) outcomes.push(await this.#outcomeOf(tasks[refs.indexOf(ref)] as TaskPlan, ref));
    else for (const [index, plan] of tasks.entries()) outcomes.push(await this.#outcomeOf(plan, refs[index] as ObjectRef<Outcome>));
    return outcomes;
  }

  async #wait(code: UserCode, { tasks, numReturns, timeoutMs }: Step & { readonly do: "wait" }): Promise<Outcome[]> {
    const refs = tasks.map((plan) => this.#submit(code, plan, null));
    if (refs.length > 0) {
      const [ready, notReady] = await wait(refs, { numReturns, timeoutMs });
      if (ready.length > numReturns || ready.length + notReady.length !== refs.length) throw new Error(`wait() for ${numReturns} of ${refs.length} returned ${ready.length} and ${notReady.length}`);
    }
    return Promise.all(tasks.map((plan, index) => this.#outcomeOf(plan, refs[index] as ObjectRef<Outcome>)));
  }

  async #put(code: UserCode, { bytes, tasks, isNested }: Step & { readonly do: "put" }): Promise<Outcome[]> {
    let ref: ObjectRef<Uint8Array>;
    try {
      ref = put(objectOf(bytes));
    } catch (error) {
      return [this.#lost(error, "put()", 0, false)];
    }
    const refs = tasks.map((plan) => this.#submit(code, plan, isNested ? [ref] : ref));
    if (this.#process.random.chance(0.5)) ref.release();
    return Promise.all(tasks.map((plan, index) => this.#outcomeOf(plan, refs[index] as ObjectRef<Outcome>, OBJECT_VALUE)));
  }

  async #make(code: UserCode, { id, cpus, maxRetries, bytes, links, afterMs, tasks }: Step & { readonly do: "make" }): Promise<Outcome[]> {
    let made: ObjectRef<Uint8Array> | null = null;
    for (let link = 1; link <= links; link++) {
      const invocation = this.#oracle.invoked(`object ${id}, made in step ${link}`, maxRetries);
      made = code.maker.options({ numCpus: cpus, maxRetries }).remote(invocation, bytes, made as never) as ObjectRef<Uint8Array>;
    }
    await this.#sleep(afterMs);
    const refs = tasks.map((plan) => this.#submit(code, plan, made));
    return Promise.all(tasks.map((plan, index) => this.#outcomeOf(plan, refs[index] as ObjectRef<Outcome>, OBJECT_VALUE, fewer(maxRetries, plan.maxRetries))));
  }

  async #hold(code: UserCode, { id, cpus, maxRetries, bytes, count, afterMs, tasks, isNested }: Step & { readonly do: "hold" }): Promise<Outcome[]> {
    const held = Array.from({ length: count }, (_, index) => {
      const invocation = this.#oracle.invoked(`object ${id}, number ${index}`, maxRetries);
      return code.maker.options({ numCpus: cpus, maxRetries, schedulingStrategy: "SPREAD" }).remote(invocation, bytes, null) as ObjectRef<Uint8Array>;
    });
    await this.#sleep(afterMs);
    const refs = tasks.map((plan, index) => {
      const object = held[index % count] as ObjectRef<Uint8Array>;
      return this.#submit(code, plan, isNested ? [object] : object);
    });
    try {
      const read = held.map((object, index) => this.#attempt(`object ${id}, number ${index}`, maxRetries, async () => ({ value: valueOfObject(await get(object)), isDamaged: false })));
      return await Promise.all([...read, ...tasks.map((plan, index) => this.#outcomeOf(plan, refs[index] as ObjectRef<Outcome>, OBJECT_VALUE, fewer(maxRetries, plan.maxRetries)))]);
    } finally {
      for (const object of held) object.release();
    }
  }

  async runMaker(invocation: number, bytes: number, before: Uint8Array | null): Promise<Uint8Array> {
    this.#oracle.runs(invocation);
    if (before !== null && valueOfObject(before) !== OBJECT_VALUE) throw new Error("an object is not what was made");
    return objectOf(bytes);
  }

  async #inGroup(code: UserCode, { bundles, strategy, tasks }: Step & { readonly do: "group" }): Promise<Outcome[]> {
    const group: PlacementGroup = placementGroup(Array.from({ length: bundles }, () => ({ CPU: 1 })), { strategy });
    const outcomes = await Promise.all(tasks.map((plan, index) => this.#outcomeOf(plan, this.#submit(code, plan, null, { type: "placementGroup", placementGroup: group, bundleIndex: index % bundles }))));
    await this.#attempt("the end of a placement group", 0, async () => {
      await removePlacementGroup(group);
      return UNDAMAGED_NOTHING;
    });
    return outcomes;
  }

  async #cancel(code: UserCode, { task, afterMs, isForced }: Step & { readonly do: "cancel" }): Promise<Outcome[]> {
    const ref = this.#submit(code, task, null);
    await this.#sleep(afterMs);
    await cancel(ref, { force: isForced });
    try {
      await this.#outcomeOf(task, ref);
    } catch (error) {
      if (!this.#oracle.isCancelled(error)) throw error;
    }
    return [];
  }

  #sleep(ms: number): Promise<void> {
    const { clock } = this.#process;
    return new Promise((resolve) => void clock.after(ms, resolve));
  }

  // ------------------------------------------------------------------ streams

  async *runStream(invocation: number, id: number, count: number, everyMs: number): AsyncGenerator<number> {
    this.#oracle.runs(invocation);
    for (let index = 0; index < count; index++) {
      if (everyMs > 0) await this.#sleep(everyMs);
      yield streamValue(id, index);
    }
  }

  async #stream(code: UserCode, { id, cpus, maxRetries, count, taken, everyMs, backpressure }: Step & { readonly do: "stream" }): Promise<Outcome> {
    const invocation = this.#oracle.invoked(`stream ${id}`, maxRetries);
    const values: number[] = [];
    return this.#attempt(`stream ${id}`, maxRetries, async () => {
      const refs = code.stream.options({ numCpus: cpus, maxRetries, generatorBackpressure: backpressure }).remote(invocation, id, count, everyMs) as unknown as AsyncIterable<ObjectRef<number>>;
      if (taken === 0) return UNDAMAGED_NOTHING;
      for await (const ref of refs) {
        const value = await get(ref);
        if (value !== streamValue(id, values.length)) throw new Error(`stream ${id} gave ${value} at ${values.length}`);
        if (values.push(value) === taken) break;
      }
      if (values.length < taken) throw new Error(`stream ${id} ended after ${values.length} of ${count} values`);
      return { value: sumOf(0, values), isDamaged: false };
    });
  }

  // ------------------------------------------------------------------ actors

  async #actor(code: UserCode, plan: ActorPlan): Promise<Outcome[]> {
    const id = this.#oracle.actors.made(plan);
    const { cpus, maxRestarts, maxTaskRetries, isShared, callers, keptBytes } = plan;
    const recorder = code.Recorder.options(isShared ? { isolation: "shared", maxRestarts, maxTaskRetries } : { numCpus: cpus, maxRestarts, maxTaskRetries }).remote(id);
    this.#oracle.actors.knownAs(id, recorder.actorId);
    const lost: Outcome[] = [];
    let kept: ObjectRef<void> | null = null;
    try {
      if (keptBytes > 0) kept = recorder.keep.remote([put(objectOf(keptBytes))]);
    } catch (error) {
      lost.push(this.#lost(error, "put()", 0, false));
    }
    const others = callers.map((caller) => {
      const invocation = this.#oracle.invoked(`caller ${caller.id}`, caller.maxRetries);
      const ref = code.caller.options({ numCpus: caller.cpus, maxRetries: caller.maxRetries }).remote(invocation, caller, id, recorder) as ObjectRef<Outcome>;
      return this.#attempt(`caller ${caller.id}`, caller.maxRetries, () => get(ref));
    });
    const outcomes = [...lost, await this.#callActor(id, recorder, `creator ${id}`, plan.calls), ...(await Promise.all(others))];
    if (kept !== null) outcomes.push(await this.#attempt(`what actor ${id} keeps`, 0, () => this.#readKept(recorder, kept)));
    await this.#attempt(`the end of actor ${id}`, 0, () => this.#endActor(plan, id, recorder));
    return outcomes;
  }

  async #readKept(recorder: ActorHandle<Recorder>, kept: ObjectRef<void>): Promise<Outcome> {
    await get(kept);
    const object = await get(recorder.readKept.remote() as ObjectRef<Uint8Array | null>);
    return object === null ? LOST : { value: valueOfObject(object), isDamaged: false };
  }

  async #endActor({ end }: ActorPlan, id: number, recorder: ActorHandle<Recorder>): Promise<Outcome> {
    this.#oracle.actors.endAsked(id);
    if (end === "kill") await kill(recorder);
    else if (end === "terminate") await get(recorder.terminate());
    else if (end === "release") recorder.release();
    return UNDAMAGED_NOTHING;
  }

  async runCaller(invocation: number, plan: CallerPlan, actorId: number, recorder: ActorHandle<Recorder>): Promise<Outcome> {
    const run = this.#oracle.runs(invocation);
    return this.#callActor(actorId, recorder, `caller ${plan.id} (run ${run})`, plan.calls);
  }

  async #callActor(actorId: number, recorder: ActorHandle<Recorder>, caller: string, calls: readonly number[]): Promise<Outcome> {
    const results = calls.map((ms, index) => this.#attempt(`call ${index + 1} of ${caller} on actor ${actorId}`, 0, async () => {
      const number = index + 1;
      const value = await get(recorder.call.remote(caller, number, ms) as ObjectRef<number>);
      this.#oracle.actors.callReturned(actorId, caller, number, value);
      return { value, isDamaged: false };
    }));
    return joined(0, await Promise.all(results));
  }

  actorStarts(id: number): number {
    return this.#oracle.actors.starts(id);
  }

  async actorCalled({ id, incarnation }: Recorder, caller: string, number: number, ms: number): Promise<number> {
    this.#oracle.actors.callStarts(id, incarnation, caller, number);
    if (ms > 0) await this.#sleep(ms);
    return number;
  }
}

function joined(start: number, outcomes: readonly Outcome[]): Outcome {
  return { value: sumOf(start, outcomes.map(({ value }) => value)), isDamaged: outcomes.some(({ isDamaged }) => isDamaged) };
}

/** Of two limits; -1: none. */
function fewer(one: number, other: number): number {
  return one === -1 || (other !== -1 && other < one) ? other : one;
}

function objectOf(bytes: number): Uint8Array {
  return new Uint8Array(OBJECT_BYTES.subarray(0, bytes));
}

function valueOfObject(bytes: Uint8Array): number {
  return OBJECT_BYTES.subarray(0, bytes.byteLength).equals(bytes) ? OBJECT_VALUE : 0;
}

// What the programs of the simulation are made of, as a user would write it: these functions and classes travel to workers by value.
import { type ActorHandle, type ObjectRef, remote } from "../../../src/api/mod.ts";
import type { Interpreter } from "./interpreter.ts";
import type { CallerPlan, TaskPlan } from "./plan.ts";

/** In every process of the world: a property of what is global is not captured. */
interface WithInterpreter {
  readonly interpreter: Interpreter;
}

/** A task's value, and whether something that it needed was lost. */
export interface Outcome {
  readonly value: number;
  readonly isDamaged: boolean;
}

/** What tasks and actors are given: its bytes say which one it is. */
export type Given = Uint8Array | readonly ObjectRef<Uint8Array>[] | null;

async function runTask(invocation: number, plan: TaskPlan, given: Given): Promise<Outcome> {
  return (globalThis as unknown as WithInterpreter).interpreter.runTask({ task, stream, caller, maker, Recorder: RemoteRecorder }, invocation, plan, given);
}

async function* runStream(invocation: number, id: number, count: number, everyMs: number): AsyncGenerator<number> {
  yield* (globalThis as unknown as WithInterpreter).interpreter.runStream(invocation, id, count, everyMs);
}

async function runCaller(invocation: number, plan: CallerPlan, actorId: number, recorder: ActorHandle<Recorder>): Promise<Outcome> {
  return (globalThis as unknown as WithInterpreter).interpreter.runCaller(invocation, plan, actorId, recorder);
}

async function runMaker(invocation: number, bytes: number, before: Uint8Array | null): Promise<Uint8Array> {
  return (globalThis as unknown as WithInterpreter).interpreter.runMaker(invocation, bytes, before);
}

export class Recorder {
  readonly id: number;
  readonly incarnation: number;
  kept: readonly ObjectRef<Uint8Array>[] | null = null;

  constructor(id: number) {
    this.id = id;
    this.incarnation = (globalThis as unknown as WithInterpreter).interpreter.actorStarts(id);
  }

  async call(caller: string, number: number, ms: number): Promise<number> {
    return (globalThis as unknown as WithInterpreter).interpreter.actorCalled(this, caller, number, ms);
  }

  keep(refs: readonly ObjectRef<Uint8Array>[]): void {
    this.kept = refs;
  }

  /** Null: an actor that has started again has kept nothing. */
  async readKept(): Promise<Uint8Array | null> {
    return this.kept === null ? null : (this.kept[0] as ObjectRef<Uint8Array>).get();
  }
}

const task = remote(runTask);
const stream = remote(runStream);
const caller = remote(runCaller);
const maker = remote(runMaker);
const RemoteRecorder = remote(Recorder);

/** What a program needs to go on elsewhere. */
export interface UserCode {
  readonly task: typeof task;
  readonly stream: typeof stream;
  readonly caller: typeof caller;
  readonly maker: typeof maker;
  readonly Recorder: typeof RemoteRecorder;
}

export const userCode: UserCode = { task, stream, caller, maker, Recorder: RemoteRecorder };
export const userFunctions: readonly Function[] = [runTask, runStream, runCaller, runMaker, Recorder];

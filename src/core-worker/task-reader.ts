import { invariant } from "../base/mod.ts";
import type { FrameReader } from "../transport/mod.ts";
import { EncodedInput, type ExecutingActor, Execution } from "./execution.ts";
import type { HeldLease } from "./held-lease.ts";
import type { Peer } from "./peer.ts";
import { readStreamState } from "./stream-wire.ts";
import { STREAMING } from "./task.ts";
import { TASK_HAS_ACTOR, TASK_HAS_NAME, TASK_HAS_RETURNS, TASK_HAS_TIMEOUT, TASK_IS_RETRY, TASK_IS_STREAMING, TASK_KEEPS_TURN } from "./task-wire.ts";
import { readEncodedValue, TAG_ENCODED } from "./value-wire.ts";

export interface ActorsHere {
  actor(actorId: string): ExecutingActor | undefined;
  actorByNumber(number: number): ExecutingActor | undefined;
}

/** Reads one task or call out of a frame. */
export function readExecution(peer: Peer, reader: FrameReader, lease: HeldLease<Execution> | null, actors: ActorsHere): Execution {
  const slot = reader.u32();
  const sequence = reader.f64();
  const callable = peer.incomingCallables.get(reader.varuint());
  invariant(callable !== undefined, "a task names a callable that was never bound");
  const flags = reader.u8();
  const actorNumber = (flags & TASK_HAS_ACTOR) !== 0 ? reader.varuint() : null;
  const displayName = (flags & TASK_HAS_NAME) !== 0 ? reader.string() : null;
  const returns = (flags & TASK_HAS_RETURNS) !== 0 ? reader.varuint() : (flags & TASK_IS_STREAMING) !== 0 ? STREAMING : 1;
  const stream = returns === STREAMING ? readStreamState(reader, flags) : null;
  const timeoutMs = (flags & TASK_HAS_TIMEOUT) !== 0 ? reader.f64() : null;
  const argCount = reader.varuint();
  const args: unknown[] = new Array(argCount);
  for (let index = 0; index < argCount; index++) {
    if (reader.peekU8() === TAG_ENCODED) {
      reader.u8();
      args[index] = new EncodedInput(readEncodedValue(reader));
    } else {
      args[index] = reader.readPrimitive();
    }
  }
  const actor = actorNumber !== null ? actors.actorByNumber(actorNumber) ?? null : callable.kind === "method" ? actors.actor(callable.actorId as string) ?? null : null;
  const execution = new Execution(peer, slot, sequence, callable, displayName, returns, args, lease, actor);
  if (timeoutMs !== null) execution.ownScope.timeoutMs = timeoutMs;
  execution.stream = stream;
  execution.mayRunAgain = (flags & TASK_KEEPS_TURN) !== 0;
  execution.isRetry = (flags & TASK_IS_RETRY) !== 0;
  return execution;
}

import assert from "node:assert/strict";
import { describe, test } from "node:test";
import * as errors from "./errors.ts";

/** The same module a second time, as when an application and a library of its bring a copy each. */
const secondCopy = (await import(new URL("./errors.ts?second-copy", import.meta.url).href)) as typeof errors;

const { ActorDiedError, ActorError, InvalidArgumentError, ObjectLostError, OwnerDiedError, RayError, SerializationError, TaskError, WorkerCrashedError } = errors;

const make: Readonly<Record<string, (from: typeof errors) => Error>> = {
  RAY: (from) => new from.RayError("m"),
  INVALID_ARGUMENT: (from) => new from.InvalidArgumentError("m"),
  RUNTIME_STATE: (from) => new from.RuntimeStateError("m"),
  TASK: (from) => new from.TaskError("m", { cause: 1, functionName: "f", taskId: "t", pid: 1 }),
  TASK_CANCELLED: (from) => new from.TaskCancelledError("m"),
  TASK_TIMEOUT: (from) => new from.TaskTimeoutError("m"),
  TASK_UNSCHEDULABLE: (from) => new from.TaskUnschedulableError("m"),
  WORKER_CRASHED: (from) => new from.WorkerCrashedError("m"),
  ACTOR: (from) => new from.ActorError("m", { actorId: "a" }),
  ACTOR_DIED: (from) => new from.ActorDiedError("m", { actorId: "a", reason: "killed" }),
  ACTOR_UNAVAILABLE: (from) => new from.ActorUnavailableError("m", { actorId: "a" }),
  ACTOR_UNSCHEDULABLE: (from) => new from.ActorUnschedulableError("m"),
  ACTOR_ALREADY_EXISTS: (from) => new from.ActorAlreadyExistsError("m"),
  ACTOR_NOT_FOUND: (from) => new from.ActorNotFoundError("m"),
  GET_TIMEOUT: (from) => new from.GetTimeoutError("m"),
  OBJECT_LOST: (from) => new from.ObjectLostError("m", { objectId: "o" }),
  OWNER_DIED: (from) => new from.OwnerDiedError("m", { objectId: "o" }),
  OBJECT_RECONSTRUCTION_FAILED: (from) => new from.ObjectReconstructionFailedError("m", { objectId: "o", reason: "put" }),
  OBJECT_FREED: (from) => new from.ObjectFreedError("m", { objectId: "o" }),
  OBJECT_STORE_FULL: (from) => new from.ObjectStoreFullError("m"),
  OUT_OF_DISK: (from) => new from.OutOfDiskError("m"),
  OUT_OF_MEMORY: (from) => new from.OutOfMemoryError("m"),
  NODE_DIED: (from) => new from.NodeDiedError("m"),
  PENDING_CALLS_LIMIT_EXCEEDED: (from) => new from.PendingCallsLimitExceededError("m"),
  PLACEMENT_GROUP_ALREADY_EXISTS: (from) => new from.PlacementGroupAlreadyExistsError("m"),
  PLACEMENT_GROUP_NOT_FOUND: (from) => new from.PlacementGroupNotFoundError("m"),
  PLACEMENT_GROUP_REMOVED: (from) => new from.PlacementGroupRemovedError("m"),
  RUNTIME_ENV_SETUP: (from) => new from.RuntimeEnvSetupError("m"),
  SERIALIZATION: (from) => new from.SerializationError("m"),
  QUEUE_EMPTY: (from) => new from.QueueEmptyError("m"),
  QUEUE_FULL: (from) => new from.QueueFullError("m"),
};

describe("errors", () => {
  test("every error class has a code, which is stable", () => {
    for (const [code, create] of Object.entries(make)) {
      const error = create(errors);
      assert.equal((error as { code?: unknown }).code, `ERR_MANTARAY_${code}`);
      assert.equal(error.message, "m");
      assert.equal(error.name, error.constructor.name);
      assert.match(String(error.stack), new RegExp(`^${error.constructor.name}: m\n`));
    }
    const classes = Object.values(errors).filter((value) => typeof value === "function" && value.prototype instanceof Error);
    assert.equal(Object.keys(make).length, classes.length, "every exported class is in the list above");
  });

  test("every error is a RayError; a wrong argument is a TypeError too", () => {
    for (const create of Object.values(make)) assert.ok(create(errors) instanceof RayError);
    assert.ok(new InvalidArgumentError("m") instanceof TypeError);
    assert.ok(!(new RayError("m") instanceof TypeError));
  });

  test("instanceof knows the classes of another copy of the package", () => {
    for (const create of Object.values(make)) {
      const theirs = create(secondCopy);
      const ours = create(errors).constructor as new () => Error;
      assert.notEqual(theirs.constructor, ours, "these are two copies");
      assert.ok(theirs instanceof ours, `${theirs.name} of another copy`);
      assert.ok(theirs instanceof RayError);
    }
    const died = new secondCopy.ActorDiedError("m", { actorId: "a", reason: "killed" });
    assert.ok(died instanceof ActorError);
    assert.ok(!(died instanceof TaskError));
    assert.ok(!(died instanceof InvalidArgumentError));
    assert.ok(new secondCopy.OwnerDiedError("m", { objectId: "o" }) instanceof ObjectLostError);
  });

  test("instanceof is false for everything else", () => {
    for (const value of [undefined, null, 1, "RayError", {}, [], new Error("m"), new TypeError("m"), { name: "RayError" }]) {
      assert.ok(!(value instanceof RayError));
      assert.ok(!(value instanceof InvalidArgumentError));
    }
  });

  test("a program may derive its own", () => {
    class TooColdError extends RayError {}
    const error = new TooColdError("m", { code: "ERR_TOO_COLD" });
    assert.equal(error.code, "ERR_TOO_COLD");
    assert.equal(error.name, "TooColdError");
    assert.ok(error instanceof RayError && error instanceof TooColdError);
    assert.ok(!(new RayError("m") instanceof TooColdError));
  });

  test("a cause is kept, also when it is undefined, and is absent when none was given", () => {
    const cause = new Error("first");
    assert.equal(new SerializationError("m", { cause }).cause, cause);
    assert.ok("cause" in new SerializationError("m", { cause: undefined }));
    assert.ok(!("cause" in new SerializationError("m")));
    assert.ok(!("cause" in new ActorDiedError("m", { actorId: "a", reason: "killed" })));
    assert.equal(new TaskError("m", { cause: null, functionName: "f", taskId: "t", pid: 1 }).cause, null);
  });

  test("records rebuild the same error elsewhere", () => {
    for (const error of [new WorkerCrashedError("m"), new ActorDiedError("m", { actorId: "a1", reason: "outOfScope" }), new OwnerDiedError("m", { objectId: "o1" }), new SerializationError("m")]) {
      const record = errors.recordOf(error);
      assert.ok(record !== null);
      const rebuilt = errors.systemErrorOf(structuredClone(record));
      assert.equal(rebuilt.constructor, error.constructor);
      assert.equal(rebuilt.message, error.message);
      assert.equal(rebuilt.code, error.code);
      assert.equal((rebuilt as { actorId?: string }).actorId, (error as { actorId?: string }).actorId);
      assert.equal((rebuilt as { reason?: string }).reason, (error as { reason?: string }).reason);
      assert.equal((rebuilt as { objectId?: string }).objectId, (error as { objectId?: string }).objectId);
    }
  });

  test("what a user threw has no record: it travels as a value", () => {
    assert.equal(errors.recordOf(new Error("m")), null);
    assert.equal(errors.recordOf(new TaskError("m", { cause: 1, functionName: "f", taskId: "t", pid: 1 })), null);
    assert.equal(errors.recordOf("m"), null);
  });
});

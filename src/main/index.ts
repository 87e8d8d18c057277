/**
 * Ray for TypeScript: turn any function into a task and any class into an actor.
 *
 * @packageDocumentation
 */
import { setStarter } from "../api/mod.ts";
import { startRuntime } from "./start-runtime.ts";

setStarter(startRuntime);

export { cancel, exitActor, getActor, kill, listNamedActors } from "../api/mod.ts";
export { availableResources, clusterResources, init, isInitialized, nodes, shutdown } from "../api/mod.ts";
export type { InitInfo, InitOptions, NodeInfo, RuntimeContext } from "../api/mod.ts";
export { asCompleted, get, put, wait } from "../api/mod.ts";
export { explain, listObjects, memorySummary } from "../api/mod.ts";
export type { ExplainOptions, PendingReason, ResourceShortage, WaitReason } from "../api/mod.ts";
export type { ListObjectsOptions, ObjectListing, ObjectReference, ObjectState, ReferenceType } from "../api/mod.ts";
export { ActorPool, AsyncResult, Pool, type PoolMapOptions, type PoolOptions, Queue, type QueueOptions, type QueueWaitOptions } from "../libraries/mod.ts";
export { ObjectRef, type GetOptions } from "../api/mod.ts";
export type { ActorEndReason, ReconstructionFailureReason, WaitOptions } from "../api/mod.ts";
export { getPlacementGroup, placementGroup, placementGroupTable, removePlacementGroup } from "../api/mod.ts";
export type { PlacementGroupInfo, PlacementGroupOptions } from "../api/mod.ts";
export { remote } from "../api/mod.ts";
export { getRuntimeContext, timeline } from "../api/mod.ts";
export type {
  ActorClass, ActorHandle, ActorHandleBase, ActorMethod, ActorOptions, Arg, Args, Awaitable, Class, Isolation, MethodOptions, ObjectRefGenerator,
  PlacementGroup, PlacementOptions, PlacementStrategy, RefsOf, RemoteFunction, RemoteFunctionWith, Result, ResultWith, RuntimeEnv, SchedulingStrategy, TaskOptions, ValueOf,
} from "../api/mod.ts";
export {
  ActorAlreadyExistsError, ActorDiedError, ActorError, ActorNotFoundError, ActorUnavailableError, ActorUnschedulableError, GetTimeoutError, InvalidArgumentError,
  NodeDiedError, ObjectFreedError, ObjectLostError, ObjectReconstructionFailedError, ObjectStoreFullError, OutOfDiskError, OutOfMemoryError, OwnerDiedError,
  PendingCallsLimitExceededError, PlacementGroupAlreadyExistsError, PlacementGroupNotFoundError, PlacementGroupRemovedError, QueueEmptyError, QueueFullError, RayError, RuntimeEnvSetupError, RuntimeStateError, SerializationError,
  TaskCancelledError, TaskError, TaskTimeoutError, TaskUnschedulableError, WorkerCrashedError,
} from "../api/mod.ts";

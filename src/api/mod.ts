export { exitActor, getActor, kill, listNamedActors } from "./actors.ts";
export { cancel } from "./cancel.ts";
export { explain } from "./explain.ts";
export type { ExplainOptions, PendingReason, ResourceShortage, WaitReason } from "./explain.ts";
export { availableResources, clusterResources, init, isInitialized, nodes, shutdown } from "./lifecycle.ts";
export type { InitInfo, InitOptions, NodeInfo, RuntimeContext } from "./lifecycle-types.ts";
export { memorySummary } from "./memory-summary.ts";
export { listObjects } from "./object-listing.ts";
export type { ListObjectsOptions, ObjectListing, ObjectReference, ObjectState, ReferenceType } from "./object-listing.ts";
export { asCompleted, get, put, wait } from "./objects.ts";
export { ObjectRef, type GetOptions } from "./object-ref.ts";
export type { WaitOptions } from "./objects.ts";
export { getPlacementGroup, placementGroup, placementGroupTable, removePlacementGroup } from "./placement-groups.ts";
export type { PlacementGroupInfo, PlacementGroupOptions } from "./placement-groups.ts";
export { remote } from "./remote.ts";
export { getRuntimeContext } from "./runtime-context.ts";
export { timeline } from "./timeline.ts";
export type {
  ActorClass, ActorHandle, ActorHandleBase, ActorMethod, ActorOptions, Arg, Args, Awaitable, Class, Isolation, MethodOptions, ObjectRefGenerator,
  PlacementGroup, PlacementOptions, PlacementStrategy, RefsOf, RemoteFunction, RemoteFunctionWith, Result, ResultWith, RuntimeEnv, SchedulingStrategy, TaskOptions, ValueOf,
} from "./types.ts";
export {
  ActorAlreadyExistsError, ActorDiedError, ActorError, ActorNotFoundError, ActorUnavailableError, ActorUnschedulableError, GetTimeoutError, InvalidArgumentError,
  NodeDiedError, ObjectFreedError, ObjectLostError, ObjectReconstructionFailedError, ObjectStoreFullError, OutOfDiskError, OutOfMemoryError, OwnerDiedError,
  PendingCallsLimitExceededError, PlacementGroupAlreadyExistsError, PlacementGroupNotFoundError, PlacementGroupRemovedError, QueueEmptyError, QueueFullError, RayError, RuntimeEnvSetupError, RuntimeStateError, SerializationError,
  TaskCancelledError, TaskError, TaskTimeoutError, TaskUnschedulableError, WorkerCrashedError, type ActorEndReason, type ReconstructionFailureReason,
} from "../base/mod.ts";

// For the composition roots.
export { checkMethodOptions } from "./options.ts";
export { installRevivers } from "./remote.ts";
export { setRuntime, setStarter, type Runtime, type RuntimeInfo } from "./runtime.ts";

// For the libraries.
export { outsideTask } from "./runtime-context.ts";
export { aBoolean, aDurationMs, anyObject, aSignal, checkOptions, wholeNumber } from "./option-checks.ts";
export { clock } from "./runtime.ts";

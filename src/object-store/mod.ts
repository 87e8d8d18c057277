export { runGarbageCollector } from "./garbage-collector.ts";
export { onViewMade } from "./native-memory.ts";
export { MemoryStore } from "./memory-store.ts";
export { INLINE_BYTES_MAX, SharedStore } from "./shared-store.ts";
export type { StoreConfig } from "./store-config.ts";
export { makeOwnedFolder, removeStaleFolders, startTicksOf, stateOfFolderOwner } from "./owned-folders.ts";
export { createStoreDoor } from "./store-door.ts";
export { StoreService } from "./store-service.ts";

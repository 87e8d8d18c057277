export { packMessage, unpackMessage } from "./message-codec.ts";
export type { BundleClient, BundleListener } from "./bundle-client.ts";
export type { ActorHostClient } from "./actor-host-client.ts";
export type { GcsClient, PlacementListener } from "./gcs-client.ts";
export { RemoteGcs } from "./remote-gcs.ts";
export { openMessageLink, type MessageLink, type NodeLink, type WorkerLink } from "./node-link.ts";
export { withOwnBuffers } from "./own-buffers.ts";
export type { LaunchedWorker, LaunchListener, WorkerLauncher } from "./worker-launcher.ts";
export { type ObjectOrigin, type OwnedObject, type StoreClient, Waiting } from "./store-client.ts";

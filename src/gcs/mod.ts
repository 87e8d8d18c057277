export { ClusterService, type NodeConnection } from "./cluster-service.ts";
export { GcsService } from "./gcs-service.ts";

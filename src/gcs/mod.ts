export { GcsService } from "./gcs-service.ts";

export { describeLack, keptWhileWaiting, lacking, ResourceLedger, without } from "./resources.ts";

export { describeLack, lacking, ResourceLedger } from "./resources.ts";

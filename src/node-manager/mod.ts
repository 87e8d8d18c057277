export { NodeManager } from "./node-manager.ts";

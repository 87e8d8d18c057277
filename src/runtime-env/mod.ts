export { EnvironmentAgent, needsNoSetup } from "./environment-agent.ts";
export { EnvironmentResolver } from "./environment-resolver.ts";
export { PACKAGE_PIECE_BYTES_MAX } from "./package-files.ts";
export type { PackageSource } from "./package-store.ts";
export { isNotFound, type ModuleLookup, planLookup } from "./module-lookup.ts";

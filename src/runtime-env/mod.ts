export { EnvironmentAgent, needsNoSetup } from "./environment-agent.ts";
export { EnvironmentResolver } from "./environment-resolver.ts";
export type { PackageSource } from "./package-store.ts";
export { isNotFound, type ModuleLookup, planLookup } from "./module-lookup.ts";

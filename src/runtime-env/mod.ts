export { EnvironmentAgent, needsNoSetup } from "./environment-agent.ts";
export { EnvironmentResolver } from "./environment-resolver.ts";
export { isNotFound, type ModuleLookup, planLookup } from "./module-lookup.ts";

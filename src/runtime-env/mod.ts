export { EnvironmentAgent, needsNoSetup } from "./environment-agent.ts";
export { mergeEnvironment } from "./environment-record.ts";
export { EnvironmentResolver } from "./environment-resolver.ts";

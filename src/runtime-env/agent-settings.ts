import type { Clock } from "../base/mod.ts";
import type { PackageStoreSettings } from "./package-store.ts";

export interface EnvironmentAgentSettings extends PackageStoreSettings {
  /** Where npm packages are kept for later sessions too. */
  readonly cacheFolder: string;
  readonly clock: Clock;
}

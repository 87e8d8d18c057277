import type { Clock } from "../base/mod.ts";

export interface EnvironmentAgentSettings {
  readonly sessionDir: string;
  /** Where npm packages are kept for later sessions too. */
  readonly cacheFolder: string;
  readonly clock: Clock;
  /** Milliseconds since 1970. */
  wallClockMs(): number;
}

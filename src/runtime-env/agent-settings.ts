export interface EnvironmentAgentSettings {
  readonly sessionDir: string;
  /** Where npm packages are kept for later sessions too. */
  readonly cacheFolder: string;
  /** Milliseconds since 1970. */
  wallClockMs(): number;
}

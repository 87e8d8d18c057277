/** What service and workers of one machine must agree on before they meet in shared memory. Plain data. */
export interface StoreConfig {
  /** Names the folder in shared memory. */
  readonly sessionName: string;
  readonly sessionDir: string;
  readonly capacityBytes: number;
  readonly spillFolder: string;
}

/** Where the service puts the control file, for worker processes to find. */
export function controlPath(config: StoreConfig): string {
  return `${config.sessionDir}/object-store`;
}

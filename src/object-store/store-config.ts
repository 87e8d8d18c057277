import { join } from "node:path";
import { SHARED_MEMORY_ROOT } from "./owned-folders.ts";

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

/** Where a store may have files outside of its session's folder, for whoever ends without the service's own end. */
export function storeFoldersOf({ sessionName, spillFolder }: StoreConfig): string[] {
  return [join(SHARED_MEMORY_ROOT, sessionName), spillFolder];
}

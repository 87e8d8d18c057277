import { removeOwnFolder } from "../object-store/mod.ts";
import type { SessionConfig } from "./bootstrap.ts";

const ORPHAN_LOOKS_MAX = 50;
const ORPHAN_LOOK_EVERY_MS = 20;

/**
 * The node of this process is gone. It cleans up after itself unless it was killed; then every process of its does, and the last one
 * finds nothing left. Calls `end` in either case.
 */
export function leaveLostNode(config: SessionConfig, end: () => void, looksLeft = ORPHAN_LOOKS_MAX): void {
  const isOrphan = process.ppid !== config.driverPid;
  if (isOrphan) removeOwnFolder(config.sessionDir);
  // A process that is killed closes its sockets some time before its children see it gone.
  else if (looksLeft > 0) return void setTimeout(() => leaveLostNode(config, end, looksLeft - 1), ORPHAN_LOOK_EVERY_MS);
  end();
}

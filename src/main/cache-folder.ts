import { homedir } from "node:os";
import { join } from "node:path";

/** What is kept for later sessions of this user: MANTARAY_CACHE_DIR, else `mantaray` where the system keeps caches. */
export function cacheFolder(): string {
  const { MANTARAY_CACHE_DIR: own, XDG_CACHE_HOME: caches } = process.env;
  return own ?? join(caches ?? join(homedir(), ".cache"), "mantaray");
}

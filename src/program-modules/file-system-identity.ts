import { readFileSync, readlinkSync, statSync } from "node:fs";
import { hostname } from "node:os";

/** Begins the identity of a machine that has no better one than its name, which others may have too. */
const VAGUE = "host ";
let identity: string | null = null;

/** Equal for two processes where the same paths lead to the same files: on one machine, outside of containers or in the same one. */
export function fileSystemIdentity(): string {
  return (identity ??= [bootOrHost(), mountNamespace(), rootFolder()].join(" "));
}

/** Whether paths lead to the same files there and here; "maybe" where that cannot be told. */
export function compareFileSystem(there: string): "same" | "maybe" | "other" {
  if (there !== fileSystemIdentity()) return "other";
  return there.startsWith(VAGUE) ? "maybe" : "same";
}

function bootOrHost(): string {
  try {
    return readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim();
  } catch {
    return VAGUE + hostname();
  }
}

/** Containers have their own. */
function mountNamespace(): string {
  try {
    return readlinkSync("/proc/self/ns/mnt");
  } catch {
    return process.platform;
  }
}

function rootFolder(): string {
  const { dev, ino } = statSync("/");
  return `${dev}:${ino}`;
}

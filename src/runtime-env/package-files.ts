import { join } from "node:path";
import { RuntimeEnvSetupError } from "../base/mod.ts";

/**
 * Packages: archives of a working directory or of a local npm package, named by their content. Whoever makes one puts it into the
 * session's folder; whoever sets up an environment takes it from there. Environments name them by a URI.
 */
const SCHEME = "mantaray-package:";
const URI = /^mantaray-package:([0-9a-f]{64}\.(?:tar|tgz|zip))$/;

export type ArchiveKind = "tar" | "tgz" | "zip";

export function packageUriOf(hash: string, kind: ArchiveKind): string {
  return `${SCHEME}${hash}.${kind}`;
}

export function isPackageUri(text: string): boolean {
  return text.startsWith(SCHEME);
}

/** What one piece of a package holds on its way from one machine to another. */
export const PACKAGE_PIECE_BYTES_MAX = 1024 * 1024;

export function packageUriOfName(name: string): string {
  return SCHEME + name;
}

/** Whether a file is called as packages are. */
export function isPackageName(name: string): boolean {
  return URI.test(packageUriOfName(name));
}

export function packagesFolderOf(sessionDir: string): string {
  return join(sessionDir, "packages");
}

/** A file name that is the same for the same content. */
export function packageNameOf(uri: string): string {
  const match = URI.exec(uri);
  if (match === null) throw new RuntimeEnvSetupError(`'${uri}' is not the name of a package`);
  return match[1] as string;
}

export function packagePathOf(sessionDir: string, uri: string): string {
  return join(packagesFolderOf(sessionDir), packageNameOf(uri));
}

import { closeSync, existsSync, mkdirSync, openSync, readFileSync, renameSync, rmSync, statSync, writeSync, type Stats } from "node:fs";
import { join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { threadId } from "node:worker_threads";
import { forgetOldest, mebibytes, RuntimeEnvSetupError } from "../base/mod.ts";
import { type FolderEntry, listFolder } from "./folder-contents.ts";
import { type ArchiveKind, isPackageUri, packageNameOf, packagePathOf, packagesFolderOf, packageUriOf } from "./package-files.ts";
import { encodeEntry, endOfArchive } from "./tar-format.ts";

/** What a working directory or a local package may hold, before compression; the same as Ray. */
export const PACKAGE_BYTES_MAX = 100 * 1024 * 1024;
/** Folders that were packed by this program or worker and are not read again. */
const PACKAGES_REMEMBERED_MAX = 1_000;
const PRIVATE_FOLDER_MODE = 0o700;
const SUPPORTED = "a folder, or an archive (.zip, .tgz, .tar.gz, .tar), as a path or file: URL";

let filesMade = 0;

export type PackageListener = (name: string, path: string) => void;

/** Makes packages of what is on this machine, and puts them into the session's folder. Synchronous: it is part of a call. */
export class PackageMaker {
  readonly #sessionDir: string;
  /** What was asked for → the package's URI: a folder is read once for all calls of this program or worker. */
  readonly #made = new Map<string, string>();
  readonly #onMade: PackageListener | null;

  /** `onMade`: told of each package before its name is used. */
  constructor(sessionDir: string, onMade: PackageListener | null = null) {
    this.#sessionDir = sessionDir;
    this.#onMade = onMade;
  }

  /** @throws RuntimeEnvSetupError */
  workingDir(given: string, excludes: readonly string[]): string {
    return isPackageUri(given) ? given : this.#once("workingDir", given, excludes, "");
  }

  /** As `npm pack` would make it, but without running anything: npm wants all in one folder. @throws RuntimeEnvSetupError */
  npmPackage(given: string): string {
    return this.#once("npm", given, ["/node_modules"], "package/");
  }

  #once(what: string, given: string, excludes: readonly string[], prefix: string): string {
    const path = pathOf(what, given);
    const key = JSON.stringify([path, excludes, prefix]);
    const known = this.#made.get(key);
    // What was not used for long may have made room for others.
    if (known !== undefined && existsSync(packagePathOf(this.#sessionDir, known))) return known;
    try {
      const uri = this.#make(what, path, excludes, prefix);
      this.#made.set(key, uri);
      this.#onMade?.(packageNameOf(uri), packagePathOf(this.#sessionDir, uri));
      forgetOldest(this.#made, PACKAGES_REMEMBERED_MAX);
      return uri;
    } catch (error) {
      if (error instanceof RuntimeEnvSetupError) throw error;
      throw new RuntimeEnvSetupError(`${what}: '${path}' cannot be packed: ${(error as Error).message}`, { cause: error });
    }
  }

  #make(what: string, path: string, excludes: readonly string[], prefix: string): string {
    const status: Stats | undefined = statSync(path, { throwIfNoEntry: false });
    if (status === undefined) throw new RuntimeEnvSetupError(`${what}: '${path}' does not exist; relative paths start at the folder of the program (${process.cwd()})`);
    if (status.isDirectory()) return this.#packFolder(what, path, listFolder(path, excludes), prefix);
    const kind = archiveKindOf(path);
    // npm knows nothing of zip.
    if (kind === null || !status.isFile() || (kind === "zip" && what === "npm")) throw new RuntimeEnvSetupError(`${what}: '${path}' is not supported; give ${SUPPORTED}`);
    checkSize(what, path, status.size, []);
    return this.#write(kind, [readFileSync(path)]);
  }

  #packFolder(what: string, path: string, entries: readonly FolderEntry[], prefix: string): string {
    const bytes = entries.reduce((sum, entry) => sum + (entry.kind === "file" ? entry.bytes : 0), 0);
    checkSize(what, path, bytes, entries);
    return this.#write("tar", blocksOf(entries, prefix));
  }

  /** Under another name first: nobody sees half of it. */
  #write(kind: ArchiveKind, blocks: Iterable<Uint8Array>): string {
    mkdirSync(packagesFolderOf(this.#sessionDir), { recursive: true, mode: PRIVATE_FOLDER_MODE });
    const unfinished = join(packagesFolderOf(this.#sessionDir), `unfinished-${process.pid}-${threadId}-${filesMade++}`);
    const hash = process.getBuiltinModule("node:crypto").createHash("sha256");
    const file = openSync(unfinished, "wx", 0o600);
    try {
      for (const block of blocks) {
        hash.update(block);
        for (let written = 0; written < block.length; ) written += writeSync(file, block, written);
      }
    } catch (error) {
      rmSync(unfinished, { force: true });
      throw error;
    } finally {
      closeSync(file);
    }
    const uri = packageUriOf(hash.digest("hex"), kind);
    const final = packagePathOf(this.#sessionDir, uri);
    if (existsSync(final)) rmSync(unfinished, { force: true });
    else renameSync(unfinished, final);
    return uri;
  }
}

function* blocksOf(entries: readonly FolderEntry[], prefix: string): Iterable<Uint8Array> {
  const nothing = new Uint8Array(0);
  for (const entry of entries) {
    const path = prefix + entry.path;
    if (entry.kind === "file") yield* encodeEntry({ type: "file", path, target: "", isExecutable: entry.isExecutable, content: readFileSync(entry.source) });
    else yield* encodeEntry({ type: entry.kind, path, target: entry.kind === "link" ? entry.target : "", isExecutable: false, content: nothing });
  }
  yield endOfArchive();
}

function pathOf(what: string, given: string): string {
  if (given.startsWith("file://")) return fileURLToPath(given);
  const path = given.replace(/^file:/, "");
  if (/^[a-z][a-z0-9+.-]+:/i.test(path)) throw new RuntimeEnvSetupError(`${what}: '${given}' is not supported; give ${SUPPORTED}: what is elsewhere must be downloaded first, since nothing is fetched from there`);
  return resolve(path);
}

function archiveKindOf(path: string): ArchiveKind | null {
  if (/\.(?:tgz|tar\.gz)$/i.test(path)) return "tgz";
  if (/\.zip$/i.test(path)) return "zip";
  return /\.tar$/i.test(path) ? "tar" : null;
}

/** Names what is largest, which is what one wants to exclude. */
function checkSize(what: string, path: string, bytes: number, entries: readonly FolderEntry[]): void {
  if (bytes <= PACKAGE_BYTES_MAX) return;
  const byName = new Map<string, number>();
  for (const entry of entries) {
    const [top] = entry.path.split("/") as [string];
    if (entry.kind === "file") byName.set(top, (byName.get(top) ?? 0) + entry.bytes);
  }
  const largest = [...byName].sort(([, a], [, b]) => b - a).slice(0, 3).map(([name, size]) => `${name} (${mebibytes(size)})`);
  const hint = largest.length === 0 ? "" : `; largest: ${largest.join(", ")}`;
  throw new RuntimeEnvSetupError(`${what}: '${path}' holds ${mebibytes(bytes)}, more than the ${mebibytes(PACKAGE_BYTES_MAX)} that may be shipped${hint}; name what is not needed in 'excludes' or .gitignore`);
}

import { createReadStream } from "node:fs";
import { access, lstat, readdir, readFile, realpath, stat } from "node:fs/promises";
import { createHash } from "node:crypto";
import { dirname, join } from "node:path";
import { mebibytes, SerializationError } from "../base/mod.ts";
import type { PackageFile, PackageFolder, PackageUse } from "../protocol/mod.ts";

/** What the packages may hold that one worker asks for, with all that they depend on. */
export const PACKAGES_BYTES_MAX = 100 * 1024 * 1024;
/** Files read at once. */
const FILES_AT_ONCE_MAX = 32;
/** For people and compilers; and what is found by its own name. */
const LEFT_OUT = /(?:\.d\.[cm]?ts|\.map|\.md|\.markdown)$/i;
const NEVER = new Set(["node_modules", ".git", ".bin", ".cache"]);

interface Manifest {
  readonly name?: string;
  readonly version?: string;
  readonly gypfile?: boolean;
  readonly os?: readonly string[];
  readonly cpu?: readonly string[];
  readonly dependencies?: Readonly<Record<string, string>>;
  readonly optionalDependencies?: Readonly<Record<string, string>>;
  readonly peerDependencies?: Readonly<Record<string, string>>;
  readonly peerDependenciesMeta?: Readonly<Record<string, { readonly optional?: boolean }>>;
}

interface Depended {
  readonly use: PackageUse;
  readonly isOptional: boolean;
}
interface Wanted extends Depended {
  readonly neededFor: string | null;
}
interface ReadPackage {
  readonly folder: Omit<PackageFolder, "neededFor">;
  readonly depends: readonly Depended[];
}

/** Packages of the program's `node_modules`, whole, as a worker gets them whose machine has them not. */
export class PackageFolders {
  /** By place. */
  readonly #read = new Map<string, Promise<ReadPackage>>();
  readonly #pathOfHash = new Map<string, string>();

  /** The packages and all that they depend on. @throws SerializationError */
  async closureOf(uses: readonly PackageUse[]): Promise<PackageFolder[]> {
    const found = new Map<string, PackageFolder>();
    const queue: Wanted[] = uses.map((use) => ({ use, isOptional: false, neededFor: null }));
    let bytes = 0;
    for (let next = queue.shift(); next !== undefined; next = queue.shift()) {
      const { use, isOptional } = next;
      if (found.has(use.place) || use.name === "mantaray") continue;
      const { folder, depends } = await this.#package(use);
      // Whoever calls it optional does without.
      if (isOptional && folder.problem !== null) continue;
      const neededFor = next.neededFor ?? (folder.version === "" ? folder.name : `${folder.name}@${folder.version}`);
      found.set(use.place, { ...folder, importedBy: use.importedBy, neededFor });
      bytes += bytesOf(folder);
      queue.push(...depends.map((depended) => ({ ...depended, neededFor })));
    }
    const packages = [...found.values()];
    if (bytes > PACKAGES_BYTES_MAX) throw tooLarge(packages, bytes);
    return packages;
  }

  pathOf(hash: string): string | undefined {
    return this.#pathOfHash.get(hash);
  }

  #package(use: PackageUse): Promise<ReadPackage> {
    let reading = this.#read.get(use.place);
    if (reading === undefined) {
      reading = this.#readPackage(use).catch((error: Error) => {
        this.#read.delete(use.place);
        throw new SerializationError(`The package '${use.name}', imported by ${use.importedBy}, cannot be read at ${use.place}: ${error.message}`, { cause: error });
      });
      this.#read.set(use.place, reading);
    }
    return reading;
  }

  async #readPackage(use: PackageUse): Promise<ReadPackage> {
    const folder = await realpath(use.place);
    const manifest = JSON.parse(await readFile(join(folder, "package.json"), "utf8")) as Manifest;
    const paths = await filesIn(folder, "");
    const problem = nativePart(manifest, paths);
    // What does not travel need not be read.
    const files = problem === null ? await this.#files(folder, paths) : [];
    return { folder: { ...use, version: manifest.version ?? "", folder, files, problem }, depends: await dependenciesOf(manifest, folder, use.name) };
  }

  async #files(folder: string, paths: readonly string[]): Promise<PackageFile[]> {
    const files: PackageFile[] = [];
    for (let start = 0; start < paths.length; start += FILES_AT_ONCE_MAX) {
      files.push(...await Promise.all(paths.slice(start, start + FILES_AT_ONCE_MAX).map((path) => this.#file(folder, path))));
    }
    return files;
  }

  async #file(folder: string, path: string): Promise<PackageFile> {
    const full = join(folder, path);
    const hash = createHash("sha256");
    for await (const chunk of createReadStream(full)) hash.update(chunk as Uint8Array);
    const { size, mode } = await stat(full);
    const digest = hash.digest("hex");
    this.#pathOfHash.set(digest, full);
    return { path, hash: digest, bytes: size, isExecutable: (mode & 0o100) !== 0 };
  }
}

async function filesIn(folder: string, prefix: string): Promise<string[]> {
  const found: string[] = [];
  for (const entry of (await readdir(join(folder, prefix), { withFileTypes: true })).sort((a, b) => (a.name < b.name ? -1 : 1))) {
    if (NEVER.has(entry.name)) continue;
    const path = prefix + entry.name;
    if (entry.isDirectory()) found.push(...await filesIn(folder, `${path}/`));
    else if (entry.isFile() && !LEFT_OUT.test(entry.name)) found.push(path);
  }
  return found;
}

function nativePart({ gypfile, os, cpu }: Manifest, paths: readonly string[]): string | null {
  const file = paths.find((path) => path.endsWith(".node") || path === "binding.gyp");
  if (file !== undefined) return `has native code (${file}), which is built for one kind of machine`;
  if (gypfile === true) return "builds native code when it is installed";
  return os !== undefined || cpu !== undefined ? "is for one kind of machine (os or cpu in its package.json)" : null;
}

/** Where Node would find them from that folder; what is not installed is left out. */
async function dependenciesOf({ dependencies, optionalDependencies = {}, peerDependencies, peerDependenciesMeta = {} }: Manifest, folder: string, importedBy: string): Promise<Depended[]> {
  const found: Depended[] = [];
  for (const name of Object.keys({ ...peerDependencies, ...dependencies, ...optionalDependencies })) {
    const place = await placeFrom(folder, name);
    const isOptional = name in optionalDependencies || peerDependenciesMeta[name]?.optional === true;
    if (place !== null) found.push({ use: { place, name, importedBy: `the package '${importedBy}'` }, isOptional });
  }
  return found;
}

async function placeFrom(start: string, name: string): Promise<string | null> {
  for (let folder = start; ; folder = dirname(folder)) {
    const place = join(folder, "node_modules", name);
    if (await access(join(place, "package.json")).then(() => true, () => false)) return place;
    // A link to nowhere is what Node would stumble over too.
    if (folder === dirname(folder) || (await lstat(place).catch(() => null))?.isSymbolicLink() === true) return null;
  }
}

function bytesOf({ files }: Pick<PackageFolder, "files">): number {
  return files.reduce((sum, file) => sum + file.bytes, 0);
}

function tooLarge(packages: readonly PackageFolder[], bytes: number): SerializationError {
  const largest = [...packages].sort((a, b) => bytesOf(b) - bytesOf(a)).slice(0, 3);
  const names = largest.map((folder) => `${folder.name}@${folder.version} (${mebibytes(bytesOf(folder))}, needed by ${folder.importedBy})`);
  return new SerializationError(
    `Packages of ${mebibytes(bytes)} are not there on the machine of a worker, more than the ${mebibytes(PACKAGES_BYTES_MAX)} that are sent; ` +
      `largest: ${names.join(", ")}. Have them installed there: runtimeEnv: { npm: [${largest.map(({ name, version }) => `"${name}@${version}"`).join(", ")}] }.`,
  );
}

import { chmod, mkdir, readFile, symlink, writeFile } from "node:fs/promises";
import { dirname, join, posix } from "node:path";
import { promisify } from "node:util";
import { gunzip } from "node:zlib";
import { decodeZip, isZip } from "./zip-format.ts";
import { decodeArchive, type TarEntry } from "./tar-format.ts";

/** What an archive may hold once it is unpacked. */
export const UNPACKED_BYTES_MAX = 1024 * 1024 * 1024;

/** Writes what is in an archive into a folder that does not exist yet. An archive with all in one folder is unpacked without that one. */
export async function unpackArchive(archive: string, folder: string): Promise<void> {
  const packed = await readFile(archive);
  const isCompressed = packed[0] === 0x1f && packed[1] === 0x8b;
  const decoded = isZip(packed) ? decodeZip(packed, UNPACKED_BYTES_MAX) : decodeArchive(isCompressed ? await promisify(gunzip)(packed, { maxOutputLength: UNPACKED_BYTES_MAX }) : packed);
  const entries = [...decoded].map((entry) => ({ ...entry, path: safePath(entry.path) })).filter(({ path }) => path !== "");
  const top = isCompressed || isZip(packed) ? commonFolder(entries) : "";
  await mkdir(folder, { recursive: true, mode: 0o700 });
  const inside = entries.filter(({ path }) => path.startsWith(top) && path !== top.slice(0, -1)).map((entry) => ({ ...entry, path: entry.path.slice(top.length) }));
  for (const entry of inside) if (entry.type !== "link") await write(folder, entry);
  // Links come last: nothing is written through them.
  for (const { type, path, target } of inside) {
    if (type !== "link") continue;
    if (!isInside(posix.join(posix.dirname(path), target)) || posix.isAbsolute(target)) throw new Error(`the link '${path}' in it leads outside`);
    await mkdir(dirname(join(folder, path)), { recursive: true });
    await symlink(target, join(folder, path));
  }
}

async function write(folder: string, { type, path, content, isExecutable }: TarEntry): Promise<void> {
  const full = join(folder, path);
  if (type === "folder") return void (await mkdir(full, { recursive: true }));
  await mkdir(dirname(full), { recursive: true });
  await writeFile(full, content);
  if (isExecutable) await chmod(full, 0o755);
}

function safePath(path: string): string {
  const normal = posix.normalize(path).replace(/\/$/, "");
  if (posix.isAbsolute(normal) || !isInside(normal)) throw new Error(`the path '${path}' in it leads outside`);
  return normal === "." ? "" : normal;
}

function isInside(path: string): boolean {
  const normal = posix.normalize(path);
  return normal !== ".." && !normal.startsWith("../");
}

/** With a slash; empty unless everything is in one. */
function commonFolder(entries: readonly { readonly path: string; readonly type: string }[]): string {
  const tops = new Set(entries.map(({ path }) => path.split("/")[0]));
  const [top] = tops;
  const isFolder = entries.every(({ path, type }) => path !== top || type === "folder");
  return tops.size === 1 && isFolder ? `${top}/` : "";
}

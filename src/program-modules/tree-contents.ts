import { readdir, readFile, readlink, stat } from "node:fs/promises";
import { dirname, join, posix, relative, resolve, sep } from "node:path";
import { ModuleTree } from "./module-tree.ts";

export interface TreeEntry {
  readonly type: "file" | "link";
  /** Relative, with `/`. */
  readonly path: string;
  /** Of a link: relative to its folder. */
  readonly target: string;
  readonly isExecutable: boolean;
  readonly content: Uint8Array;
}

/** As ModuleTree calls what it has not finished. */
const UNFINISHED = /\.\d+-\d+-\d+$/;
/** Says that something else is there whole. */
const MARK = /(?:^|\/)\.mantaray-[^/]*(?:\/|$)/;
const EXECUTABLE = 0o100;
const NOTHING = new Uint8Array(0);

/** All that a tree has, in an order of its own, but for links to what only this machine has there. */
export async function* contentsOf(root: string, folder = ""): AsyncIterable<TreeEntry> {
  const found = await readdir(join(root, folder), { withFileTypes: true });
  for (const each of found.sort((a, b) => (a.name < b.name ? -1 : 1))) {
    const path = posix.join(folder, each.name);
    const full = join(root, path);
    if (each.isDirectory()) yield* contentsOf(root, path);
    else if (UNFINISHED.test(each.name)) continue;
    else if (each.isFile()) yield { type: "file", path, target: "", isExecutable: ((await stat(full)).mode & EXECUTABLE) !== 0, content: await readFile(full) };
    else if (each.isSymbolicLink()) {
      const target = resolve(dirname(full), await readlink(full));
      if (target.startsWith(root + sep)) yield { type: "link", path, target: relative(dirname(full), target).split(sep).join("/"), isExecutable: false, content: NOTHING };
    }
  }
}

/** Adds what a tree has not yet. Marks come last, since whoever finds them takes the rest for granted. @throws Error for what leads out of it */
export async function addContents(root: string, entries: readonly TreeEntry[]): Promise<void> {
  const tree = new ModuleTree(root);
  for (const areMarks of [false, true]) {
    for (const { type, path, target, isExecutable, content } of entries) {
      if (MARK.test(path) !== areMarks || (await tree.has(inside(path)))) continue;
      if (type === "file") await tree.write(path, content, isExecutable);
      else {
        if (posix.isAbsolute(target)) throw leadsOutside(path);
        inside(posix.join(posix.dirname(path), target));
        await tree.link(path, target);
      }
    }
  }
}

function inside(path: string): string {
  const normal = posix.normalize(path);
  if (posix.isAbsolute(normal) || normal === ".." || normal.startsWith("../")) throw leadsOutside(path);
  return normal;
}

function leadsOutside(path: string): Error {
  return new Error(`the path '${path}' leads outside`);
}

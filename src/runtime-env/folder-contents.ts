import { lstatSync, readdirSync, readFileSync, readlinkSync, realpathSync, statSync, type Stats } from "node:fs";
import { dirname, join, relative, resolve, sep } from "node:path";
import { IgnoreRules } from "./ignore-rules.ts";

/** One thing in a folder that is packed, by its path with `/` relative to it. */
export type FolderEntry =
  | { readonly kind: "folder"; readonly path: string }
  | { readonly kind: "file"; readonly path: string; readonly source: string; readonly bytes: number; readonly isExecutable: boolean }
  /** To somewhere within the folder. */
  | { readonly kind: "link"; readonly path: string; readonly target: string };

/** The folder of git's own files is never packed. */
const NEVER = new Set([".git"]);

/**
 * All that is to be packed, in an order that depends on nothing but the names: without what `excludes` and the `.gitignore` of each
 * folder name. Links that lead outside are followed; sockets, pipes and devices are left out.
 */
export function listFolder(root: string, excludes: readonly string[]): FolderEntry[] {
  const top = realpathSync(root);
  const walk = new Walk(top, new IgnoreRules(excludes));
  walk.folder(top, "", [], [top]);
  return walk.entries;
}

interface ScopedRules {
  /** With a slash at its end, or empty. */
  readonly prefix: string;
  readonly rules: IgnoreRules;
}

class Walk {
  readonly entries: FolderEntry[] = [];
  readonly #top: string;
  readonly #excludes: IgnoreRules;

  constructor(top: string, excludes: IgnoreRules) {
    this.#top = top;
    this.#excludes = excludes;
  }

  /** `above`: the real paths on the way here, so that a link to one of them ends the way. */
  folder(folder: string, prefix: string, outer: readonly ScopedRules[], above: readonly string[]): void {
    const names = readdirSync(folder).sort();
    const scopes = names.includes(".gitignore") ? [...outer, { prefix, rules: rulesOf(join(folder, ".gitignore")) }] : outer;
    for (const name of names) {
      if (NEVER.has(name)) continue;
      const path = prefix + name;
      const full = join(folder, name);
      const status = lstatSync(full);
      const isLink = status.isSymbolicLink();
      const inside = isLink ? this.#insideTarget(full) : null;
      const target = isLink && inside === null ? followed(full) : status;
      if (this.#isIgnored(path, target?.isDirectory() ?? false, scopes)) continue;
      if (inside !== null) this.entries.push({ kind: "link", path, target: inside });
      else if (target !== null) this.#entry(full, path, target, scopes, above);
    }
  }

  #entry(full: string, path: string, status: Stats, scopes: readonly ScopedRules[], above: readonly string[]): void {
    if (status.isFile()) {
      this.entries.push({ kind: "file", path, source: full, bytes: status.size, isExecutable: (status.mode & 0o100) !== 0 });
    } else if (status.isDirectory()) {
      const real = realpathSync(full);
      if (above.includes(real)) return;
      this.entries.push({ kind: "folder", path });
      this.folder(full, `${path}/`, scopes, [...above, real]);
    }
  }

  /** Where a link within the folder leads, relative to the link; null if it leads outside. */
  #insideTarget(link: string): string | null {
    // The way here may lead over other links.
    const target = resolve(realpathSync(dirname(link)), readlinkSync(link));
    const isInside = target === this.#top || target.startsWith(this.#top + sep);
    return isInside ? (relative(dirname(link), target) || ".").split(sep).join("/") : null;
  }

  #isIgnored(path: string, isFolder: boolean, scopes: readonly ScopedRules[]): boolean {
    const excluded = this.#excludes.ignores(path, isFolder);
    if (excluded !== undefined) return excluded;
    // The file nearest to the path has the last word.
    for (const { prefix, rules } of scopes.toReversed()) {
      const ignored = rules.ignores(path.slice(prefix.length), isFolder);
      if (ignored !== undefined) return ignored;
    }
    return false;
  }
}

function rulesOf(file: string): IgnoreRules {
  return new IgnoreRules(readFileSync(file, "utf8").split("\n"));
}

/** Null if it leads nowhere. */
function followed(link: string): Stats | null {
  return statSync(link, { throwIfNoEntry: false }) ?? null;
}

import { posix, sep } from "node:path";

/** Where a file of the program lies under the folder that mirrors its machine's root: relative, with `/`. */
export function mirrorPathOf(absolutePath: string): string {
  return absolutePath.split(sep).join("/").replace(/^([A-Za-z]):/, "$1").replace(/^\/+/, "");
}

/** How one mirrored file imports another. */
export function relativeSpecifier(fromFile: string, toFile: string): string {
  const path = posix.relative(posix.dirname(fromFile), toFile);
  return path.startsWith("../") ? path : `./${path}`;
}

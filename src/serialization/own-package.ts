/** Where this package's own code lies, as a file URL: the folder `dist/` once it is bundled, `src/` before. */
export const OWN_PACKAGE_URL = rootOf(import.meta.url);

function rootOf(url: string): string {
  const source = url.lastIndexOf("/src/serialization/");
  return source >= 0 ? url.slice(0, source + "/src/".length) : url.slice(0, url.lastIndexOf("/") + 1);
}

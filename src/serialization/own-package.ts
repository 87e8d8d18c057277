/** Where this package's own code lies, as a file URL: the folder `dist/` once it is bundled, `src/` before. */
export const OWN_PACKAGE_URL = rootOf(import.meta.url);
/** Stands for that URL in what travels: another machine has the package elsewhere. */
const OWN_PLACE = "mantaray:";
/** What programs import as "mantaray"; null before it is bundled. */
const OWN_ENTRY_URL = OWN_PACKAGE_URL.endsWith("/src/") ? null : `${OWN_PACKAGE_URL}index.js`;

function rootOf(url: string): string {
  const source = url.lastIndexOf("/src/serialization/");
  return source >= 0 ? url.slice(0, source + "/src/".length) : url.slice(0, url.lastIndexOf("/") + 1);
}

/** How code names a module so that other machines find it, if it is one of this package. */
export function portableUrl(url: string): string {
  return url.startsWith(OWN_PACKAGE_URL) ? OWN_PLACE + url.slice(OWN_PACKAGE_URL.length) : url;
}

/** Undefined for modules of others. A worker has one instance of this package, wherever the program that it works for has its own. */
export function ownModuleUrl(specifier: string): string | undefined {
  if (specifier.startsWith(OWN_PLACE)) return OWN_PACKAGE_URL + specifier.slice(OWN_PLACE.length);
  return specifier === "mantaray" ? (OWN_ENTRY_URL ?? specifier) : undefined;
}

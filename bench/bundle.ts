import { mkdir, mkdtemp, readdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { build } from "esbuild";
import type { BuildOptions } from "esbuild";

const BENCH = fileURLToPath(new URL(".", import.meta.url));
/** Inside the repository, so that packages are found, Mantaray itself included. */
const CACHE = fileURLToPath(new URL("../.cache/", import.meta.url));

/**
 * Bundles contestants, their workers and the programs into one flat folder of plain JavaScript; packages,
 * Mantaray's own too, stay outside as a user has them. So no TypeScript loader runs in what is measured.
 * The folder is there while `use` runs.
 */
export async function withBundledBench<T>(use: (folder: URL) => Promise<T>): Promise<T> {
  await mkdir(CACHE, { recursive: true });
  const folder = await mkdtemp(join(CACHE, "bench-"));
  try {
    const common: BuildOptions = {
      outdir: folder,
      bundle: true,
      packages: "external",
      format: "esm",
      platform: "node",
      target: "node20.19",
      logLevel: "warning",
    };
    // Peers are split off, so that a contestant loads its own peer alone.
    await build({ ...common, entryPoints: [join(BENCH, "contestant.ts")], splitting: true });
    const entryPoints = [...(await sourcesIn("programs")), ...(await sourcesIn("workers"))];
    await build({ ...common, entryPoints, entryNames: "[name]" });
    return await use(pathToFileURL(`${folder}/`));
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

async function sourcesIn(folder: string): Promise<string[]> {
  return (await readdir(join(BENCH, folder))).map((name) => join(BENCH, folder, name));
}

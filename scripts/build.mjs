// Builds the package into dist/: JavaScript with esbuild, and unless `--js-only` is given the declarations.
// Prints nothing when all goes well.
import { mkdir, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';
import { directImports } from './direct-imports.mjs';
import { withoutComments } from './without-comments.mjs';

const repository = dirname(dirname(fileURLToPath(import.meta.url)));
const output = join(repository, 'dist');

/**
 * File in dist/ without its ending → source. Workers are started by these names, so they never carry a hash.
 *
 * Entries of one group share chunks: a program and the runtime inside it must agree on one instance of every module, or `instanceof`
 * on errors and refs would fail between them. Groups are never in one thread together, and so need not share; each entry loads
 * fewer files for it, and a thread has its start from them.
 */
const groups = [
  {
    index: 'src/main/index.ts',
    testing: 'src/testing/mod.ts',
    'worker-thread': 'src/main/worker-thread.ts',
    'worker-process': 'src/main/worker-process.ts',
    'hosted-thread': 'src/main/hosted-thread.ts',
  },
  { 'node-thread': 'src/main/node-thread.ts', 'cluster-node': 'src/main/cluster-node.ts' },
  { 'worker-host': 'src/main/worker-host.ts' },
  { 'remote-lookup': 'src/main/remote-lookup.ts' },
  { 'module-hooks': 'src/main/module-hooks.ts' },
  { cli: 'src/cli/main.ts' },
];

export async function buildJavaScript() {
  const results = await Promise.all(
    groups.map((entryPoints) =>
      build({
        absWorkingDir: repository,
        entryPoints,
        outdir: output,
        bundle: true,
        splitting: true,
        format: 'esm',
        platform: 'node',
        target: 'node20.19',
        packages: 'external',
        plugins: [directImports],
        chunkNames: 'shared-[hash]',
        legalComments: 'none',
        logLevel: 'warning',
        write: false,
      }),
    ),
  );
  await mkdir(output, { recursive: true });
  const wanted = new Set(['index.d.ts', 'testing.d.ts']);
  for (const file of results.flatMap(({ outputFiles }) => outputFiles)) {
    const name = basename(file.path);
    wanted.add(name);
    const present = await readFile(file.path).catch(() => null);
    const contents = Buffer.from(withoutComments(file.text));
    if (present !== null && present.equals(contents)) continue;
    // Written beside and renamed: a program that starts during a build sees one whole file or the other.
    const unfinished = `${file.path}.${process.pid}`;
    await writeFile(unfinished, contents);
    await rename(unfinished, file.path);
  }
  for (const name of await readdir(output)) {
    if (!wanted.has(name)) await rm(join(output, name), { recursive: true, force: true });
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  await buildJavaScript();
  if (!process.argv.includes('--js-only')) (await import('./api-report.mjs')).makePublicTypes('build');
}

// Builds the package into dist/: JavaScript with esbuild, and unless `--js-only` is given the declarations.
// Prints nothing when all goes well.
import { mkdir, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';
import { pastModFiles } from './past-mod-files.mjs';

const repository = dirname(dirname(fileURLToPath(import.meta.url)));
const output = join(repository, 'dist');

/** File in dist/ without its ending → source. Workers are started by these names, so they never carry a hash. */
const entryPoints = {
  index: 'src/main/index.ts',
  'node-thread': 'src/main/node-thread.ts',
  'worker-thread': 'src/main/worker-thread.ts',
  'worker-process': 'src/main/worker-process.ts',
  'cluster-node': 'src/main/cluster-node.ts',
  'worker-host': 'src/main/worker-host.ts',
  'hosted-thread': 'src/main/hosted-thread.ts',
  'remote-lookup': 'src/main/remote-lookup.ts',
  'module-hooks': 'src/main/module-hooks.ts',
  cli: 'src/cli/main.ts',
  testing: 'src/testing/mod.ts',
};

/**
 * Node's builtins without their ES module facades: making one reads every export, which for node:fs loads all of its
 * streams. That is 10 ms of each thread's start.
 */
const builtinsWithoutFacade = {
  name: 'builtins-without-facade',
  setup({ onResolve, onLoad }) {
    onResolve({ filter: /^node:/ }, ({ path, kind }) => (kind === 'dynamic-import' ? { path, external: true } : { path, namespace: 'builtin' }));
    onLoad({ filter: /.*/, namespace: 'builtin' }, ({ path }) => ({ contents: `module.exports = process.getBuiltinModule(${JSON.stringify(path)})`, loader: 'js' }));
  },
};

export async function buildJavaScript() {
  const result = await build({
    absWorkingDir: repository,
    entryPoints,
    outdir: output,
    bundle: true,
    // The entries share chunks: a program and the runtime inside it must agree on one instance of every
    // module, or `instanceof` on errors and refs would fail between them.
    splitting: true,
    format: 'esm',
    platform: 'node',
    target: 'node20.19',
    packages: 'external',
    plugins: [builtinsWithoutFacade, pastModFiles],
    chunkNames: 'shared-[hash]',
    legalComments: 'none',
    logLevel: 'warning',
    write: false,
  });
  await mkdir(output, { recursive: true });
  const wanted = new Set(['index.d.ts', 'testing.d.ts']);
  for (const file of result.outputFiles) {
    const name = basename(file.path);
    wanted.add(name);
    const present = await readFile(file.path).catch(() => null);
    if (present !== null && present.equals(file.contents)) continue;
    // Written beside and renamed: a program that starts during a build sees one whole file or the other.
    const unfinished = `${file.path}.${process.pid}`;
    await writeFile(unfinished, file.contents);
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

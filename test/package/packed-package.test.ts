// The package as a user gets it: packed, installed into an empty project, used in every supported way.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { cp, mkdir, mkdtemp, readdir, readFile, realpath, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { transform } from 'esbuild';
import { isProvided, nodeBinary } from '../../scripts/node-versions.mjs';
import { runNpm } from '../../scripts/npm.mjs';

const repository = fileURLToPath(new URL('../..', import.meta.url));
const runMsMax = 60_000;
/** All of the package: a jump means that something slipped in. */
const packedBytesMax = 1_000_000;

interface Run {
  exitCode: number;
  stdout: string;
  stderr: string;
}

function run(binary: string, programArguments: string[], folder: string): Promise<Run> {
  const environment: NodeJS.ProcessEnv = { ...process.env, FORCE_COLOR: '0', MANTARAY_STUCK_WARNING_MS: '0' };
  delete environment.NODE_TEST_CONTEXT;
  delete environment.NODE_OPTIONS;
  return new Promise((resolve) => {
    const options = { cwd: folder, env: environment, timeout: runMsMax, killSignal: 'SIGKILL' as const };
    execFile(binary, programArguments, options, (error, stdout, stderr) => {
      const exitCode = error === null ? 0 : typeof error.code === 'number' ? error.code : -1;
      resolve({ exitCode, stdout, stderr });
    });
  });
}

/** The program between the README's sample markers; the fixture as long as it has none. */
async function sampleProgram(): Promise<string> {
  const readme = await readFile(join(repository, 'README.md'), 'utf8').catch(() => '');
  const sample = /<!-- sample:start -->\s*```\w+\n([\s\S]*?)```\s*<!-- sample:end -->/.exec(readme);
  return sample?.[1] ?? readFile(join(repository, 'test/package/fixtures/sample.ts'), 'utf8');
}

/** Exact versions of what was tested, so that installing needs nothing that `npm ci` has not fetched already. */
async function lockedVersions(): Promise<Record<string, string>> {
  const lock: { packages: Record<string, { version?: string }> } = JSON.parse(
    await readFile(join(repository, 'package-lock.json'), 'utf8'),
  );
  const versions: Record<string, string> = {};
  for (const [path, { version }] of Object.entries(lock.packages)) {
    const match = /^node_modules\/((?:@[^/]+\/)?[^/]+)$/.exec(path);
    if (match !== null && version !== undefined) versions[match[1]!] = version;
  }
  return versions;
}

describe('the packed package', () => {
  let folder: string;
  let project: string;
  let elsewhere: string;
  let tarball: string;

  before(async () => {
    folder = await realpath(await mkdtemp(join(tmpdir(), 'mantaray-package-')));
    project = join(folder, 'project');
    elsewhere = join(folder, 'elsewhere');
    await mkdir(project);
    await mkdir(elsewhere);

    for (const built of ['index.js', 'index.d.ts']) {
      assert.ok(existsSync(join(repository, 'dist', built)), `dist/${built} is missing: run \`npm run build\` first`);
    }
    const [packed] = JSON.parse(runNpm(['pack', '--json', '--ignore-scripts', '--pack-destination', folder], { cwd: repository }));
    tarball = join(folder, packed.filename);

    const versions = await lockedVersions();
    const developmentDependencies = Object.fromEntries(
      ['typescript', 'tsx', '@types/node'].map((name) => [name, versions[name]!]),
    );
    const overrides = Object.fromEntries(
      Object.entries(versions).filter(([name]) => developmentDependencies[name] === undefined),
    );
    await writeFile(
      join(project, 'package.json'),
      JSON.stringify({
        name: 'project-of-a-user',
        private: true,
        dependencies: { mantaray: `file:${tarball}` },
        devDependencies: developmentDependencies,
        overrides,
      }),
    );
    runNpm(['install', '--prefer-offline', '--ignore-scripts', '--no-audit', '--no-fund', '--no-package-lock'], {
      cwd: project,
    });

    const sample = await sampleProgram();
    const { code } = await transform(sample, { loader: 'ts', format: 'esm', target: 'node20.19' });
    await writeFile(join(project, 'sample.mjs'), code);
    await writeFile(join(project, 'sample.mts'), sample);
    await cp(join(repository, 'test/types/contract.test-d.ts'), join(project, 'contract.mts'));
  });

  after(() => rm(folder, { recursive: true, force: true }));

  test('holds what is built, and nothing else', async () => {
    const installed = join(project, 'node_modules/mantaray');
    const names = await readdir(installed);
    assert.deepEqual(
      names.filter((name) => !['LICENSE', 'README.md', 'dist', 'package.json'].includes(name)),
      [],
    );
    const built = await readdir(join(installed, 'dist'));
    assert.deepEqual(
      built.filter((name) => !/^(?:(?:index|testing)\.d\.ts|(?:index|testing|cli|cluster-node|worker-host|hosted-thread|node-thread|remote-lookup|worker-thread|worker-process|module-hooks|shared-\w+)\.js)$/.test(name)),
      [],
    );
    const bytes = (await readFile(tarball)).length;
    assert.ok(bytes < packedBytesMax, `${basename(tarball)} has ${bytes} bytes`);
    const manifest = JSON.parse(await readFile(join(installed, 'package.json'), 'utf8'));
    for (const script of ['preinstall', 'install', 'postinstall']) assert.equal(manifest.scripts?.[script], undefined);
  });

  describe('runs the sample', () => {
    // What each way prints must be what the first one printed.
    let expected: string | undefined;

    const check = async (binary: string, programArguments: string[], from: string) => {
      const { exitCode, stdout, stderr } = await run(binary, programArguments, from);
      assert.equal(exitCode, 0, stdout + stderr);
      assert.equal(stderr, '');
      expected ??= stdout;
      assert.notEqual(stdout, '');
      assert.equal(stdout, expected);
    };

    for (const place of ['the project', 'elsewhere']) {
      const from = () => (place === 'the project' ? project : elsewhere);
      const file = (name: string) => (place === 'the project' ? name : join(project, name));

      test(`as JavaScript, from ${place}`, () => check(process.execPath, [file('sample.mjs')], from()));

      test(`as TypeScript under tsx, from ${place}`, () =>
        check(
          process.execPath,
          // As `npx tsx` does; seen from elsewhere the tsx of the project is still the one to use.
          [join(project, 'node_modules/tsx/dist/cli.mjs'), file('sample.mts')],
          from(),
        ));

      test(`as TypeScript that Node strips, from ${place}`, { skip: !isProvided() }, () =>
        check(nodeBinary(24), [file('sample.mts')], from()),
      );
    }

    test('from CommonJS, by await import()', async () => {
      await writeFile(
        join(project, 'common.cjs'),
        "import('mantaray').then((ray) => console.log(typeof ray.remote, typeof ray.get));\n",
      );
      const { stdout, stderr } = await run(process.execPath, ['common.cjs'], project);
      assert.deepEqual({ stdout, stderr }, { stdout: 'function function\n', stderr: '' });
    });
  });

  describe('has types that resolve', () => {
    for (const [moduleResolution, module] of [['nodenext', 'nodenext'], ['bundler', 'esnext']]) {
      test(`under ${moduleResolution}`, async () => {
        const compiler = join(project, 'node_modules/typescript/bin/tsc');
        const { exitCode, stdout } = await run(
          process.execPath,
          [
            compiler, '--noEmit', '--strict', '--target', 'es2023', '--lib', 'es2023,esnext.disposable',
            '--types', 'node', '--module', module!, '--moduleResolution', moduleResolution!,
            // The package's own declarations are checked too; the standard library's are not ours.
            '--skipLibCheck', 'false', '--skipDefaultLibCheck', '--pretty', 'false', 'sample.mts', 'contract.mts',
          ],
          project,
        );
        assert.equal(exitCode, 0, stdout);
      });
    }

    test('in the eyes of Are the types wrong', async () => {
      const command = join(dirname(fileURLToPath(import.meta.resolve('@arethetypeswrong/cli/package.json'))), 'dist/index.js');
      // The package is for ESM; CommonJS reaches it by import().
      const { exitCode, stdout, stderr } = await run(
        process.execPath,
        [command, tarball, '--profile', 'esm-only', '--no-emoji', '--no-color'],
        elsewhere,
      );
      assert.equal(exitCode, 0, stdout + stderr);
    });
  });

  test('brings the command, and clusters for tests', async () => {
    const command = join(project, 'node_modules/.bin/mantaray');
    const { version } = JSON.parse(await readFile(join(repository, 'package.json'), 'utf8'));
    assert.equal((await run(command, ['--version'], elsewhere)).stdout, `${version}\n`);
    await writeFile(join(project, 'cluster.mjs'), `
      import { get, init, remote, shutdown } from 'mantaray';
      import { startCluster } from 'mantaray/testing';
      const cluster = await startCluster({ nodes: [{}, { resources: { far: 1 } }] });
      await init({ address: cluster.address });
      console.log(await get(remote(() => 'from far').options({ resources: { far: 1 } }).remote()));
      await shutdown();
      await cluster.stop();
    `);
    const { exitCode, stdout, stderr } = await run(process.execPath, [join(project, 'cluster.mjs')], elsewhere);
    assert.deepEqual({ exitCode, stdout, stderr }, { exitCode: 0, stdout: 'from far\n', stderr: '' });
  });

  test('has no fault in the eyes of publint', async () => {
    const command = join(dirname(fileURLToPath(import.meta.resolve('publint'))), 'cli.js');
    const { exitCode, stdout, stderr } = await run(process.execPath, [command, tarball, '--strict'], elsewhere);
    assert.equal(exitCode, 0, stdout + stderr);
  });
});

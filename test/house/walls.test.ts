// The check of the walls is itself checked: a small tree that keeps every rule passes, and for each rule one
// planted file makes it fail with that rule's name.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { brokenWalls } from '../../scripts/check-walls.mjs';

const checkWalls = fileURLToPath(new URL('../../scripts/check-walls.mjs', import.meta.url));

const goodTree: Record<string, string> = {
  'package.json': '{ "name": "tree", "type": "module", "dependencies": {} }',
  'src/base/mod.ts': "export { now } from './clock.ts';\nexport type { Clock } from './clock.ts';\n",
  'src/base/clock.ts': 'export type Clock = () => number;\nexport const now: Clock = () => Date.now();\n',
  'src/protocol/mod.ts': "import type { Clock } from '../base/mod.ts';\nexport type Stamp = ReturnType<Clock>;\n",
  'src/gcs/mod.ts': "export { decide } from './actors-state.ts';\n",
  'src/gcs/actors-state.ts':
    "import { now } from '../base/mod.ts';\n// Never Date.now() here: await it from the service.\nexport const decide = (time = now()) => time;\n",
  'src/gcs/actors-state.test.ts': "import { cluster } from '../testing/mod.ts';\ncluster();\n",
  'src/testing/mod.ts': "import { decide } from '../gcs/mod.ts';\nexport const cluster = () => decide();\n",
  'src/api/mod.ts': "export { now } from '../base/mod.ts';\n",
  'examples/one/main.ts': "import { now } from '../../src/api/mod.ts';\nnow();\n",
};

const broken: { rule: string; why: string; files: Record<string, string> }[] = [
  {
    rule: 'edge-base',
    why: 'an import upwards',
    files: { 'src/base/planted.ts': "import { decide } from '../gcs/mod.ts';\ndecide();\n" },
  },
  {
    rule: 'edge-gcs',
    why: 'an import between neighbours that never import each other',
    files: {
      'src/node-manager/mod.ts': 'export const lease = 1;\n',
      'src/gcs/planted.ts': "import { lease } from '../node-manager/mod.ts';\nvoid lease;\n",
    },
  },
  {
    rule: 'edge-protocol',
    why: 'a forbidden import of types alone',
    files: {
      'src/gcs/tables.ts': 'export interface Table { size: number }\n',
      'src/protocol/planted.ts': "import type { Table } from '../gcs/tables.ts';\nexport type Planted = Table;\n",
    },
  },
  {
    rule: 'edge-libraries',
    why: 'a library that goes behind the API',
    files: { 'src/libraries/mod.ts': "import { now } from '../base/mod.ts';\nnow();\n" },
  },
  {
    rule: 'edge-gcs',
    why: 'product code that uses the testing part',
    files: { 'src/gcs/planted.ts': "export { cluster } from '../testing/mod.ts';\n" },
  },
  {
    rule: 'unknown-folder',
    why: 'a part that the table does not name',
    files: { 'src/utils/mod.ts': "import { now } from '../base/mod.ts';\nnow();\n" },
  },
  {
    rule: 'cycle',
    why: 'two files that import each other',
    files: {
      'src/base/left.ts': "import { right } from './right.ts';\nexport const left = () => right;\n",
      'src/base/right.ts': "import { left } from './left.ts';\nexport const right = () => left;\n",
    },
  },
  {
    rule: 'past-door',
    why: 'an allowed edge that does not go through the door',
    files: { 'src/protocol/planted.ts': "import { now } from '../base/clock.ts';\nnow();\n" },
  },
  {
    rule: 'past-door',
    why: 'a dynamic import past the door',
    files: { 'src/protocol/planted.ts': "export const clock = () => import('../base/clock.ts');\n" },
  },
  {
    rule: 'past-door-from-outside',
    why: 'an example that reaches inside',
    files: { 'examples/two/main.ts': "import { now } from '../../src/base/mod.ts';\nnow();\n" },
  },
  {
    rule: 'source-imports-outside',
    why: 'product code that imports from an example',
    files: {
      'examples/shared.ts': 'export const shared = 1;\n',
      'src/base/planted.ts': "export { shared } from '../../examples/shared.ts';\n",
    },
  },
  {
    rule: 'unresolvable',
    why: 'an import of nothing',
    files: { 'src/base/planted.ts': "export * from './no-such-file.ts';\n" },
  },
  {
    rule: 'state-does-io',
    why: 'a state machine that imports a builtin',
    files: { 'src/gcs/planted-state.ts': "import { readFileSync } from 'node:fs';\nexport const read = readFileSync;\n" },
  },
  {
    rule: 'state-not-pure',
    why: 'a state machine that reads the clock',
    files: { 'src/gcs/planted-state.ts': 'export const time = () => Date.now();\n' },
  },
  {
    rule: 'state-not-pure',
    why: 'a state machine that waits',
    files: { 'src/gcs/planted-state.ts': 'export async function decide() {}\n' },
  },
];

function plant(root: string, files: Record<string, string>) {
  for (const [name, text] of Object.entries(files)) {
    mkdirSync(dirname(join(root, name)), { recursive: true });
    writeFileSync(join(root, name), text);
  }
}

/** The command itself, as `npm run check:walls` runs it. */
function runCheck(root: string) {
  const run = spawnSync(process.execPath, [checkWalls, '--root', root], { encoding: 'utf8' });
  return { exitCode: run.status, report: run.stdout + run.stderr };
}

describe('check-walls', () => {
  let folder: string;
  before(() => {
    folder = mkdtempSync(join(tmpdir(), 'mantaray-walls-'));
  });
  after(() => rmSync(folder, { recursive: true, force: true }));

  test('the command fails and names what it found', () => {
    const root = join(folder, 'command');
    plant(root, { ...goodTree, ...broken[0]!.files });
    const { exitCode, report } = runCheck(root);
    assert.equal(exitCode, 1, report);
    assert.match(report, /edge-base: src\/base\/planted\.ts → src\/gcs\/mod\.ts/);
  });

  test('passes on a tree that keeps every rule', () => {
    const root = join(folder, 'good');
    plant(root, goodTree);
    assert.deepEqual(runCheck(root), { exitCode: 0, report: '' });
  });

  broken.forEach(({ rule, why, files }, index) => {
    test(`fails on ${why}`, async () => {
      const root = join(folder, `broken-${index}`);
      plant(root, { ...goodTree, ...files });
      const report = await brokenWalls(root);
      assert.ok(
        report.some((line) => line.startsWith(`${rule}: `)),
        `no ${rule} among: ${report.join('; ')}`,
      );
    });
  });
});

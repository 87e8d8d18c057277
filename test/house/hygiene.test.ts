import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, test } from 'node:test';
import { findings } from '../../scripts/check-hygiene.mjs';

let root: string;
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'mantaray-hygiene-'));
});
afterEach(() => rmSync(root, { recursive: true, force: true }));

function check(name: string, content: string): string[] {
  const path = join(root, name);
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, content);
  return findings(root);
}

test('has nothing to say about a tidy file', () => {
  assert.deepEqual(check('src/base/clock.ts', "import { x } from '../shared-memory/mod.ts';\nexport const y = x;\n"), []);
});

// Texts are put together here, so that this file itself stays clean.
const untidy: [name: string, content: string, complaint: RegExp][] = [
  ['a.md', 'See ..' + '/shared/design.md.\n', /outside the repository/],
  ['a.ts', 'export const path = "/work' + '/main/x";\n', /path of one machine/],
  ['.npmrc', 'registry=https://registry' + '.example.org/\n', /host of a package registry/],
  ['package-lock.json', '{ "resolved": "https://packages.example.org/a.tgz" }\n', /where packages were fetched from/],
  [
    'package-lock.json',
    '{ "packages": { "node_modules/a": { "optionalDependencies": { "a-linux": "1", "a-darwin": "1" } }, "node_modules/a-linux": {} } }\n',
    /lacks packages of other platforms: a-darwin/,
  ],
  ['src/long.ts', 'export {};\n'.repeat(501), /has 501 lines/],
  ['src/blanks.ts', 'export {}; \n', /blanks at the end/],
  ['src/lines.ts', 'export {};\r\n', /carriage returns/],
  ['src/a.test.ts', "test." + "only('x', () => {});\n", /hides the others/],
  ['src/camelCase.ts', 'export {};\n', /kebab-case/],
  ['src/base/utils.ts', 'export {};\n', /says nothing/],
];
for (const [name, content, complaint] of untidy) {
  test(`complains about ${name}: ${complaint.source}`, () => {
    const found = check(name, content);
    assert.equal(found.length, 1, found.join('\n'));
    assert.match(found[0]!, complaint);
  });
}

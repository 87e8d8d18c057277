// `npm test` and `npm run verify`: everything that CI runs, quick parts first. The last line is the sum.
// With options (`npm test -- --node 20 --only test/actors`) it builds and runs the selected tests only;
// `--checks` runs only what is not a test.
import { spawnSync } from 'node:child_process';
import { dirname } from 'node:path';
import { fileURLToPath } from 'node:url';
import { runTests, selection } from './run-tests.mjs';

const repository = dirname(dirname(fileURLToPath(import.meta.url)));

const checks = [
  ['hygiene', 'check:hygiene'],
  ['lint', 'lint'],
  ['walls', 'check:walls'],
  ['dead code', 'check:dead'],
  ['types', 'typecheck'],
  ['API report', 'api:check'],
];
const build = ['build', 'build'];

function runCheck([name, script]) {
  const startMs = performance.now();
  const run = spawnSync('npm', ['run', '--silent', script], {
    cwd: repository,
    encoding: 'utf8',
    shell: process.platform === 'win32',
    maxBuffer: 64 * 1024 * 1024,
  });
  const passed = run.status === 0;
  const seconds = ((performance.now() - startMs) / 1000).toFixed(1);
  console.log(`${passed ? 'ok     ' : 'FAILED '} ${name} (${seconds} s)`);
  if (!passed) console.log(`${run.stdout}${run.stderr}${run.error ?? ''}`.trimEnd().replace(/^/gm, '    '));
  return passed;
}

const commandLine = process.argv.slice(2);
const checksOnly = commandLine.includes('--checks');
const isSelection =
  !checksOnly && (commandLine.length > 0 || process.env.MANTARAY_TEST_ONLY !== undefined || process.env.MANTARAY_TEST_NODE !== undefined);

let passed = 0;
let failed = 0;
for (const check of isSelection ? [build] : [...checks, build]) {
  if (runCheck(check)) passed += 1;
  else failed += 1;
}
if (!checksOnly) {
  const tests = await runTests(selection(commandLine));
  passed += tests.passed;
  failed += tests.failed;
}
console.log(`${passed} passed, ${failed} failed`);
process.exitCode = failed === 0 ? 0 : 1;

// A green run is worth what the runner notices.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { runTestFile } from '../../scripts/run-tests.mjs';

const run = (name: string, limits = {}) => runTestFile(process.execPath, `test/house/fixtures/${name}.ts`, limits);

test('counts what passed, was skipped and failed', async () => {
  const { passed, skipped, failures } = await run('mixed');
  assert.deepEqual({ passed, skipped, failed: failures.length }, { passed: 3, skipped: 1, failed: 1 });
  assert.equal(failures[0]!.name, 'bad');
  assert.match(failures[0]!.error, /one is not two/);
});

test('kills a file that hangs, and names the test', async () => {
  const { passed, failures } = await run('hangs', { silenceMs: 2_000 });
  assert.equal(passed, 1);
  assert.equal(failures.length, 1);
  assert.match(failures[0]!.error, /^killed: hung for 2 s; running: "never ends"(\nits processes:\n  pid \d+, state \w, .*--test-reporter)?/);
});

test('fails a file that leaves a process behind, and ends the process', async () => {
  const { passed, failures } = await run('leaks', { processesEndMs: 300 });
  assert.equal(passed, 1);
  assert.deepEqual(failures.map(({ error }) => error), ['left processes running 0.3 s after its end']);
});

test('fails a file without tests', async () => {
  const { failures } = await run('no-tests');
  assert.deepEqual(failures.map(({ error }) => error), ['has no tests']);
});

test('fails a file whose process ends before its tests', async () => {
  const { failures } = await run('leaves-early');
  assert.equal(failures.length, 1);
  assert.match(failures[0]!.error, /^ended before its tests did \(.*SIGKILL\)$/);
});

test('fails a file that cannot be loaded', async () => {
  const { failures, output } = await run('throws-on-import');
  assert.ok(failures.length > 0);
  assert.match(output + failures.map(({ error }) => error).join(), /no such luck/);
});

test('gives properties the same values in each run', async () => {
  const values = async (): Promise<string | undefined> => /values: (.*)/.exec((await run('prints-values')).output)?.[1];
  const first = await values();
  assert.ok(first !== undefined);
  assert.equal(await values(), first);
});

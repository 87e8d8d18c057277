// Runs the tests: every file in a process of its own, on each Node version that is supported.
//   node scripts/run-tests.mjs [--node 20,24] [--only PART_OF_A_PATH]… [--concurrency 3]
// MANTARAY_TEST_NODE and MANTARAY_TEST_ONLY (comma-separated) mean the same as the options.
import { spawn } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative, sep } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { currentMajor, isProvided, nodeBinary, testedMajors } from './node-versions.mjs';
import { filesBelow } from './source-files.mjs';

const repository = dirname(dirname(fileURLToPath(import.meta.url)));

/** A file in which no test begins or ends for so long is killed. */
const silenceMsMax = 120_000;
const fileMsMax = 600_000;
/** Processes that a test file started have so long to end after it. */
const processesEndMsMax = 20_000;
const shownOutputBytesMax = 20_000;
const shownCommandCharactersMax = 120;
/** Linux tells processor time in these. */
const clockTicksPerSecond = 100;
/** One more than a small machine has processors: many tests wait for something most of the time. */
const concurrentFiles = 3;

/** What depends on the Node version; the rest is run on the current one alone. */
const dependsOnNodeVersion = ['src/base/finalizer', 'src/serialization/', 'src/transport/', 'src/object-store/', 'test/'];
const runOnce = ['test/house/', 'test/package/'];
/** In a run of everything, which must not take too long, these run on the current version alone; `--node` runs them on another. */
const runOnceOfAll = [
  ...['docs', 'examples', 'faults', 'simulation', 'cluster', 'cli'].map((folder) => `test/${folder}/`),
  // What the system tells and npm does, and what is built on actors as a program could.
  ...['memory-shortage', 'memory-limits', 'npm-packages', 'held-up', 'working-dir', 'runtime-env', 'queue', 'pool', 'actor-pool', 'explain'].map((name) => `test/conformance/${name}.test.ts`),
  // What is decided above Node: who runs where, how often, and for how long.
  ...['actor-retries', 'actors-handles', 'call-limits', 'fair-sharing', 'joined-drivers', 'max-calls', 'nesting', 'object-listing', 'placement-groups', 'resources', 'retry-exceptions', 'runtime-address', 'scheduling-strategies', 'shared-objects-full', 'task-priority', 'timeline', 'waiting-actors'].map(
    (name) => `test/conformance/${name}.test.ts`,
  ),
  'test/types/checking-cost.test.ts',
  'test/types/contract-program.test.ts',
  'test/bench/',
  // Which object is where, and who gets memory next: pure.
  ...['arena-state', 'object-transfers', 'pull-state', 'room-', 'share-state', 'spill-record', 'spill-state', 'store-state'].map((name) => `src/object-store/${name}`),
];
/** And these are enough for a version between the oldest and the newest. */
const enoughForMiddle = ['actor-calls', 'actors', 'cancellation', 'lifecycle', 'objects', 'references', 'shared-objects', 'streaming', 'tasks', 'worker-crashes']
  .map((name) => `test/conformance/${name}.test.ts`)
  .concat('src/base/', 'src/serialization/', 'src/object-store/native-memory', 'src/object-store/shared-store', 'src/transport/socket-channel', 'src/transport/thread-channel');

const running = new Set();
for (const signal of ['SIGINT', 'SIGTERM']) {
  process.once(signal, () => {
    for (const processId of running) killGroup(processId, 'SIGKILL');
    process.exit(1);
  });
}

function killGroup(processId, signal) {
  try {
    process.kill(process.platform === 'win32' ? processId : -processId, signal);
    return true;
  } catch {
    return false;
  }
}

/** What a file that hangs has running: whether it computes or waits is the first thing to know. */
function processesOfGroup(groupId) {
  if (process.platform !== 'linux') return '';
  const lines = readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .flatMap((pid) => {
      try {
        const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
        // After the name, which may contain anything.
        const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
        if (Number(fields[2]) !== groupId) return [];
        const cpuSeconds = (Number(fields[11]) + Number(fields[12])) / clockTicksPerSecond;
        const command = readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ').slice(0, shownCommandCharactersMax);
        return [`  pid ${pid}, state ${fields[0]}, ${cpuSeconds} s of processor, ${fields[17]} threads: ${command.replaceAll('\n', ' ')}`];
      } catch {
        return [];
      }
    });
  return `\nits processes:\n${lines.join('\n')}`;
}

async function groupEnds(processId, limitMs) {
  if (process.platform === 'win32') return true;
  const deadline = performance.now() + limitMs;
  while (killGroup(processId, 0)) {
    if (performance.now() > deadline) {
      killGroup(processId, 'SIGKILL');
      return false;
    }
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  return true;
}

function testFiles(major, only, isOfAll) {
  const isMiddle = major !== currentMajor && major !== Math.max(...testedMajors);
  return ['src', 'test', 'examples', 'bench']
    .flatMap((folder) => filesBelow(join(repository, folder)))
    .map((path) => relative(repository, path).split(sep).join('/'))
    .filter((path) => path.endsWith('.test.ts') && !path.includes('/fixtures/'))
    .filter((path) => only.length === 0 || only.some((part) => path.includes(part)))
    .filter(
      (path) =>
        major === currentMajor ||
        (dependsOnNodeVersion.some((folder) => path.startsWith(folder)) &&
          !runOnce.some((folder) => path.startsWith(folder)) &&
          (!isOfAll ||
            (!runOnceOfAll.some((folder) => path.startsWith(folder)) &&
              (!isMiddle || enoughForMiddle.some((start) => path.startsWith(start)))))),
    );
}

/** What a file with properties loads first. The others need not pay for it. */
function seedOf(file) {
  const path = join(repository, file);
  return existsSync(path) && readFileSync(path, 'utf8').includes('from "fast-check"') ? ['--import', './scripts/test-seed.mjs'] : [];
}

/**
 * Runs one file and says what became of its tests.
 * @param {string} binary
 * @param {string} file as seen from the repository
 * @param {{ silenceMs?: number, processesEndMs?: number, onExit?: () => void }} options `onExit`: the file's own process has ended
 * @returns {Promise<{ file: string, passed: number, skipped: number, failures: { name: string, error: string }[],
 *   output: string, ms: number }>}
 */
export function runTestFile(binary, file, { silenceMs = silenceMsMax, processesEndMs = processesEndMsMax, onExit = () => undefined } = {}) {
  return new Promise((resolve) => {
    const startMs = performance.now();
    const result = { file, passed: 0, skipped: 0, failures: [], output: '', ms: 0 };
    const begun = [];
    let complete = false;
    let anyEvent = false;
    let killedBecause = null;

    const environment = { ...process.env, FORCE_COLOR: '0' };
    // Set when this runner is itself run by a test; node:test would then report to the wrong parent.
    delete environment.NODE_TEST_CONTEXT;
    const child = spawn(
      binary,
      ['--import', 'tsx', ...seedOf(file), '--test-reporter', './scripts/test-events.mjs', '--test-reporter-destination', 'stdout', file],
      // A process group of its own, so that whatever the file starts can be found and ended with it.
      { cwd: repository, env: environment, detached: process.platform !== 'win32', stdio: ['ignore', 'pipe', 'pipe', 'pipe'] },
    );
    running.add(child.pid);

    const kill = (reason) => {
      const names = begun.map(({ name }) => `"${name}"`).join(' > ');
      killedBecause = `${reason}${names === '' ? '' : `; running: ${names}`}${processesOfGroup(child.pid)}`;
      killGroup(child.pid, 'SIGKILL');
    };
    const fileTimer = setTimeout(kill, fileMsMax, `killed: not finished after ${fileMsMax / 1000} s`);
    let silenceTimer;
    const heard = (limitMs = silenceMs) => {
      clearTimeout(silenceTimer);
      silenceTimer = setTimeout(kill, limitMs, `killed: hung for ${limitMs / 1000} s`);
    };
    // How long a file takes to load says nothing about its tests.
    heard(silenceMsMax);

    const collect = (chunk) => {
      result.output = (result.output + chunk).slice(-shownOutputBytesMax);
    };
    child.stdout.setEncoding('utf8').on('data', collect);
    child.stderr.setEncoding('utf8').on('data', collect);

    let partialLine = '';
    child.stdio[3].setEncoding('utf8').on('data', (chunk) => {
      heard();
      const lines = (partialLine + chunk).split('\n');
      partialLine = lines.pop();
      for (const line of lines) record(JSON.parse(line));
    });
    const record = (event) => {
      anyEvent = true;
      if (event.type === 'complete') complete = true;
      if (event.type === 'begin') begun.push(event);
      if (event.type !== 'end') return;
      const index = begun.findLastIndex(({ name, nesting }) => name === event.name && nesting === event.nesting);
      if (index !== -1) begun.splice(index, 1);
      if (event.outcome === 'failed' && event.isOwnFailure) result.failures.push({ name: event.name, error: event.error });
      if (event.isSuite || event.outcome === 'failed') return;
      result[event.outcome] += 1;
    };

    let exit = null;
    const outputClosed = new Promise((closed) => child.once('close', closed));
    child.once('exit', async (code, signal) => {
      onExit();
      clearTimeout(silenceTimer);
      clearTimeout(fileTimer);
      exit = { code, signal };
      if (!(await groupEnds(child.pid, processesEndMs))) {
        result.failures.push({ name: file, error: `left processes running ${processesEndMs / 1000} s after its end` });
      }
      await outputClosed;
      finish();
    });
    const finish = () => {
      running.delete(child.pid);
      result.ms = performance.now() - startMs;
      const fail = (error) => result.failures.push({ name: file, error });
      if (killedBecause !== null) fail(killedBecause);
      else if (exit.code === 0 && !anyEvent) fail('has no tests');
      else if (!complete) fail(`ended before its tests did (exit code ${exit?.code}, signal ${exit?.signal})`);
      else if (result.failures.length === 0 && exit.code !== 0) fail(`exit code ${exit.code} although no test failed`);
      else if (result.passed + result.skipped + result.failures.length === 0) fail('has no tests');
      resolve(result);
    };
  });
}

function print(result, major) {
  const { file, passed, skipped, failures, output, ms } = result;
  const counts = `${passed} passed${skipped > 0 ? `, ${skipped} skipped` : ''}`;
  const seconds = `${(ms / 1000).toFixed(1)} s`;
  if (failures.length === 0) {
    console.log(`  ok      ${file} on Node ${major} (${counts}, ${seconds})`);
    return;
  }
  console.log(`  FAILED  ${file} on Node ${major} (${counts}, ${failures.length} failed, ${seconds})`);
  const indented = (text, depth) => text.trimEnd().replace(/^/gm, ' '.repeat(depth));
  for (const { name, error } of failures) console.log(`    ✖ ${name}\n${indented(String(error), 6)}`);
  if (output.trim() !== '') console.log(`    output:\n${indented(output, 6)}`);
}

/**
 * @param {{ majors?: number[], only?: string[], concurrency?: number }} options
 * @returns {Promise<{ passed: number, skipped: number, failed: number }>}
 */
export async function runTests({ majors, only = [], concurrency = concurrentFiles }) {
  const total = { passed: 0, skipped: 0, failed: 0 };
  const wanted = majors ?? [currentMajor, ...testedMajors.filter((major) => major !== currentMajor)];
  const runs = [];
  for (const major of wanted) {
    if (majors === undefined && major !== currentMajor && !isProvided()) {
      console.log(`Node ${major}: not tested, npm has no binary of it for ${process.platform} ${process.arch}`);
      continue;
    }
    const files = testFiles(major, only, majors === undefined && only.length === 0);
    if (files.length === 0) continue;
    console.log(`Node ${major}: ${files.length} test files`);
    const binary = nodeBinary(major);
    const ofMajor = { major, passed: 0, failed: 0, left: files.length };
    for (const file of files) runs.push({ binary, file, ofMajor });
  }
  // One queue for all versions: the last long file of one leaves no processor idle.
  const startMs = performance.now();
  const finish = (result, ofMajor) => {
    print(result, ofMajor.major);
    total.passed += result.passed;
    total.skipped += result.skipped;
    total.failed += result.failures.length;
    ofMajor.passed += result.passed;
    ofMajor.failed += result.failures.length;
    if (--ofMajor.left > 0) return;
    console.log(
      `Node ${ofMajor.major}: ${ofMajor.passed} tests passed, ${ofMajor.failed} failed, ` +
        `the last after ${Math.round((performance.now() - startMs) / 1000)} s`,
    );
  };
  const results = [];
  let next = 0;
  const worker = async () => {
    while (next < runs.length) {
      const { binary, file, ofMajor } = runs[next++];
      // Processes that a file has started may take a second to end after it; the next file need not wait for them.
      await new Promise((exited) => {
        results.push(runTestFile(binary, file, { onExit: exited }).then((result) => finish(result, ofMajor)));
      });
    }
  };
  await Promise.all(Array.from({ length: concurrency }, worker));
  await Promise.all(results);
  if (total.passed + total.skipped + total.failed === 0) {
    console.log(`No test file matches${only.map((part) => ` ${part}`).join('')}.`);
    total.failed += 1;
  }
  return total;
}

/** The options of the command line and of the environment, as `runTests` takes them. */
export function selection(commandLine) {
  const { values } = parseArgs({
    args: commandLine,
    options: {
      node: { type: 'string', default: process.env.MANTARAY_TEST_NODE },
      only: { type: 'string', multiple: true, default: process.env.MANTARAY_TEST_ONLY?.split(',') },
      concurrency: { type: 'string', default: String(concurrentFiles) },
    },
  });
  return {
    majors: values.node?.split(',').map(Number),
    only: values.only,
    concurrency: Number(values.concurrency),
  };
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const { passed, failed } = await runTests(selection(process.argv.slice(2)));
  console.log(`${passed} passed, ${failed} failed`);
  process.exitCode = failed === 0 ? 0 : 1;
}

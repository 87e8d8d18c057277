// The public types: one rolled-up dist/index.d.ts (and dist/testing.d.ts), and the API reports in api/, which are in git so
// that a change of the public surface is seen in review.
//   node scripts/api-report.mjs --check     fails if the report is stale
//   node scripts/api-report.mjs --update    rewrites it
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { apiReferenceOf } from './api-reference.mjs';
import { Extractor, ExtractorConfig, ExtractorLogLevel } from '@microsoft/api-extractor';

const repository = dirname(dirname(fileURLToPath(import.meta.url)));
const cache = join(repository, '.cache');
/** What users import: the declarations of each entry, in dist/, with a report of its own. */
const entries = [
  { source: 'main/index', reportName: 'mantaray.api.md', declarations: 'dist/index.d.ts' },
  { source: 'testing/mod', reportName: 'mantaray-testing.api.md', declarations: 'dist/testing.d.ts' },
];

function emitDeclarations() {
  // An incremental build writes nothing for unchanged sources, so its memory goes when its output is gone.
  const missing = () => entries.find(({ source }) => !existsSync(join(cache, `types/${source}.d.ts`)));
  if (missing() !== undefined) rmSync(join(cache, 'types.tsbuildinfo'), { force: true });
  const compiler = createRequire(import.meta.url).resolve('typescript/bin/tsc');
  const run = spawnSync(process.execPath, [compiler, '--project', 'tsconfig.types.json'], {
    cwd: repository,
    encoding: 'utf8',
  });
  if (missing() !== undefined) {
    throw new Error(`The compiler wrote no declarations for src/${missing().source}.ts:\n${run.stdout}${run.stderr}`);
  }
}

function rollUpDeclarations({ source, reportName, declarations }) {
  mkdirSync(join(cache, 'report'), { recursive: true });
  const configuration = ExtractorConfig.prepare({
    configObjectFullPath: join(repository, 'api-extractor.json'),
    packageJsonFullPath: join(repository, 'package.json'),
    configObject: {
      projectFolder: repository,
      mainEntryPointFilePath: join(cache, `types/${source}.d.ts`),
      compiler: { tsconfigFilePath: join(repository, 'tsconfig.json') },
      apiReport: {
        enabled: true,
        reportFileName: reportName,
        // Both in the cache: comparing with the report in git is done below, with a readable difference.
        reportFolder: join(cache, 'report'),
        reportTempFolder: join(cache, 'report-temporary'),
      },
      docModel: { enabled: false },
      tsdocMetadata: { enabled: false },
      dtsRollup: { enabled: true, untrimmedFilePath: join(repository, declarations) },
      newlineKind: 'lf',
      messages: {
        compilerMessageReporting: { default: { logLevel: ExtractorLogLevel.Error } },
        extractorMessageReporting: {
          default: { logLevel: ExtractorLogLevel.Error },
          // Release tags (@public, @beta) are not in use: everything exported is public.
          'ae-missing-release-tag': { logLevel: ExtractorLogLevel.None },
          'ae-undocumented': { logLevel: ExtractorLogLevel.None },
        },
        tsdocMessageReporting: { default: { logLevel: ExtractorLogLevel.None } },
      },
    },
  });
  const problems = [];
  Extractor.invoke(configuration, {
    localBuild: true,
    messageCallback(message) {
      if (message.logLevel === ExtractorLogLevel.Error) problems.push(message.formatMessageWithLocation(repository));
      message.handled = true;
    },
  });
  return problems;
}

function firstDifference(stale, fresh) {
  const before = stale.split('\n');
  const after = fresh.split('\n');
  const line = after.findIndex((text, index) => text !== before[index]);
  const from = line === -1 ? after.length : line;
  const show = (lines, sign) => lines.slice(from, from + 6).map((text) => `  ${sign} ${text}`);
  return [`first difference at line ${from + 1}:`, ...show(before, '-'), ...show(after, '+')].join('\n');
}

/** @param {'build' | 'check' | 'update'} mode `build` makes the declarations and leaves the report alone. */
export function makePublicTypes(mode) {
  emitDeclarations();
  const problems = entries.flatMap((entry) => rollUpDeclarations(entry));
  if (problems.length > 0) throw new Error(`The public types have problems:\n${problems.join('\n')}`);
  if (mode === 'build') return;
  const reports = entries.map(({ reportName }) => [`api/${reportName}`, readFileSync(join(cache, 'report', reportName), 'utf8')]);
  const made = { ...Object.fromEntries(reports), 'docs/api.md': apiReferenceOf(readFileSync(join(repository, 'dist/index.d.ts'), 'utf8')) };
  for (const [name, fresh] of Object.entries(made)) {
    const path = join(repository, name);
    const stale = existsSync(path) ? readFileSync(path, 'utf8') : '';
    if (mode === 'update') writeFileSync(path, fresh);
    else if (stale !== fresh) {
      throw new Error(
        `${name} does not describe the public surface any more; ${firstDifference(stale, fresh)}\n` +
          'If the change is meant, run `npm run api:update` and commit it.',
      );
    }
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  try {
    makePublicTypes(process.argv.includes('--update') ? 'update' : 'check');
  } catch (error) {
    console.error(error.message);
    process.exitCode = 1;
  }
}

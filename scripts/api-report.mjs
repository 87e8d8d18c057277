// The public types: one rolled-up dist/index.d.ts, and the API report api/mantaray.api.md, which is in git so
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
const reportName = 'mantaray.api.md';
const freshReport = join(cache, 'report', reportName);
const rolledUp = join(repository, 'dist/index.d.ts');

function emitDeclarations() {
  // An incremental build writes nothing for unchanged sources, so its memory goes when its output is gone.
  if (!existsSync(join(cache, 'types/main/index.d.ts'))) rmSync(join(cache, 'types.tsbuildinfo'), { force: true });
  const compiler = createRequire(import.meta.url).resolve('typescript/bin/tsc');
  const run = spawnSync(process.execPath, [compiler, '--project', 'tsconfig.types.json'], {
    cwd: repository,
    encoding: 'utf8',
  });
  if (!existsSync(join(cache, 'types/main/index.d.ts'))) {
    throw new Error(`The compiler wrote no declarations for src/main/index.ts:\n${run.stdout}${run.stderr}`);
  }
}

function rollUpDeclarations() {
  mkdirSync(join(cache, 'report'), { recursive: true });
  const configuration = ExtractorConfig.prepare({
    configObjectFullPath: join(repository, 'api-extractor.json'),
    packageJsonFullPath: join(repository, 'package.json'),
    configObject: {
      projectFolder: repository,
      mainEntryPointFilePath: join(cache, 'types/main/index.d.ts'),
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
      dtsRollup: { enabled: true, untrimmedFilePath: rolledUp },
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
  const problems = rollUpDeclarations();
  if (problems.length > 0) throw new Error(`The public types have problems:\n${problems.join('\n')}`);
  if (mode === 'build') return;
  const made = { [`api/${reportName}`]: readFileSync(freshReport, 'utf8'), 'docs/api.md': apiReferenceOf(readFileSync(rolledUp, 'utf8')) };
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

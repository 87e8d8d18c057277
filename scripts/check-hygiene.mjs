// Small things that a reader should never meet in the repository.
//   node scripts/check-hygiene.mjs [--root FOLDER]
import { readFileSync } from 'node:fs';
import { basename, dirname, extname, join, relative, resolve, sep } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { filesOfRepository } from './source-files.mjs';

const repository = dirname(dirname(fileURLToPath(import.meta.url)));

const linesMax = 500;
/** Files that may be longer, each with its reason. */
const longFiles = {};

const code = new Set(['.ts', '.mts', '.cts', '.js', '.mjs', '.cjs']);
const text = new Set([...code, '.json', '.md', '.yml', '.yaml', '.html', '.css', '.sh', '']);

// Written with gaps, so that this file does not contain what it looks for.
const forbiddenTexts = [
  { pattern: new RegExp('\\.\\.' + '/shared\\b(?!\\.|-)'), what: 'names a folder outside the repository' },
  { pattern: new RegExp('(?<![\\w.:/-])/(?:work|root)' + '/'), what: 'has a path of one machine' },
  { pattern: new RegExp('registry' + '\\.[a-z0-9-]+\\.[a-z]'), what: 'names the host of a package registry' },
  { pattern: new RegExp('^(?:<{7}|>{7})' + ' ', 'm'), what: 'has an unresolved merge' },
];
const forbiddenInCode = [
  { pattern: /[ \t]+$/m, what: 'has blanks at the end of a line' },
  { pattern: /\r/, what: 'has carriage returns' },
  { pattern: /^\t/m, what: 'is indented with tabs' },
];
const onlyMark = new RegExp('\\b(?:test|it|describe|suite)\\.' + 'only\\(|\\bonly:' + ' true');

/** @param {string} root */
export function findings(root) {
  return filesOfRepository(root).flatMap((path) => {
    const name = relative(root, path).split(sep).join('/');
    if (!text.has(extname(name)) || name.includes('/data/')) return [];
    const content = readFileSync(path, 'utf8');
    const found = forbiddenTexts.filter(({ pattern }) => pattern.test(content)).map(({ what }) => what);
    if (basename(name) === 'package-lock.json') found.push(...faultsOfLockFile(content));
    if (code.has(extname(name))) {
      found.push(...forbiddenInCode.filter(({ pattern }) => pattern.test(content)).map(({ what }) => what));
      const lines = content.split('\n').length - 1;
      if (lines > linesMax && longFiles[name] === undefined) {
        found.push(`has ${lines} lines, more than ${linesMax}: split it, or give a reason in scripts/check-hygiene.mjs`);
      }
      if (onlyMark.test(content)) found.push('runs one test and hides the others');
      if (!/^[a-z0-9][a-z0-9.-]*$/.test(basename(name))) found.push('has a name that is not in kebab-case');
      if (/(?:^|[/-])(?:utils?|helpers?|misc|common)(?:[/.-]|$)/.test(name)) found.push('has a name that says nothing');
    }
    return found.map((what) => `${name} ${what}`);
  });
}

function faultsOfLockFile(content) {
  const faults = [];
  if (/"resolved": "http/.test(content)) faults.push('names where packages were fetched from');
  const { packages = {} } = JSON.parse(content);
  const missing = Object.entries(packages).flatMap(([path, { optionalDependencies = {} }]) =>
    Object.keys(optionalDependencies).filter((name) => !isInstalledFor(path, name, packages)),
  );
  // npm leaves such a package out when the registry has none of that version, and `npm ci` then refuses the file.
  if (missing.length > 0) faults.push(`lacks packages of other platforms: ${missing.join(', ')}`);
  return faults;
}

/** Node's lookup: in the package's own node_modules, then in that of each folder above. */
function isInstalledFor(path, name, packages) {
  for (let folder = path; ; folder = folder.slice(0, Math.max(0, folder.lastIndexOf('node_modules/') - 1))) {
    if (packages[`${folder === '' ? '' : `${folder}/`}node_modules/${name}`] !== undefined) return true;
    if (folder === '') return false;
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const { values } = parseArgs({ options: { root: { type: 'string', default: repository } } });
  const root = resolve(values.root);
  const found = findings(root);
  const unknown = Object.keys(longFiles).filter((name) => !filesOfRepository(root).includes(join(root, name)));
  for (const name of unknown) found.push(`${name} is excused for its length and does not exist`);
  if (found.length > 0) {
    console.error(found.join('\n'));
    process.exitCode = 1;
  }
}

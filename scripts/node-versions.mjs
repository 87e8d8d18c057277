// The Node versions that the tests run on, as binaries from npm.
// They are not devDependencies: `npm start` should not wait for three times 40 MB, and their bin entries would
// put another `node` first in the PATH of every npm script.
//   node scripts/node-versions.mjs 24        prints the path of that Node's binary
import { existsSync, mkdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { runNpm } from './npm.mjs';

const repository = dirname(dirname(fileURLToPath(import.meta.url)));

/** Major version → the exact one. Pinned, so that a red run is about this project and not about a new Node. */
const versions = { 20: '20.20.2', 22: '22.23.3', 24: '24.21.0' };

export const testedMajors = Object.keys(versions).map(Number);
export const currentMajor = Number(process.versions.node.split('.')[0]);

/** Whether npm has Node's binaries for this kind of machine. */
export function isProvided() {
  return ['linux-x64', 'linux-arm64', 'win32-x64'].includes(`${process.platform}-${process.arch}`);
}

/**
 * @param {number} major
 * @returns the path of the binary, downloaded on first use
 */
export function nodeBinary(major) {
  if (major === currentMajor) return process.execPath;
  const version = versions[major];
  if (version === undefined) throw new Error(`Node ${major} is none of the tested versions: ${testedMajors.join(', ')}.`);
  const platform = process.platform === 'win32' ? 'win' : process.platform;
  const packageName = `node-${platform}-${process.arch}`;
  const folder = join(repository, 'node_modules/.cache/node', version);
  const binary = join(folder, 'node_modules', packageName, 'bin', process.platform === 'win32' ? 'node.exe' : 'node');
  if (existsSync(binary)) return binary;

  // Installed beside and renamed, so that an interrupted download is no half a Node.
  const unfinished = `${folder}.${process.pid}`;
  mkdirSync(unfinished, { recursive: true });
  writeFileSync(join(unfinished, 'package.json'), '{ "private": true }\n');
  try {
    runNpm(
      ['install', '--no-save', '--no-package-lock', '--ignore-scripts', '--prefer-offline', '--no-audit', '--no-fund',
        `${packageName}@${version}`],
      { cwd: unfinished },
    );
    rmSync(folder, { recursive: true, force: true });
    renameSync(unfinished, folder);
  } catch (error) {
    rmSync(unfinished, { recursive: true, force: true });
    throw new Error(`Node ${version} for the tests could not be installed from npm (${packageName}). ${error.message}`, {
      cause: error,
    });
  }
  return binary;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) console.log(nodeBinary(Number(process.argv[2])));

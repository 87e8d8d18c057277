// Runs npm itself.
import { spawnSync } from 'node:child_process';

/** @returns what npm printed; throws with its messages if it fails */
export function runNpm(npmArguments, { cwd }) {
  const path = process.env.npm_execpath;
  const underNode = path !== undefined && /npm-cli\.c?js$/.test(path);
  const run = spawnSync(underNode ? process.execPath : 'npm', underNode ? [path, ...npmArguments] : npmArguments, {
    cwd,
    encoding: 'utf8',
    shell: !underNode && process.platform === 'win32',
    maxBuffer: 64 * 1024 * 1024,
  });
  if (run.status === 0) return run.stdout;
  throw new Error(`npm ${npmArguments.join(' ')} failed: ${run.error?.message ?? ''}${run.stderr}${run.stdout}`);
}

// Which files belong to the project.
import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';

const notOurs = new Set(['node_modules', 'dist', '.git', '.cache']);

/** Every file below a folder, sorted, without what is installed or built. */
export function filesBelow(folder) {
  if (!existsSync(folder)) return [];
  return readdirSync(folder, { withFileTypes: true })
    .sort((left, right) => (left.name < right.name ? -1 : 1))
    .flatMap((entry) => {
      const path = join(folder, entry.name);
      if (entry.isDirectory()) return notOurs.has(entry.name) ? [] : filesBelow(path);
      return entry.isFile() ? [path] : [];
    });
}

/** What a commit of the working tree would hold; without git, every file that is not installed or built. */
export function filesOfRepository(root) {
  const git = spawnSync('git', ['ls-files', '-z', '--cached', '--others', '--exclude-standard'], {
    cwd: root,
    encoding: 'utf8',
    maxBuffer: 64 * 1024 * 1024,
  });
  if (git.status !== 0) return filesBelow(root);
  return [...new Set(git.stdout.split('\0'))]
    .filter((name) => name !== '')
    .map((name) => join(root, name))
    .filter((path) => existsSync(path));
}

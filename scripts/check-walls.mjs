// Fails on an import that crosses a wall (scripts/walls.mjs) and on a state machine that is not pure.
//   node scripts/check-walls.mjs [--root FOLDER]
import { existsSync, readFileSync } from 'node:fs';
import { basename, dirname, join, relative, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { cruise } from 'dependency-cruiser';
import { parseSync } from 'oxc-parser';
import { filesBelow } from './source-files.mjs';
import { forbidden, impureInStateMachines } from './walls.mjs';

const repository = dirname(dirname(fileURLToPath(import.meta.url)));

/** @param {string} root a folder that has src/ in it */
export async function brokenWalls(root) {
  return [...(await forbiddenImports(root)), ...impureStateMachines(root)];
}

async function forbiddenImports(root) {
  const folders = ['src', 'test', 'examples', 'bench'].filter((folder) => existsSync(join(root, folder)));
  const { output } = await cruise(folders, {
    baseDir: root,
    ruleSet: { forbidden },
    validate: true,
    // Imports of types count too: a wall that types cross is no wall for the reader.
    tsPreCompilationDeps: true,
    doNotFollow: { path: 'node_modules' },
    exclude: { path: '(?:^|/)(?:node_modules|dist|fixtures)/' },
    enhancedResolveOptions: {
      extensions: ['.ts', '.mts', '.js', '.mjs', '.cjs', '.json'],
      exportsFields: ['exports'],
      conditionNames: ['import', 'types', 'node', 'default'],
    },
  });
  return output.summary.violations.map((violation) => {
    const way = violation.cycle
      ? [violation.from, ...violation.cycle.map((step) => step.name)].join(' → ')
      : `${violation.from} → ${violation.to}`;
    return `${violation.rule.name}: ${way}`;
  });
}

function impureStateMachines(root) {
  return filesBelow(join(root, 'src'))
    .filter((path) => path.endsWith('-state.ts'))
    .flatMap((path) => {
      const code = withoutComments(path);
      return impureInStateMachines.flatMap(({ pattern, what }) => {
        const match = pattern.exec(code);
        if (match === null) return [];
        const line = code.slice(0, match.index).split('\n').length;
        return [`state-not-pure: ${relative(root, path)}:${line} ${what} (${match[0]})`];
      });
    });
}

function withoutComments(path) {
  const code = readFileSync(path, 'utf8');
  const { comments } = parseSync(basename(path), code);
  return comments.reduceRight(
    (text, { start, end }) => text.slice(0, start) + text.slice(start, end).replace(/[^\n]/g, ' ') + text.slice(end),
    code,
  );
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const { values } = parseArgs({ options: { root: { type: 'string', default: repository } } });
  const broken = await brokenWalls(resolve(values.root));
  if (broken.length > 0) {
    console.error(`${broken.length} walls are broken (scripts/walls.mjs has the rules):\n  ${broken.join('\n  ')}`);
    process.exitCode = 1;
  }
}

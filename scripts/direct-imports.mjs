// A plugin of esbuild that shortens the way to what a file imports.
import { readFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';

/**
 * - What a file takes from the `mod.ts` of a folder is taken from where it is. For esbuild an entry that needs one thing of a folder
 *   needs all that its `mod.ts` names, so that each worker thread would compile what only a node runs, and the other way round.
 * - Node's builtins are asked for by a call. As ES modules they have facades, and making one reads every export, which for node:fs
 *   loads all of its streams: 10 ms of each thread's start. As modules of a bundle they would be a small file each.
 */
export const directImports = {
  name: 'direct-imports',
  setup({ onLoad }) {
    const known = new Map();
    onLoad({ filter: /[\\/]src[\\/].*\.ts$/ }, ({ path }) => {
      const source = readFileSync(path, 'utf8').replace(/^import (?:(\w+)(?:, )?)?(?:\{([^}]*)\}|\* as (\w+))? ?from "(node:[\w/]+)";/gm, (statement, whole, names, all, from) => {
        const module = `process.getBuiltinModule(${JSON.stringify(from)})`;
        const own = namesIn(names ?? '').map(({ theirs, ours }) => (theirs === ours ? ours : `${theirs}: ${ours}`));
        const declared = [whole, all].filter((name) => name !== undefined);
        return declared.map((name) => `const ${name} = ${module};`).concat(own.length > 0 ? `const { ${own.join(', ')} } = ${module};` : []).join(' ') + sameLines(statement);
      });
      if (isModFile(path)) return { contents: source, loader: 'ts' };
      const contents = source.replace(/^(import|export) \{([^}]*)\} from "(\.[^"]*\/mod\.ts)";/gm, (statement, verb, names, from) => {
        const modFile = join(dirname(path), from);
        const places = placesIn(modFile, known);
        const direct = namesIn(names).map(({ theirs, ours }) => {
          const { file, name } = places.get(theirs) ?? { file: modFile, name: theirs };
          return `${verb} { ${name} as ${ours} } from ${JSON.stringify(file)};`;
        });
        return direct.join(' ') + sameLines(statement);
      });
      return { contents, loader: 'ts' };
    });
  },
};

/** What is put in one line has as many after it as before. */
function sameLines(statement) {
  return '\n'.repeat(statement.split('\n').length - 1);
}

/** For a `mod.ts`: each name that it exports → its file, and its name there. Not those of `export *`. */
function placesIn(modFile, known) {
  const found = known.get(modFile);
  if (found !== undefined) return found;
  const places = new Map();
  for (const [, names, from] of readFileSync(modFile, 'utf8').matchAll(/^export \{([^}]*)\} from "(\.[^"]*)";/gm)) {
    const file = join(dirname(modFile), from);
    const further = isModFile(file) ? placesIn(file, known) : new Map();
    for (const { theirs, ours } of namesIn(names)) places.set(ours, further.get(theirs) ?? { file, name: theirs });
  }
  known.set(modFile, places);
  return places;
}

/** Those between the braces of an import or export, but types. */
function namesIn(text) {
  const names = text.split(',').map((name) => name.trim()).filter((name) => name !== '' && !name.startsWith('type '));
  return names.map((name) => {
    const [theirs, ours = theirs] = name.split(' as ');
    return { theirs, ours };
  });
}

function isModFile(path) {
  return basename(path) === 'mod.ts';
}

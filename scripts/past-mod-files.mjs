// A plugin of esbuild for sources whose folders export through a `mod.ts`.
import { readFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';

/**
 * What a file takes from the `mod.ts` of a folder is taken from where it is. For esbuild an entry that needs one thing of a folder
 * needs all that its `mod.ts` names, so that each worker thread would compile what only a node runs, and the other way round.
 */
export const pastModFiles = {
  name: 'past-mod-files',
  setup({ onLoad }) {
    const known = new Map();
    onLoad({ filter: /[\\/]src[\\/].*\.ts$/ }, ({ path }) => {
      if (isModFile(path)) return undefined;
      const contents = readFileSync(path, 'utf8').replace(/^(import|export) \{([^}]*)\} from "(\.[^"]*\/mod\.ts)";/gm, (statement, verb, names, from) => {
        const modFile = join(dirname(path), from);
        const places = placesIn(modFile, known);
        const direct = namesIn(names).map(({ theirs, ours }) => {
          const { file, name } = places.get(theirs) ?? { file: modFile, name: theirs };
          return `${verb} { ${name} as ${ours} } from ${JSON.stringify(file)};`;
        });
        // In the same line, and with as many lines as before.
        return direct.join(' ') + '\n'.repeat(statement.split('\n').length - 1);
      });
      return { contents, loader: 'ts' };
    });
  },
};

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

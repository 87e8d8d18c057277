// A plugin of esbuild for sources whose folders export through a `mod.ts`.
import { readFile } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';

/**
 * What a file takes from the `mod.ts` of a folder is taken from where it is. For esbuild an entry that needs one thing of a folder
 * needs all that its `mod.ts` names, so that each worker thread would compile what only a node runs, and the other way round.
 */
export const pastModFiles = {
  name: 'past-mod-files',
  setup({ onLoad }) {
    const placesIn = cachedPlaces();
    onLoad({ filter: /[\\/]src[\\/].*\.ts$/ }, async ({ path }) => {
      const source = await readFile(path, 'utf8');
      if (basename(path) === 'mod.ts') return { contents: source, loader: 'ts' };
      const statements = /^(import|export) \{([^}]*)\} from "(\.[^"]*\/mod\.ts)";/gm;
      const contents = await replaceAsync(source, statements, async ([statement, verb, names, from]) => {
        const modFile = join(dirname(path), from);
        const places = await placesIn(modFile);
        const named = names.split(',').map((name) => name.trim()).filter((name) => name !== '' && !name.startsWith('type '));
        const direct = named.map((name) => {
          const [theirs, ours = theirs] = name.split(' as ');
          const place = places.get(theirs) ?? { file: modFile, name: theirs };
          return `${verb} { ${place.name} as ${ours} } from ${JSON.stringify(place.file)};`;
        });
        // In the same line, and with as many lines as before.
        return direct.join(' ') + '\n'.repeat(statement.split('\n').length - 1);
      });
      return { contents, loader: 'ts', resolveDir: dirname(path) };
    });
  },
};

/** For a `mod.ts`: each name that it exports → its file, and its name there. Not those of `export *`. */
function cachedPlaces() {
  const known = new Map();
  async function read(modFile) {
    const places = new Map();
    const source = await readFile(modFile, 'utf8');
    for (const [, names, from] of source.matchAll(/^export \{([^}]*)\} from "(\.[^"]*)";/gm)) {
      const file = join(dirname(modFile), from);
      const further = basename(file) === 'mod.ts' ? await placesIn(file) : new Map();
      for (const name of names.split(',').map((one) => one.trim())) {
        const [theirs, ours = theirs] = name.split(' as ');
        if (theirs !== '' && !theirs.startsWith('type ')) places.set(ours, further.get(theirs) ?? { file, name: theirs });
      }
    }
    return places;
  }
  const placesIn = (modFile) => {
    if (!known.has(modFile)) known.set(modFile, read(modFile));
    return known.get(modFile);
  };
  return placesIn;
}

async function replaceAsync(text, pattern, replacement) {
  const replaced = await Promise.all(Array.from(text.matchAll(pattern), replacement));
  return text.replace(pattern, () => replaced.shift());
}

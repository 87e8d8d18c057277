/** The bench is bundled into one flat folder, so that peers are measured without a loader in between. */
export function builtFile(name: string): URL {
  return new URL(`./${name}.js`, import.meta.url);
}

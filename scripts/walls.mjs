// The walls between the parts of src/: which folder may import which, and what a state machine may touch.
// ARCHITECTURE.md explains them; scripts/check-walls.mjs enforces them.

const upToTransport = ['base', 'protocol', 'serialization', 'transport'];
const upToClients = [...upToTransport, 'clients'];

/** Folder of src/ → the folders whose door (mod.ts) it may import. A folder not named here may not exist. */
export const allowedImports = {
  base: [],
  protocol: ['base'],
  serialization: ['base', 'protocol'],
  transport: ['base', 'protocol', 'serialization'],
  clients: upToTransport,
  scheduling: ['base', 'protocol'],
  'runtime-env': ['base', 'protocol'],
  'program-modules': ['base', 'protocol'],
  'object-store': upToClients,
  gcs: [...upToClients, 'scheduling'],
  'node-manager': [...upToClients, 'scheduling', 'object-store'],
  'core-worker': upToClients,
  api: [...upToClients, 'scheduling', 'core-worker'],
  observability: upToClients,
  libraries: ['api'],
  dashboard: ['clients', 'observability'],
  cli: ['main', 'clients', 'observability'],
  main: [
    ...upToClients, 'scheduling', 'object-store', 'gcs', 'node-manager', 'core-worker',
    'api', 'observability', 'libraries', 'dashboard', 'runtime-env', 'program-modules',
  ],
  testing: [
    ...upToClients, 'scheduling', 'object-store', 'gcs', 'node-manager', 'core-worker',
    'api', 'observability', 'libraries', 'dashboard', 'cli', 'main', 'runtime-env', 'program-modules',
  ],
};

/** A test beside its source may also use what src/testing offers. */
const testFile = '\\.test\\.ts$';

function edgeRules() {
  return Object.entries(allowedImports).flatMap(([folder, allowed]) => {
    const inFolders = (folders) => `^src/(?:${folders.join('|')})/`;
    const rule = (name, from, folders) => ({
      name,
      severity: 'error',
      from,
      to: { path: '^src/', pathNot: inFolders(folders) },
    });
    return [
      rule(`edge-${folder}`, { path: `^src/${folder}/`, pathNot: testFile }, [folder, ...allowed]),
      rule(`edge-${folder}-tests`, { path: `^src/${folder}/.*${testFile}` }, [folder, ...allowed, 'testing']),
    ];
  });
}

/** The rules in dependency-cruiser's form. */
export const forbidden = [
  ...edgeRules(),
  {
    name: 'unknown-folder',
    comment: 'A new part of src/ needs its line in scripts/walls.mjs.',
    severity: 'error',
    from: { path: '^src/', pathNot: `^src/(?:${Object.keys(allowedImports).join('|')})/` },
    to: {},
  },
  {
    name: 'cycle',
    severity: 'error',
    from: { path: '^src/' },
    to: { circular: true },
  },
  {
    name: 'past-door',
    comment: 'Another part is entered through its mod.ts only.',
    severity: 'error',
    from: { path: '^src/([^/]+)/' },
    to: { path: '^src/[^/]+/', pathNot: ['^src/$1/', '^src/[^/]+/mod\\.ts$'] },
  },
  {
    name: 'past-door-from-outside',
    comment: 'Examples and the bench are users: they know the package and nothing behind it.',
    severity: 'error',
    from: { path: '^(?:examples|bench)/' },
    to: { path: '^src/', pathNot: '^src/api/mod\\.ts$' },
  },
  {
    name: 'source-imports-outside',
    severity: 'error',
    from: { path: '^src/' },
    to: { path: '^(?:test|examples|bench|scripts)/' },
  },
  {
    name: 'unresolvable',
    severity: 'error',
    from: { path: '^src/' },
    to: { couldNotResolve: true },
  },
  {
    name: 'development-dependency',
    comment: 'An installed package has the dependencies of package.json alone.',
    severity: 'error',
    from: { path: '^src/', pathNot: [testFile, '^src/testing/'] },
    to: { dependencyTypes: ['npm-dev', 'npm-no-pkg', 'npm-unknown'], dependencyTypesNot: ['type-only'] },
  },
  {
    name: 'state-does-io',
    comment: 'A state machine decides; its service acts.',
    severity: 'error',
    from: { path: '-state\\.ts$' },
    to: { dependencyTypes: ['core'], path: '^(?!(?:node:)?(?:assert|util)(?:/|$))' },
  },
];

/** What a state machine (`*-state.ts`) is handed from outside, or must not do at all. */
export const impureInStateMachines = [
  { pattern: /\bDate\.now\b|\bnew Date\(\s*\)|\bperformance\.now\b|\bprocess\.hrtime\b/, what: 'reads the real clock' },
  { pattern: /\bMath\.random\b|\brandom(?:UUID|Bytes|Int)\b|\bgetRandomValues\b/, what: 'draws real random numbers' },
  { pattern: /\b(?:setTimeout|setInterval|setImmediate|queueMicrotask|nextTick)\b/, what: 'starts a timer' },
  { pattern: /\basync\b|\bawait\b|\bnew Promise\b|\bPromise\./, what: 'waits for a promise' },
];

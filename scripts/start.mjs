// `npm start [-- FILE…]`: builds the JavaScript and runs the word count on the text that comes with the
// repository, or on the user's own files. `npm run start:cluster` runs the one on three nodes.
import { spawn } from 'node:child_process';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { buildJavaScript } from './build.mjs';

const repository = dirname(dirname(fileURLToPath(import.meta.url)));
const [example, ...commandLine] = process.argv.slice(2);
await buildJavaScript();

// npm runs scripts in the package's folder; a file is named as seen from where the user stands.
const workingFolder = process.env.INIT_CWD ?? process.cwd();
const tsx = import.meta.resolve('tsx');
const program = spawn(
  process.execPath,
  ['--import', tsx, join(repository, 'examples', example, 'main.ts'), ...commandLine],
  { cwd: workingFolder, stdio: 'inherit' },
);
for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => program.kill(signal));
program.once('exit', (code) => {
  process.exitCode = code ?? 1;
});

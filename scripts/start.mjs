// `npm start [-- FILE…]`: builds the JavaScript and runs the word count on the text that comes with the
// repository, or on the user's own files.
import { spawn } from 'node:child_process';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { buildJavaScript } from './build.mjs';

const repository = dirname(dirname(fileURLToPath(import.meta.url)));
await buildJavaScript();

// npm runs scripts in the package's folder; a file is named as seen from where the user stands.
const workingFolder = process.env.INIT_CWD ?? process.cwd();
const tsx = import.meta.resolve('tsx');
const program = spawn(
  process.execPath,
  ['--import', tsx, join(repository, 'examples/word-count/main.ts'), ...process.argv.slice(2)],
  { cwd: workingFolder, stdio: 'inherit' },
);
for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => program.kill(signal));
program.once('exit', (code) => {
  process.exitCode = code ?? 1;
});

// What a program's remote functions, classes and calls cost TypeScript, in instantiated types, which are the same on every machine. The
// bench has the seconds.
import assert from "node:assert/strict";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import ts from "typescript";
import { programWith } from "../../bench/typing/declarations.ts";

const repository = fileURLToPath(new URL("../..", import.meta.url));
/** A function and a class, with their seven calls; 709 when this was written. */
const INSTANTIATIONS_PER_PAIR_MAX = 800;

interface Checked {
  readonly problems: readonly string[];
  readonly instantiations: number;
}

function check(source: string): Checked {
  const file = `${repository}many-declarations.mts`;
  const options: ts.CompilerOptions = {
    ...{ strict: true, noUncheckedIndexedAccess: true, skipLibCheck: true, noEmit: true, types: ["node"] },
    ...{ target: ts.ScriptTarget.ES2023, module: ts.ModuleKind.NodeNext, moduleResolution: ts.ModuleResolutionKind.NodeNext },
  };
  const host = ts.createCompilerHost(options);
  const { fileExists, readFile, getSourceFile } = host;
  host.fileExists = (name) => name === file || fileExists(name);
  host.readFile = (name) => (name === file ? source : readFile(name));
  host.getSourceFile = (name, target) => (name === file ? ts.createSourceFile(name, source, { languageVersion: ts.ScriptTarget.ES2023, impliedNodeFormat: ts.ModuleKind.ESNext }) : getSourceFile(name, target));
  const program = ts.createProgram([file], options, host);
  const problems = ts.getPreEmitDiagnostics(program).map(({ messageText }) => ts.flattenDiagnosticMessageText(messageText, "\n"));
  return { problems, instantiations: program.getInstantiationCount() };
}

test("grows by a little with each declaration, and no faster with many", () => {
  const [few, more, most] = [20, 60, 100].map((count) => check(programWith(count, "mantaray"))) as [Checked, Checked, Checked];
  assert.deepEqual(most.problems, []);
  const perPair = (more.instantiations - few.instantiations) / 20;
  assert.ok(perPair > 0 && perPair <= INSTANTIATIONS_PER_PAIR_MAX, `${perPair} instantiations for a function and a class`);
  assert.equal(most.instantiations - more.instantiations, more.instantiations - few.instantiations, "as many for the next 40 declarations");
});

// The names that programs rely on, whatever the inside becomes: fixtures/contract.d.ts has them, with their shapes. A program that
// uses them all is checked against the contract and against the package, and runs.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { fileURLToPath } from "node:url";
import { readFileSync } from "node:fs";
import ts from "typescript";
import * as ray from "mantaray";
import { runProgram } from "../conformance/child-program.ts";

const fileIn = (path: string): string => fileURLToPath(new URL(path, import.meta.url));
const program = fileIn("fixtures/every-name.ts");
const contract = fileIn("fixtures/contract.d.ts");

function checked(mantaray: string): ts.Program {
  const { config } = ts.readConfigFile(fileIn("../../tsconfig.json"), ts.sys.readFile) as { config: { compilerOptions: object } };
  const { options } = ts.convertCompilerOptionsFromJson({ ...config.compilerOptions, noEmit: true, paths: { mantaray: [mantaray] } }, fileIn("../.."));
  return ts.createProgram([program], options);
}

function namesIn(checkedProgram: ts.Program, file: string): string[] {
  const checker = checkedProgram.getTypeChecker();
  const symbol = checker.getSymbolAtLocation(checkedProgram.getSourceFile(file) as ts.SourceFile);
  return checker.getExportsOfModule(symbol as ts.Symbol).map(({ name }) => name).sort();
}

const problemsOf = (checkedProgram: ts.Program): string[] => ts.getPreEmitDiagnostics(checkedProgram).map(({ messageText }) => ts.flattenDiagnosticMessageText(messageText, "\n"));

describe("a program that uses every name of the contract", () => {
  const againstContract = checked(contract);

  test("means what the contract says, and names all of it", () => {
    assert.deepEqual(problemsOf(againstContract), []);
    const used = new Set([...readFileSync(program, "utf8").matchAll(/\bray\.(\w+)/g)].map(([, name]) => name));
    assert.deepEqual(namesIn(againstContract, contract).filter((name) => !used.has(name)), []);
  });

  test("means the same to the package, which has all names", () => {
    const source = fileIn("../../src/main/index.ts");
    const againstPackage = checked(source);
    assert.deepEqual(problemsOf(againstPackage), []);
    const has = new Set([...namesIn(againstPackage, source), ...Object.keys(ray)]);
    assert.deepEqual(namesIn(againstContract, contract).filter((name) => !has.has(name)), []);
  });

  test("runs", async () => {
    const { exitCode, stdout, stderr } = await runProgram({ files: { "main.ts": readFileSync(program, "utf8") } });
    assert.equal(exitCode, 0, stderr);
    assert.deepEqual(JSON.parse(stdout), {
      errors: true,
      values: [1, "b", 16, 1, [1, 2], [0, 1, 2], 15, [16, 18], [{ name: "counter", namespace: (JSON.parse(stdout) as { values: { namespace: string }[][] }).values[8]?.[0]?.namespace }], "first", "object", true],
      node: [true, true, 1, 1, true, true],
    });
  });
});

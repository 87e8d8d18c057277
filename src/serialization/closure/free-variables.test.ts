import assert from "node:assert/strict";
import { test } from "node:test";
import { parseFunction } from "./function-syntax.ts";

function freeNames(text: string): string[] {
  return [...parseFunction(text, true).variables.names].sort();
}

test("what a function declares is not free", () => {
  assert.deepEqual(freeNames("(a, { b, c: [d] = outer }, ...e) => { let f = a + b + d + e; { const g = f; } return g; }"), ["g", "outer"]);
  assert.deepEqual(freeNames("function f(n) { if (n) { var x = 1; } return x + f(n - 1); }"), []);
  assert.deepEqual(freeNames("() => { for (const i of list) sum += i; return i; }"), ["i", "list", "sum"]);
  assert.deepEqual(freeNames("() => { try { a(); } catch ({ message }) { return message; } finally { b(); } }"), ["a", "b"]);
  assert.deepEqual(freeNames("() => { switch (x) { case 1: let y = z; return y; } return y; }"), ["x", "y", "z"]);
  assert.deepEqual(freeNames("() => { outer: for (;;) { break outer; } class A extends B { m() { return A; } } return A; }"), ["B"]);
  assert.deepEqual(freeNames("() => ({ shorthand, [computed]: 1, key: value, method() { return shorthand; } })"), ["computed", "shorthand", "value"]);
  assert.deepEqual(freeNames("() => tag`x${y}` ?? z?.w"), ["tag", "y", "z"]);
});

test("functions in blocks belong to the function in sloppy code only", () => {
  const text = "function () { { function inner() {} } return inner; }";
  assert.deepEqual([...parseFunction(text, false).variables.names], []);
  assert.deepEqual([...parseFunction(text, true).variables.names], ["inner"]);
});

test("assignments, members, typeof and #private names are told apart", () => {
  const { variables } = parseFunction("() => { a = 1; b++; ({ c } = d); e.f = g.h.i; typeof maybe; [j.k] = l; }", true);
  assert.deepEqual([...variables.assigned].sort(), ["a", "b", "c"]);
  assert.deepEqual([variables.members.get("e"), variables.members.get("g"), variables.members.get("d")], [new Set(["f"]), new Set(["h"]), null]);
  assert.deepEqual([...variables.typeofChecked], ["maybe"]);
  const method = parseFunction("read(other) { return other.#x + class { #y; z() { return this.#y; } }; }", true);
  assert.deepEqual([method.form, ...method.variables.privateNames], ["method", "#x"]);
});

test("`this`, `arguments`, super, new.target, import.meta and eval", () => {
  const arrow = parseFunction("() => [this, arguments, function () { return [this, arguments, new.target]; }]", true);
  assert.deepEqual([arrow.variables.usesThis, arrow.variables.usesArguments, arrow.variables.usesNewTarget], [true, true, false]);
  const method = parseFunction("get x() { return super.x; }", true);
  assert.deepEqual([method.kind, method.variables.usesSuper], ["get", true]);
  assert.equal(parseFunction("() => eval('x')", true).variables.usesDirectEval, true);
  assert.equal(parseFunction("(eval) => eval('x')", false).variables.usesDirectEval, false);
  const text = "() => import.meta.url";
  const [range] = parseFunction(text, true).variables.importMeta;
  assert.equal(text.slice(range?.start, range?.end), "import.meta");
});

test("what only the definition of a class runs is not needed", () => {
  const text = "class A extends Base { static a = once(); static { setUp(); } [key]() {} static f = () => later; b = init(); }";
  const syntax = parseFunction(text, true);
  assert.deepEqual([...syntax.variables.names].sort(), ["init", "later"]);
  assert.deepEqual(syntax.classSyntax?.members.map((member) => [member.kind, member.isStatic]), [
    ["field", true],
    ["staticBlock", true],
    ["method", false],
    ["field", true],
    ["field", false],
  ]);
});

import { createRequire } from "node:module";
import type * as Acorn from "acorn";
import { FreeVariables } from "./free-variables.ts";

export interface Range {
  readonly start: number;
  readonly end: number;
}

/** What a function's own text (`toString()`) tells. Offsets count from the beginning of that text. */
export interface FunctionSyntax {
  /** What has to stand around the text to make an expression of it. */
  readonly form: "expression" | "method" | "classMember";
  readonly kind: "class" | "arrow" | "function" | "method" | "get" | "set";
  readonly isAsync: boolean;
  readonly isGenerator: boolean;
  readonly variables: FreeVariables;
  /** Where V8 says that the function is: at its parameters, for most forms. */
  readonly locationOffset: number;
  /** A method's key. */
  readonly key: Range | undefined;
  readonly classSyntax: ClassSyntax | undefined;
}
export interface ClassSyntax {
  readonly heritage: Range | undefined;
  readonly isDerived: boolean;
  /** Just after the opening brace. */
  readonly bodyStart: number;
  /** Just after the opening brace of the constructor's body; undefined if the constructor is implicit. */
  readonly constructorBodyStart: number | undefined;
  readonly constructorParameterCount: number;
  readonly members: readonly ClassMember[];
}
export interface ClassMember extends Range {
  readonly kind: "method" | "get" | "set" | "field" | "staticBlock";
  readonly isStatic: boolean;
  /** As written, "#name" for private ones; undefined for computed keys and blocks. */
  readonly name: string | undefined;
  readonly computedKey: (Range & { readonly variables: FreeVariables }) | undefined;
  readonly initializer: (Range & { readonly isFunction: boolean; readonly hasEffects: boolean }) | undefined;
}

const FORMS = [
  ["expression", "(", "\n)"],
  ["method", "({", "\n})"],
  ["classMember", "(class{", "\n})"],
] as const;

const cache = new Map<string, FunctionSyntax>();
/** Programs that make functions of ever new text must not fill the memory with their syntax. */
const CACHED_FUNCTIONS_MAX = 2_000;

export function parseFunction(text: string, isStrict: boolean): FunctionSyntax {
  const key = (isStrict ? "s" : "l") + text;
  let syntax = cache.get(key);
  if (syntax === undefined) {
    if (cache.size >= CACHED_FUNCTIONS_MAX) cache.clear();
    syntax = parseUncached(text, isStrict);
    cache.set(key, syntax);
  }
  return syntax;
}

let acorn: typeof Acorn | undefined;
/** Loaded at the first capture: a program that only imports the package does not pay for it. */
export function loadAcorn(): typeof Acorn {
  return (acorn ??= createRequire(import.meta.url)("acorn") as typeof Acorn);
}

function parseUncached(text: string, isStrict: boolean): FunctionSyntax {
  let firstFailure: unknown;
  for (const [form, before, after] of FORMS) {
    let program: Acorn.Program;
    try {
      program = loadAcorn().parse(before + text + after, {
        ecmaVersion: "latest",
        sourceType: isStrict ? "module" : "script",
        allowImportExportEverywhere: true,
        allowAwaitOutsideFunction: false,
        allowSuperOutsideMethod: true,
        checkPrivateFields: false,
      });
    } catch (error) {
      firstFailure ??= error;
      continue;
    }
    const statement = program.body[0];
    if (statement?.type !== "ExpressionStatement") break;
    const { expression } = statement;
    const locationOffset = locationOf(expression, before + text) - before.length;
    return { ...describe(form, expression, before.length, isStrict), locationOffset };
  }
  throw firstFailure ?? new SyntaxError("not a function");
}

/** V8 places arrow functions where they begin, all others at the parenthesis of their parameters: a class at its constructor's. */
function locationOf(expression: Acorn.Expression, text: string): number {
  switch (expression.type) {
    case "FunctionExpression": {
      const afterName = expression.id?.end ?? expression.start;
      const comment = /\/\*[^]*?\*\/|\/\/.*|[^(/]/y;
      comment.lastIndex = afterName;
      let position = afterName;
      while (comment.test(text)) position = comment.lastIndex;
      return position;
    }
    case "ClassExpression": {
      const members = expression.body.body;
      const explicit = members.find((member) => member.type === "MethodDefinition" && member.kind === "constructor");
      if (explicit !== undefined) return (explicit as Acorn.MethodDefinition).value.start;
      const [only] = members;
      return text.startsWith("(class{") && only?.type === "MethodDefinition" ? only.value.start : expression.start;
    }
    case "ObjectExpression": {
      const [method] = expression.properties;
      return method?.type === "Property" ? method.value.start : expression.start;
    }
    default:
      return expression.start;
  }
}

function describe(
  form: FunctionSyntax["form"],
  expression: Acorn.Expression,
  offset: number,
  isStrict: boolean,
): Omit<FunctionSyntax, "locationOffset"> {
  const variables = new FreeVariables(offset, isStrict);
  const rangeOf = (node: Acorn.Node): Range => ({ start: node.start - offset, end: node.end - offset });

  if (form === "expression") {
    if (expression.type === "ClassExpression") {
      const classSyntax = describeClass(expression, offset, isStrict);
      variables.visitShippedClass(expression);
      return { form, kind: "class", isAsync: false, isGenerator: false, variables, key: undefined, classSyntax };
    }
    if (expression.type !== "ArrowFunctionExpression" && expression.type !== "FunctionExpression") {
      throw new SyntaxError("not a function");
    }
    variables.visitFunction(expression);
    const kind = expression.type === "ArrowFunctionExpression" ? "arrow" : "function";
    return {
      form,
      kind,
      isAsync: expression.async,
      isGenerator: expression.generator,
      variables,
      key: undefined,
      classSyntax: undefined,
    };
  }

  const member =
    expression.type === "ObjectExpression"
      ? expression.properties[0]
      : expression.type === "ClassExpression"
        ? expression.body.body[0]
        : undefined;
  if (member === undefined || (member.type !== "Property" && member.type !== "MethodDefinition")) {
    throw new SyntaxError("not a method");
  }
  const method = member.value as Acorn.FunctionExpression;
  variables.visitFunction({ ...method, id: null });
  return {
    form,
    kind: member.kind === "get" || member.kind === "set" ? member.kind : "method",
    isAsync: method.async,
    isGenerator: method.generator,
    variables,
    // The brackets of a computed key are part of what is replaced.
    key: member.computed
      ? { start: member.key.start - offset, end: member.key.end - offset }
      : rangeOf(member.key),
    classSyntax: undefined,
  };
}

function describeClass(node: Acorn.ClassExpression, offset: number, isStrict: boolean): ClassSyntax {
  const range = (inner: Acorn.Node): Range => ({ start: inner.start - offset, end: inner.end - offset });
  let constructorBodyStart: number | undefined;
  let constructorParameterCount = 0;
  const members: ClassMember[] = [];
  for (const element of node.body.body) {
    if (element.type === "StaticBlock") {
      members.push({
        ...range(element),
        kind: "staticBlock",
        isStatic: true,
        name: undefined,
        computedKey: undefined,
        initializer: undefined,
      });
      continue;
    }
    if (element.type === "MethodDefinition" && element.kind === "constructor") {
      constructorBodyStart = element.value.body.start + 1 - offset;
      constructorParameterCount = element.value.params.length;
      continue;
    }
    const { key } = element;
    let name: string | undefined;
    if (!element.computed) {
      if (key.type === "PrivateIdentifier") name = `#${key.name}`;
      else if (key.type === "Identifier") name = key.name;
      else if (key.type === "Literal") name = String(key.value);
    }
    const initializer = element.type === "PropertyDefinition" ? element.value : null;
    let computedKey: ClassMember["computedKey"];
    if (element.computed) {
      const variables = new FreeVariables(offset, isStrict);
      variables.visit(key);
      computedKey = { ...range(key), variables };
    }
    members.push({
      ...range(element),
      kind: element.type === "PropertyDefinition" ? "field" : (element.kind as "method" | "get" | "set"),
      isStatic: element.static,
      name,
      computedKey,
      initializer:
        initializer === null || initializer === undefined
          ? undefined
          : { ...range(initializer), isFunction: isFunctionLike(initializer), hasEffects: mayHaveEffects(initializer) },
    });
  }
  return {
    // `extends null` stays as it is.
    heritage: !node.superClass || node.superClass.type === "Literal" ? undefined : range(node.superClass),
    isDerived: Boolean(node.superClass),
    bodyStart: node.body.start + 1 - offset,
    constructorBodyStart,
    constructorParameterCount,
    members,
  };
}

/** A function, whose evaluation does nothing but make it. Classes run code of their own when evaluated. */
export function isFunctionLike(node: Acorn.Node): boolean {
  return node.type === "ArrowFunctionExpression" || node.type === "FunctionExpression";
}

function mayHaveEffects(node: Acorn.Node): boolean {
  return !(isFunctionLike(node) || node.type === "Literal");
}

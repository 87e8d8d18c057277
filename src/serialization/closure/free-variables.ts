import type * as Acorn from "acorn";

type Node = Acorn.AnyNode;
type FunctionNode =
  | Acorn.FunctionExpression
  | Acorn.FunctionDeclaration
  | Acorn.AnonymousFunctionDeclaration
  | Acorn.ArrowFunctionExpression;
type ClassNode = Acorn.ClassExpression | Acorn.ClassDeclaration | Acorn.AnonymousClassDeclaration;

/**
 * Finds what a function takes from outside: variables, `this`, `arguments`… A walk over the syntax with the scopes
 * that the function itself declares; whatever name is in none of them is free.
 */
export class FreeVariables {
  readonly names = new Set<string>();
  readonly assigned = new Set<string>();
  /** Names only ever asked for with `typeof`, or used as well: `typeof x` of an undeclared x is no mistake. */
  readonly typeofChecked = new Set<string>();
  /** The properties read of a free variable, or null where it is used as a whole. */
  readonly members = new Map<string, Set<string> | null>();
  /** #names used and declared by no class inside the text. */
  readonly privateNames = new Set<string>();
  readonly importMeta: { readonly start: number; readonly end: number }[] = [];
  /** The words `import` of `import()`. */
  readonly imports: { readonly start: number; readonly end: number }[] = [];
  usesThis = false;
  usesArguments = false;
  usesSuper = false;
  /** In an arrow function: that of the method around it. */
  usesSuperOutside = false;
  usesNewTarget = false;
  usesDirectEval = false;

  readonly #offset: number;
  readonly #isStrict: boolean;
  readonly #scopes: Set<string>[] = [];
  readonly #privateScopes: Set<string>[] = [];
  /** How many functions with a `this` of their own enclose the place. */
  #thisDepth = 0;

  constructor(offset: number, isStrict: boolean) {
    this.#offset = offset;
    this.#isStrict = isStrict;
  }

  visitFunction(node: FunctionNode): void {
    const isArrow = node.type === "ArrowFunctionExpression";
    const ownName = new Set<string>();
    if (node.type === "FunctionExpression" && node.id) ownName.add(node.id.name);
    this.#within(ownName, () => {
      const locals = new Set<string>();
      for (const parameter of node.params) declarePattern(parameter, locals);
      if (!isArrow) {
        locals.add("arguments");
        this.#thisDepth++;
      }
      const { body } = node;
      if (body.type === "BlockStatement") {
        for (const statement of body.body) this.#hoist(statement, locals);
        declareLexical(body.body, locals);
      }
      this.#within(locals, () => {
        for (const parameter of node.params) this.#visitPattern(parameter);
        if (body.type === "BlockStatement") for (const statement of body.body) this.visit(statement);
        else this.visit(body);
      });
      if (!isArrow) this.#thisDepth--;
    });
  }

  /**
   * The class that is being shipped: its heritage, static blocks and static values are taken as they are now instead of
   * being evaluated again, so what only they mention is not needed. Computed keys are looked at one by one later.
   */
  visitShippedClass(node: Acorn.ClassExpression): void {
    this.#visitClass(node, true);
  }

  visit(node: Acorn.Node | null | undefined): void {
    if (node === null || node === undefined) return;
    this.#visitNode(node as Node);
  }

  #visitNode(node: Node): void {
    switch (node.type) {
      case "Identifier":
        this.#reference(node.name, false);
        return;
      case "FunctionExpression":
      case "FunctionDeclaration":
      case "ArrowFunctionExpression":
        this.visitFunction(node);
        return;
      case "ClassExpression":
      case "ClassDeclaration":
        this.#visitClass(node, false);
        return;
      case "MemberExpression":
        this.#visitMember(node);
        return;
      case "Property":
        if (node.computed) this.visit(node.key);
        this.visit(node.value);
        return;
      case "VariableDeclaration":
        for (const declarator of node.declarations) {
          this.#visitPattern(declarator.id);
          this.visit(declarator.init);
        }
        return;
      case "BlockStatement":
        this.#visitBlock(node.body);
        return;
      case "ForStatement": {
        const locals = new Set<string>();
        if (node.init?.type === "VariableDeclaration") declareLexical([node.init], locals);
        this.#within(locals, () => {
          this.visit(node.init);
          this.visit(node.test);
          this.visit(node.update);
          this.visit(node.body);
        });
        return;
      }
      case "ForInStatement":
      case "ForOfStatement": {
        const locals = new Set<string>();
        const { left } = node;
        if (left.type === "VariableDeclaration") declareLexical([left], locals);
        this.#within(locals, () => {
          if (left.type === "VariableDeclaration") this.visit(left);
          else this.#visitAssignmentTarget(left);
          this.visit(node.right);
          this.visit(node.body);
        });
        return;
      }
      case "SwitchStatement": {
        this.visit(node.discriminant);
        const locals = new Set<string>();
        declareLexical(
          node.cases.flatMap((branch) => branch.consequent),
          locals,
        );
        this.#within(locals, () => {
          for (const branch of node.cases) {
            this.visit(branch.test);
            for (const statement of branch.consequent) this.visit(statement);
          }
        });
        return;
      }
      case "CatchClause": {
        const locals = new Set<string>();
        if (node.param) declarePattern(node.param, locals);
        this.#within(locals, () => {
          if (node.param) this.#visitPattern(node.param);
          this.visit(node.body);
        });
        return;
      }
      case "LabeledStatement":
        this.visit(node.body);
        return;
      case "BreakStatement":
      case "ContinueStatement":
        return;
      case "AssignmentExpression":
        if (node.operator === "=") this.#visitAssignmentTarget(node.left);
        else if (node.left.type === "Identifier") this.#reference(node.left.name, true);
        else this.visit(node.left);
        this.visit(node.right);
        return;
      case "UpdateExpression":
        if (node.argument.type === "Identifier") this.#reference(node.argument.name, true);
        else this.visit(node.argument);
        return;
      case "UnaryExpression":
        if (node.operator === "typeof" && node.argument.type === "Identifier" && !this.#isDeclared(node.argument.name)) {
          this.typeofChecked.add(node.argument.name);
        }
        this.visit(node.argument);
        return;
      case "ThisExpression":
        if (this.#thisDepth === 0) this.usesThis = true;
        return;
      case "Super":
        this.usesSuper = true;
        if (this.#thisDepth === 0) this.usesSuperOutside = true;
        return;
      case "MetaProperty":
        if (node.meta.name === "import") {
          this.importMeta.push({ start: node.start - this.#offset, end: node.end - this.#offset });
        } else if (this.#thisDepth === 0) {
          this.usesNewTarget = true;
        }
        return;
      case "ImportExpression": {
        const start = node.start - this.#offset;
        this.imports.push({ start, end: start + "import".length });
        this.visit(node.source);
        if (node.options) this.visit(node.options);
        return;
      }
      case "PrivateIdentifier":
        this.#privateName(node.name);
        return;
      case "CallExpression":
        if (node.callee.type === "Identifier" && node.callee.name === "eval" && !this.#isDeclared("eval")) {
          this.usesDirectEval = true;
        }
        this.#visitChildren(node);
        return;
      default:
        this.#visitChildren(node);
    }
  }

  #visitChildren(node: Node): void {
    for (const value of Object.values(node) as unknown[]) {
      if (Array.isArray(value)) {
        for (const item of value) if (isNode(item)) this.visit(item);
      } else if (isNode(value)) {
        this.visit(value);
      }
    }
  }

  #visitMember(node: Acorn.MemberExpression): void {
    const { object, property } = node;
    if (object.type === "Identifier" && !node.computed && property.type === "Identifier") {
      this.#reference(object.name, false, property.name);
    } else {
      this.visit(object);
    }
    if (node.computed || property.type === "PrivateIdentifier") this.visit(property);
  }

  #visitClass(node: ClassNode, isShipped: boolean): void {
    const ownName = new Set<string>();
    if (node.id) ownName.add(node.id.name);
    const privateNames = new Set<string>();
    for (const element of node.body.body) {
      if (element.type !== "StaticBlock" && element.key.type === "PrivateIdentifier") privateNames.add(element.key.name);
    }
    this.#within(ownName, () => {
      if (!isShipped) this.visit(node.superClass);
      this.#privateScopes.push(privateNames);
      for (const element of node.body.body) this.#visitClassElement(element, isShipped);
      this.#privateScopes.pop();
    });
  }

  #visitClassElement(
    element: Acorn.MethodDefinition | Acorn.PropertyDefinition | Acorn.StaticBlock,
    isShipped: boolean,
  ): void {
    if (element.type === "StaticBlock") {
      if (isShipped) return;
      const locals = new Set(["arguments"]);
      for (const statement of element.body) this.#hoist(statement, locals);
      declareLexical(element.body, locals);
      this.#thisDepth++;
      this.#within(locals, () => {
        for (const statement of element.body) this.visit(statement);
      });
      this.#thisDepth--;
      return;
    }
    if (element.computed && !isShipped) this.visit(element.key);
    if (element.type === "MethodDefinition") {
      this.visitFunction(element.value);
      return;
    }
    const value = element.value;
    if (!value) return;
    const staysInText = value.type === "ArrowFunctionExpression" || value.type === "FunctionExpression";
    if (isShipped && element.static && !staysInText) return;
    this.#thisDepth++;
    this.#within(new Set(["arguments"]), () => this.visit(value));
    this.#thisDepth--;
  }

  #visitBlock(statements: readonly Acorn.Statement[]): void {
    const locals = new Set<string>();
    declareLexical(statements, locals);
    this.#within(locals, () => {
      for (const statement of statements) this.visit(statement);
    });
  }

  /** A pattern that declares: only its defaults and computed keys refer to anything. */
  #visitPattern(pattern: Acorn.Pattern | null): void {
    this.#visitPatternParts(pattern, () => undefined);
  }

  /** A pattern that assigns to what exists. */
  #visitAssignmentTarget(pattern: Acorn.Pattern): void {
    this.#visitPatternParts(pattern, (name) => this.#reference(name, true));
  }

  #visitPatternParts(pattern: Acorn.Pattern | null, onName: (name: string) => void): void {
    if (pattern === null) return;
    switch (pattern.type) {
      case "Identifier":
        onName(pattern.name);
        return;
      case "AssignmentPattern":
        this.#visitPatternParts(pattern.left, onName);
        this.visit(pattern.right);
        return;
      case "ObjectPattern":
        for (const property of pattern.properties) {
          if (property.type === "RestElement") {
            this.#visitPatternParts(property.argument, onName);
          } else {
            if (property.computed) this.visit(property.key);
            this.#visitPatternParts(property.value, onName);
          }
        }
        return;
      case "ArrayPattern":
        for (const element of pattern.elements) this.#visitPatternParts(element, onName);
        return;
      case "RestElement":
        this.#visitPatternParts(pattern.argument, onName);
        return;
      default:
        this.visit(pattern);
    }
  }

  #reference(name: string, isAssignment: boolean, member?: string): void {
    if (this.#isDeclared(name)) return;
    if (name === "arguments" && this.#thisDepth === 0) {
      this.usesArguments = true;
      return;
    }
    this.names.add(name);
    if (isAssignment) this.assigned.add(name);
    if (member === undefined) {
      this.members.set(name, null);
      return;
    }
    const known = this.members.get(name);
    if (known === undefined) this.members.set(name, new Set([member]));
    else known?.add(member);
  }

  #privateName(name: string): void {
    if (!this.#privateScopes.some((scope) => scope.has(name))) this.privateNames.add(`#${name}`);
  }

  #isDeclared(name: string): boolean {
    return this.#scopes.some((scope) => scope.has(name));
  }

  #within(scope: Set<string>, visit: () => void): void {
    this.#scopes.push(scope);
    visit();
    this.#scopes.pop();
  }

  /** `var` declarations, and functions in blocks of sloppy code, belong to the enclosing function. */
  #hoist(node: Acorn.Node | null | undefined, into: Set<string>): void {
    if (!node) return;
    const statement = node as Node;
    switch (statement.type) {
      case "VariableDeclaration":
        if (statement.kind === "var") for (const declarator of statement.declarations) declarePattern(declarator.id, into);
        return;
      case "BlockStatement":
        for (const inner of statement.body) {
          if (!this.#isStrict && inner.type === "FunctionDeclaration") into.add(inner.id.name);
          this.#hoist(inner, into);
        }
        return;
      case "IfStatement":
        this.#hoist(statement.consequent, into);
        this.#hoist(statement.alternate, into);
        return;
      case "ForStatement":
        this.#hoist(statement.init, into);
        this.#hoist(statement.body, into);
        return;
      case "ForInStatement":
      case "ForOfStatement":
        this.#hoist(statement.left, into);
        this.#hoist(statement.body, into);
        return;
      case "WhileStatement":
      case "DoWhileStatement":
      case "LabeledStatement":
      case "WithStatement":
        this.#hoist(statement.body, into);
        return;
      case "TryStatement":
        this.#hoist(statement.block, into);
        this.#hoist(statement.handler?.body, into);
        this.#hoist(statement.finalizer, into);
        return;
      case "SwitchStatement":
        for (const branch of statement.cases) for (const inner of branch.consequent) this.#hoist(inner, into);
        return;
      default:
    }
  }
}

function isNode(value: unknown): value is Acorn.Node {
  return typeof value === "object" && value !== null && typeof (value as { type?: unknown }).type === "string";
}

function declarePattern(pattern: Acorn.Pattern, into: Set<string>): void {
  switch (pattern.type) {
    case "Identifier":
      into.add(pattern.name);
      return;
    case "ObjectPattern":
      for (const property of pattern.properties) {
        declarePattern(property.type === "RestElement" ? property.argument : property.value, into);
      }
      return;
    case "ArrayPattern":
      for (const element of pattern.elements) if (element) declarePattern(element, into);
      return;
    case "AssignmentPattern":
      declarePattern(pattern.left, into);
      return;
    case "RestElement":
      declarePattern(pattern.argument, into);
      return;
    default:
  }
}

function declareLexical(statements: readonly Acorn.Node[], into: Set<string>): void {
  for (const node of statements) {
    const statement = node as Node;
    if (statement.type === "VariableDeclaration") {
      if (statement.kind !== "var") for (const declarator of statement.declarations) declarePattern(declarator.id, into);
    } else if (statement.type === "FunctionDeclaration" || statement.type === "ClassDeclaration") {
      if (statement.id) into.add(statement.id.name);
    }
  }
}

// What an editor shows of remote functions, handles and refs, asked of TypeScript's language service as an editor does, about the
// package's declarations as users get them.
import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { before, describe, it } from "node:test";
import { fileURLToPath } from "node:url";
import ts from "typescript";

const repository = fileURLToPath(new URL("../..", import.meta.url));
/** Inside the repository, where `mantaray` is the built package; it is only in memory. */
const file = `${repository}editor-program.mts`;
const source = `import * as ray from "mantaray";

class Account {
  private balanceNow = 0;
  readonly limit: number;
  constructor(start: number, limit = 0) { this.balanceNow = start; this.limit = limit; }
  /** Pays in. */
  deposit(amount: number, note?: string): number { return (this.balanceNow += amount + (note?.length ?? 0)); }
  async balance(): Promise<number> { return this.balanceNow; }
  *history(): Generator<string> { yield String(this.audit()); }
  private audit(): number { return this.balanceNow; }
  protected close(): void {}
}
const Accounts = ray.remote(Account);
const account = Accounts.remote(100);
const deposited = account.deposit.remote(5);
const history = account.history.remote();
const measure = ray.remote((text: string, times: number) => text.length * times);
const measured = measure.remote("a", 2);
const pair = ray.remote(() => [1, "b"] as [number, string]).options({ numReturns: 2 }).remote();
const both = await ray.get([deposited, ray.put("text")]);
const wrong = measure.remote(deposited, 2);
const secret = account.audit;
const closed = account.close;
export { history, measured, pair, both, wrong, secret, closed };
`;

/** Editors unfold what they show, level by level; TypeScript does not declare the parameter yet. */
interface UnfoldingService extends ts.LanguageService {
  getQuickInfoAtPosition(fileName: string, position: number, lengthMax?: number, levels?: number): ts.QuickInfo | undefined;
}

function languageService(): UnfoldingService {
  const options: ts.CompilerOptions = {
    ...{ strict: true, skipLibCheck: true, noEmit: true, types: ["node"], lib: ["lib.es2023.d.ts", "lib.esnext.disposable.d.ts"] },
    ...{ target: ts.ScriptTarget.ES2023, module: ts.ModuleKind.NodeNext, moduleResolution: ts.ModuleResolutionKind.NodeNext },
  };
  const read = (name: string) => (name === file ? source : ts.sys.readFile(name));
  return ts.createLanguageService({
    getScriptFileNames: () => [file],
    getScriptVersion: () => "1",
    getScriptSnapshot: (name) => {
      const text = read(name);
      return text === undefined ? undefined : ts.ScriptSnapshot.fromString(text);
    },
    getCurrentDirectory: () => repository,
    getCompilationSettings: () => options,
    getDefaultLibFileName: ts.getDefaultLibFilePath,
    fileExists: (name) => name === file || ts.sys.fileExists(name),
    readFile: read,
    directoryExists: ts.sys.directoryExists,
    getDirectories: ts.sys.getDirectories,
  });
}

/** Of `name` in the first place in which the source has `text`. */
function positionOf(text: string, name: string): number {
  const found = source.indexOf(text);
  assert.ok(found >= 0 && text.includes(name), `the program has ${text}`);
  return found + text.indexOf(name);
}

describe("an editor", () => {
  const service = languageService();
  before(() => assert.ok(existsSync(`${repository}dist/index.d.ts`), "dist/index.d.ts is missing: run `npm run build` first"));

  const infoOf = (text: string, name: string, levels = 0) => {
    const info = service.getQuickInfoAtPosition(file, positionOf(text, name), undefined, levels);
    assert.ok(info !== undefined, `there is something to show of ${name}`);
    return { shown: ts.displayPartsToString(info.displayParts), documentation: ts.displayPartsToString(info.documentation) };
  };

  it("shows the methods of a handle, with the types of their arguments", () => {
    assert.equal(infoOf("const account", "account").shown, "const account: ray.ActorHandle<Account>");
    assert.equal(
      infoOf("const account", "account", 1).shown,
      [
        "const account: {",
        "    readonly deposit: ray.ActorMethod<[amount: number, note?: string | undefined], number>;",
        "    readonly balance: ray.ActorMethod<[], Promise<number>>;",
        "    readonly history: ray.ActorMethod<[], Generator<string, any, any>>;",
        "} & ray.ActorHandleBase",
      ].join("\n"),
    );
  });

  it("shows a method's arguments and its author's words", () => {
    assert.deepEqual(infoOf("account.deposit", "deposit"), {
      shown: "(property) deposit: ray.ActorMethod<[amount: number, note?: string | undefined], number>",
      documentation: "Pays in.",
    });
    assert.match(infoOf("deposit.remote", "remote").shown, /\.remote\(amount: ray\.Arg<number>, note\?: ray\.Arg<string \| undefined>\): ray\.ObjectRef<number>$/);
    assert.match(infoOf("Accounts.remote", "remote").shown, /\.remote\(start: ray\.Arg<number>, limit\?: ray\.Arg<number \| undefined>\): ray\.ActorHandle<Account>$/);
  });

  it("offers the public methods of the class and what every handle has, nothing else", () => {
    const completions = service.getCompletionsAtPosition(file, positionOf("account.deposit", "deposit"), {});
    assert.deepEqual(completions?.entries.map(({ name }) => name).sort(), ["actorId", "balance", "deposit", "history", "ready", "release", "terminate"]);
  });

  it("shows what calls give", () => {
    assert.equal(infoOf("const measured", "measured").shown, "const measured: ray.ObjectRef<number>");
    assert.equal(infoOf("const history", "history").shown, "const history: ray.ObjectRefGenerator<string>");
    assert.equal(infoOf("const pair", "pair").shown, "const pair: [ray.ObjectRef<number>, ray.ObjectRef<string>]");
    assert.equal(infoOf("const both", "both").shown, "const both: [number, string]");
  });

  it("marks a ref of another type than the argument's, and members that are not public", () => {
    const marked = service.getSemanticDiagnostics(file).map(({ start, length, messageText }) => ({
      at: source.slice(start, (start as number) + (length as number)),
      says: ts.flattenDiagnosticMessageText(messageText, "\n").split("\n")[0],
    }));
    assert.deepEqual(marked, [
      { at: "deposited", says: "Argument of type 'ObjectRef<number>' is not assignable to parameter of type 'Arg<string>'." },
      { at: "audit", says: "Property 'audit' does not exist on type 'ActorHandle<Account>'." },
      { at: "close", says: "Property 'close' does not exist on type 'ActorHandle<Account>'." },
    ]);
  });
});

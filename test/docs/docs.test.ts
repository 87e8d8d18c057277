// The documents' own code: every block marked `ts run` is a program that runs, prints what the block after it
// (marked `text output`) says, and ends by itself.
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { mkdir, mkdtemp, realpath, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join, relative } from "node:path";
import { after, before, describe, test } from "node:test";
import { fileURLToPath } from "node:url";
import * as ray from "mantaray";

const repository = fileURLToPath(new URL("../..", import.meta.url));
const RUN_MS_MAX = 100_000;

interface Program {
  readonly where: string;
  readonly source: string;
  /** undefined: whatever it prints. */
  readonly output: string | undefined;
}

const documents = ["README.md", "ARCHITECTURE.md", "examples/README.md", "bench/README.md", ...readdirSync(join(repository, "docs")).sort().map((name) => `docs/${name}`)];
const textOf = (document: string): string => readFileSync(join(repository, document), "utf8");

function programsIn(document: string): Program[] {
  const text = textOf(document);
  const programs: Program[] = [];
  for (const match of text.matchAll(/^```ts run\n([\s\S]*?)^```\n(?:\n```text output\n([\s\S]*?)^```$)?/gm)) {
    const line = text.slice(0, match.index).split("\n").length;
    programs.push({ where: `${document}:${line}`, source: match[1] as string, output: match[2] });
  }
  return programs;
}

/** The README's sample says in comments what it prints. */
function sample(): Program {
  const match = /<!-- sample:start -->\n```ts\n([\s\S]*?)```\n<!-- sample:end -->/.exec(textOf("README.md"));
  assert.ok(match !== null, "README.md has a sample");
  const source = match[1] as string;
  const output = [...source.matchAll(/console\.log\(.*; \/\/ (.*)$/gm)].map(([, printed]) => `${printed}\n`).join("");
  return { where: "README.md, the sample", source, output };
}

describe("the documents", () => {
  let folder: string;
  before(async () => {
    folder = await realpath(await mkdtemp(join(tmpdir(), "mantaray-docs-")));
    await mkdir(join(folder, "node_modules"));
    await symlink(repository, join(folder, "node_modules/mantaray"), "dir");
    await writeFile(join(folder, "package.json"), '{ "type": "module" }\n');
  });
  after(() => rm(folder, { recursive: true, force: true }));

  function run(file: string, loader: readonly string[]): Promise<{ exitCode: number; stdout: string; stderr: string }> {
    const environment: NodeJS.ProcessEnv = { ...process.env, FORCE_COLOR: "0" };
    delete environment["NODE_TEST_CONTEXT"];
    return new Promise((resolve) => {
      execFile(process.execPath, [...loader, file], { cwd: folder, env: environment, timeout: RUN_MS_MAX, killSignal: "SIGKILL" }, (error, stdout, stderr) => {
        resolve({ exitCode: error === null ? 0 : typeof error.code === "number" ? error.code : -1, stdout, stderr });
      });
    });
  }

  async function check({ source, output }: Program, file: string, loader: readonly string[]): Promise<void> {
    await writeFile(join(folder, file), source);
    const { exitCode, stdout, stderr } = await run(join(folder, file), loader);
    assert.equal(exitCode, 0, `it ended with ${exitCode}:\n${stdout}${stderr}`);
    if (output !== undefined) assert.equal(stdout, output);
  }

  const tsx = ["--import", import.meta.resolve("tsx")];
  test("the sample runs as it stands, as plain JavaScript", () => check(sample(), "sample.mjs", []));
  test("the sample runs as TypeScript", () => check(sample(), "sample.ts", tsx));

  const programs = documents.flatMap((document) => programsIn(document));
  assert.ok(programs.length > 0, "documents have programs");
  programs.forEach((program, index) => test(program.where, () => check(program, `program-${index}.ts`, tsx)));

  test("links between files of the repository lead somewhere", () => {
    for (const document of documents) {
      // In code, a computed member with parameters looks like a link.
      const prose = textOf(document).replace(/^(`{3,})[^]*?^\1/gm, "").replace(/`[^`\n]*`/g, "");
      for (const [, target] of prose.matchAll(/\]\((?!https?:|#)([^)#]+)[^)]*\)/g)) {
        const path = join(repository, dirname(document), target as string);
        assert.ok(existsSync(path), `${document} links to ${relative(repository, path)}`);
      }
    }
  });

  test("ARCHITECTURE.md names files and limits that exist, and every part", () => {
    const text = textOf("ARCHITECTURE.md");
    const paths = ["src", "scripts", "test", "api"].flatMap((part) => (readdirSync(join(repository, part), { recursive: true }) as string[]).map((path) => `${part}/${path}`));
    for (const [, name] of text.matchAll(/`([\w./-]+\.(?:ts|mjs|md))`/g)) assert.ok(paths.some((path) => `/${path}`.endsWith(`/${name}`)), `${name} exists`);
    const named = new Set<string>();
    for (const [, names, file] of text.matchAll(/^\| ((?:`[A-Z_]+`(?:, )?)+) \|.*\| `([\w./-]+)` \|$/gm)) {
      const source = textOf(`src/${file}`);
      for (const [, limit] of (names as string).matchAll(/`([A-Z_]+)`/g)) {
        assert.ok(source.includes(`const ${limit} = `), `${file} declares ${limit}`);
        assert.ok(!named.has(`${limit} of ${file}`), `${limit} of ${file} stands there once`);
        named.add(`${limit} of ${file}`);
      }
    }
    for (const { name } of readdirSync(join(repository, "src"), { withFileTypes: true })) {
      if (existsSync(join(repository, "src", name, "mod.ts")) || name === "main") assert.ok(text.includes(`**${name}/**`), `the part ${name} is on the map`);
    }
  });

  test("every error class of the package is explained, with its code", () => {
    const text = textOf("docs/errors.md");
    for (const [name, exported] of Object.entries(ray)) {
      if (typeof exported !== "function" || !(exported.prototype instanceof Error)) continue;
      assert.ok(text.includes(`\`${name}\``), `docs/errors.md has ${name}`);
      const words = name.replace(/Error$/, "").replace(/([a-z])([A-Z])/g, "$1_$2");
      assert.ok(text.includes(`\`ERR_MANTARAY_${words.toUpperCase()}\``), `docs/errors.md has the code of ${name}`);
    }
  });
});

import assert from "node:assert/strict";
import { execFileSync, spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, test } from "node:test";
import fc from "fast-check";
import { IgnoreRules } from "./ignore-rules.ts";

function ignored(rules: string[], path: string, isFolder = false): boolean | undefined {
  return new IgnoreRules(rules).ignores(path, isFolder);
}

describe("patterns of .gitignore", () => {
  test("names match at any depth, paths from the folder of the file", () => {
    assert.equal(ignored(["*.log"], "a.log"), true);
    assert.equal(ignored(["*.log"], "deep/down/a.log"), true);
    assert.equal(ignored(["/a.log"], "deep/a.log"), undefined);
    assert.equal(ignored(["deep/a.log"], "deep/a.log"), true);
    assert.equal(ignored(["deep/a.log"], "very/deep/a.log"), undefined);
  });

  test("the last rule that speaks of a path decides", () => {
    assert.equal(ignored(["*.log", "!keep.log"], "keep.log"), false);
    assert.equal(ignored(["!keep.log", "*.log"], "keep.log"), true);
    assert.equal(ignored(["!keep.log"], "other"), undefined);
  });

  test("a slash at the end is for folders", () => {
    assert.equal(ignored(["build/"], "build", true), true);
    assert.equal(ignored(["build/"], "build", false), undefined);
  });

  test("stars stay within a folder, two of them do not", () => {
    assert.equal(ignored(["a/*/c"], "a/b/c"), true);
    assert.equal(ignored(["a/*/c"], "a/b/b/c"), undefined);
    assert.equal(ignored(["a/**/c"], "a/b/b/c"), true);
    assert.equal(ignored(["a/**/c"], "a/c"), true);
    assert.equal(ignored(["a/**"], "a/b/c"), true);
    assert.equal(ignored(["a/**"], "a"), undefined);
    assert.equal(ignored(["**/c"], "c"), true);
    assert.equal(ignored(["***/**"], "a"), true);
    assert.equal(ignored(["a***/b"], "ac/b"), true);
  });

  test("sets, question marks, escapes, comments and blanks", () => {
    assert.equal(ignored(["[ab]?.t[!x]t"], "a1.tst"), true);
    assert.equal(ignored(["[ab]?.t[!x]t"], "c1.tst"), undefined);
    assert.equal(ignored(["\\#file", "\\!file"], "#file"), true);
    assert.equal(ignored(["#file"], "#file"), undefined);
    assert.equal(ignored(["name  "], "name"), true);
    assert.equal(ignored(["a.b"], "axb"), undefined);
  });

  test("git says the same", { skip: spawnSync("git", ["--version"]).status !== 0 }, () => {
    const folder = mkdtempSync(join(tmpdir(), "mantaray-test-"));
    try {
      execFileSync("git", ["init", "-q"], { cwd: folder });
      // Of two stars beside something else git itself does not do what its manual says.
      const part = fc.stringMatching(/^(?:[ab?]{1,3}|[ab?]{0,2}\*[ab?]?)$/);
      const pattern = fc.tuple(fc.constantFrom("", "!", "/"), fc.array(fc.oneof(part, fc.constant("**")), { minLength: 1, maxLength: 3 }), fc.constantFrom("", "/")).map(([start, parts, end]) => start + parts.join("/") + end);
      const path = fc.array(fc.stringMatching(/^[ab]{1,2}$/), { minLength: 1, maxLength: 3 }).map((parts) => parts.join("/"));
      fc.assert(
        fc.property(fc.array(pattern, { minLength: 1, maxLength: 3 }), fc.uniqueArray(path, { minLength: 1, maxLength: 6 }), (rules, paths) => {
          writeFileSync(join(folder, ".gitignore"), `${rules.join("\n")}\n`);
          const { stdout } = spawnSync("git", ["check-ignore", "--no-index", "--stdin"], { cwd: folder, input: paths.join("\n"), encoding: "utf8" });
          const said = new Set(stdout.split("\n"));
          const own = new IgnoreRules(rules);
          for (const one of paths) assert.equal(isIgnored(own, one), said.has(one), `${one} by ${JSON.stringify(rules)}`);
        }),
        { numRuns: 60 },
      );
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  });
});

/** What lies in an ignored folder is ignored. */
function isIgnored(rules: IgnoreRules, path: string): boolean {
  const parts = path.split("/");
  return parts.some((_, index) => rules.ignores(parts.slice(0, index + 1).join("/"), index < parts.length - 1) === true);
}

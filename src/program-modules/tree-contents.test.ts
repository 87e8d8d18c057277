import assert from "node:assert/strict";
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, readlinkSync, rmSync, statSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { after, test } from "node:test";
import { addContents, contentsOf, type TreeEntry } from "./tree-contents.ts";

const folder = mkdtempSync(join(tmpdir(), "mantaray-test-"));
after(() => rmSync(folder, { recursive: true, force: true }));

function write(path: string, content: string): void {
  mkdirSync(dirname(join(folder, path)), { recursive: true });
  writeFileSync(join(folder, path), content);
}

async function all(root: string): Promise<TreeEntry[]> {
  const entries: TreeEntry[] = [];
  for await (const entry of contentsOf(join(folder, root))) entries.push(entry);
  return entries;
}

test("a tree is laid out elsewhere as it was, without what is this machine's alone", async () => {
  write("one/app/main.mjs", "main");
  write("one/app/tool", "tool");
  chmodSync(join(folder, "one/app/tool"), 0o700);
  write("one/app/late.mjs.123-0-4", "half of it");
  write("one/store/narrow/index.js", "narrow");
  mkdirSync(join(folder, "one/node_modules"));
  symlinkSync(join(folder, "one/store/narrow"), join(folder, "one/node_modules/narrow"));
  symlinkSync(tmpdir(), join(folder, "one/node_modules/mantaray"));
  write("two/app/main.mjs", "was there");
  await addContents(join(folder, "two"), await all("one"));
  assert.deepEqual((await all("two")).map(({ path }) => path), ["app/main.mjs", "app/tool", "node_modules/narrow", "store/narrow/index.js"]);
  assert.equal(readFileSync(join(folder, "two/app/main.mjs"), "utf8"), "was there");
  assert.equal(statSync(join(folder, "two/app/tool")).mode & 0o100, 0o100);
  assert.equal(readlinkSync(join(folder, "two/node_modules/narrow")), "../store/narrow");
  assert.equal(readFileSync(join(folder, "two/node_modules/narrow/index.js"), "utf8"), "narrow");
});

test("nothing is laid out outside of the tree", async () => {
  const entry: TreeEntry = { type: "file", path: "../outside", target: "", isExecutable: false, content: new Uint8Array(1) };
  await assert.rejects(addContents(join(folder, "three"), [entry]), /leads outside/);
  await assert.rejects(addContents(join(folder, "three"), [{ ...entry, type: "link", path: "a/link", target: "../../outside" }]), /leads outside/);
  await assert.rejects(addContents(join(folder, "three"), [{ ...entry, type: "link", path: "a/link", target: "/etc" }]), /leads outside/);
});

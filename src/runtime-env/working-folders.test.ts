import assert from "node:assert/strict";
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, test } from "node:test";
import { PackageMaker } from "./package-maker.ts";
import { PackageStore } from "./package-store.ts";
import { UNUSED_FOLDERS_MAX, WorkingFolders } from "./working-folders.ts";

const { signal } = new AbortController();

let root: string;
let folders: WorkingFolders;
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), "mantaray-test-"));
  folders = new WorkingFolders(root, new PackageStore({ sessionDir: root, packages: null, wallClockMs: () => Date.now() }));
});
afterEach(() => rmSync(root, { recursive: true, force: true }));

function packageWith(content: string): string {
  const folder = join(root, "programs", content);
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, "file.txt"), content);
  return new PackageMaker(root).workingDir(folder, []);
}
const unpacked = (): string[] => readdirSync(join(root, "working-directories"));

describe("unpacked working directories", () => {
  test("are shared by all that use the same, and stay for the next one", async () => {
    const uri = packageWith("shared");
    const [first, second] = await Promise.all([folders.acquire(uri, signal), folders.acquire(uri, signal)]);
    assert.equal(first, second);
    assert.equal(readFileSync(join(first, "file.txt"), "utf8"), "shared");
    for (let users = 0; users < 2; users++) folders.release(uri);
    assert.equal(await folders.acquire(uri, signal), first);
    assert.equal(unpacked().length, 1);
  });

  test("that nobody uses go when there are many, the one not used for longest first, and come again when they are asked for", async () => {
    const uris = Array.from({ length: UNUSED_FOLDERS_MAX + 2 }, (_, index) => packageWith(`content ${index}`));
    const paths: string[] = [];
    for (const uri of uris) paths.push(await folders.acquire(uri, signal));
    assert.equal(unpacked().length, UNUSED_FOLDERS_MAX + 2, "all are in use");
    for (const uri of uris.slice(1)) folders.release(uri);
    while (unpacked().length > UNUSED_FOLDERS_MAX + 1) await new Promise((resolve) => setImmediate(resolve));
    assert.deepEqual(paths.map((path) => existsSync(path)).slice(0, 3), [true, false, true], "the first is in use, the second was not used for longest");
    assert.equal(readFileSync(join(await folders.acquire(uris[1] as string, signal), "file.txt"), "utf8"), "content 1");
  });
});

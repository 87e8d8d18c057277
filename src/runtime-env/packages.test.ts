import assert from "node:assert/strict";
import { execFileSync, spawnSync } from "node:child_process";
import { chmodSync, existsSync, lstatSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, readlinkSync, rmSync, symlinkSync, truncateSync, utimesSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterEach, beforeEach, describe, test } from "node:test";
import fc from "fast-check";
import { RuntimeEnvSetupError } from "../base/mod.ts";
import { packagePathOf } from "./package-files.ts";
import { PACKAGE_BYTES_MAX, PackageMaker } from "./package-maker.ts";
import { unpackArchive } from "./package-unpacker.ts";
import { decodeArchive, encodeEntry, endOfArchive, type TarEntry } from "./tar-format.ts";

let root: string;
beforeEach(() => { root = mkdtempSync(join(tmpdir(), "mantaray-test-")); });
afterEach(() => rmSync(root, { recursive: true, force: true }));

function write(path: string, content = path): string {
  const full = join(root, path);
  mkdirSync(dirname(full), { recursive: true });
  writeFileSync(full, content);
  return full;
}

/** What of a folder arrives elsewhere: by path, the content of files and "-> target" of links. */
async function shipped(folder: string, excludes: string[] = []): Promise<Record<string, string>> {
  const session = join(root, "session");
  const uri = new PackageMaker(session).workingDir(join(root, folder), excludes);
  const target = join(root, "unpacked");
  rmSync(target, { recursive: true, force: true });
  await unpackArchive(packagePathOf(session, uri), target);
  return contentsOf(target);
}

function contentsOf(target: string, prefix = ""): Record<string, string> {
  const found: Record<string, string> = {};
  for (const name of readdirSync(target)) {
    const full = join(target, name);
    const status = lstatSync(full);
    if (status.isSymbolicLink()) found[prefix + name] = `-> ${readlinkSync(full)}`;
    else if (status.isDirectory()) Object.assign(found, contentsOf(full, `${prefix}${name}/`));
    else found[prefix + name] = readFileSync(full, "utf8");
  }
  return found;
}

const uriOf = (folder: string, excludes: string[] = []): string => new PackageMaker(join(root, "session")).workingDir(join(root, folder), excludes);

describe("packages of folders", () => {
  test("files, folders, execution rights and links within arrive as they are", async () => {
    write("app/a.txt", "A");
    write("app/deep/down/b.txt", "B");
    mkdirSync(join(root, "app/empty"));
    chmodSync(write("app/run.sh", "#!/bin/sh"), 0o755);
    symlinkSync("deep/down", join(root, "app/link"));
    symlinkSync(join(root, "app/a.txt"), join(root, "app/deep/absolute"));
    const long = `app/${"long-name/".repeat(20)}file.txt`;
    write(long, "L");
    assert.deepEqual(await shipped("app"), { "a.txt": "A", "deep/down/b.txt": "B", "deep/absolute": "-> ../a.txt", link: "-> deep/down", "run.sh": "#!/bin/sh", [long.slice(4)]: "L" });
    assert.equal(lstatSync(join(root, "unpacked/run.sh")).mode & 0o100, 0o100);
    assert.equal(existsSync(join(root, "unpacked/empty")), true);
  });

  test("links that lead outside are followed, in circles too; pipes and dead links are left out", async () => {
    write("outside/file.txt", "O");
    write("app/own.txt", "A");
    symlinkSync(join(root, "outside"), join(root, "app/outside"));
    symlinkSync(join(root, "outside/file.txt"), join(root, "app/copied.txt"));
    symlinkSync(join(root, "nowhere"), join(root, "app/dead"));
    symlinkSync(join(root, "outside"), join(root, "outside/again"));
    symlinkSync(join(root, "app"), join(root, "outside/back"));
    if (process.platform !== "win32") execFileSync("sh", ["-c", 'mkfifo "$0"', join(root, "app/pipe")]);
    assert.deepEqual(await shipped("app"), { "own.txt": "A", "outside/file.txt": "O", "outside/back": "-> ..", "copied.txt": "O" });
  });

  test(".gitignore of every folder and excludes say what is left out; .git never goes along", async () => {
    write("app/.gitignore", "*.log\nbuild/\n");
    write("app/.git/config");
    write("app/main.js", "M");
    write("app/a.log");
    write("app/build/out.js");
    write("app/sub/.gitignore", "!keep.log\n/local\n");
    write("app/sub/keep.log", "K");
    write("app/sub/local");
    write("app/sub/secret.txt");
    const files = await shipped("app", ["secret.txt"]);
    assert.deepEqual(Object.keys(files).sort(), [".gitignore", "main.js", "sub/.gitignore", "sub/keep.log"]);
    assert.equal("a.log" in (await shipped("app", ["!a.log"])), true, "excludes have the last word");
  });

  test("the name says the content: when and where files were made does not matter, what is in them does", () => {
    for (const name of ["one", "two"]) {
      write(`${name}/x/a.txt`, "A");
      write(`${name}/b.txt`, "B");
    }
    utimesSync(join(root, "two/b.txt"), 1, 1);
    const first = uriOf("one");
    assert.equal(uriOf("two"), first);
    chmodSync(join(root, "two/b.txt"), 0o755);
    const executable = uriOf("two");
    writeFileSync(join(root, "two/b.txt"), "C");
    assert.equal(new Set([first, executable, uriOf("two"), uriOf("two", ["x"])]).size, 4);
  });

  test("a folder is read once, and is in the session's folder whole or not at all", () => {
    write("app/a.txt", "A");
    const maker = new PackageMaker(join(root, "session"));
    const uri = maker.workingDir(join(root, "app"), []);
    write("app/a.txt", "changed");
    assert.equal(maker.workingDir(join(root, "app"), []), uri);
    assert.equal(maker.workingDir(uri, []), uri);
    uriOf("app", []);
    assert.equal(readdirSync(join(root, "session/packages")).every((name) => /^[0-9a-f]{64}\.tar$/.test(name)), true);
  });

  test("what is too large says what is largest and what to do", () => {
    write("app/small.txt");
    truncateSync(write("app/data/huge.bin"), PACKAGE_BYTES_MAX + 1);
    assert.throws(() => uriOf("app"), (error: Error) => error instanceof RuntimeEnvSetupError && /100\.0 MiB.*largest: data \(100\.0 MiB\).*'excludes' or \.gitignore/.test(error.message));
    assert.equal(typeof uriOf("app", ["data"]), "string");
  });

  test("what is not there or of no use is said", () => {
    write("app.rar");
    assert.throws(() => uriOf("missing"), /workingDir: '.*missing' does not exist/);
    assert.throws(() => uriOf("app.rar"), /not supported; give a folder, or an archive \(\.zip, \.tgz/);
    assert.throws(() => new PackageMaker(root).workingDir("https://example.org/app.tgz", []), /'https:\/\/example\.org\/app\.tgz' is not supported; give a folder/);
    assert.throws(() => new PackageMaker(root).workingDir("s3://bucket/app.tgz", []), /'s3:\/\/bucket\/app\.tgz' is not supported; .*downloaded first/);
  });
});

describe("archives made by others", () => {
  test("those of tar are read, compressed or not, as paths and as URLs", { skip: spawnSync("tar", ["--version"]).status !== 0 }, async () => {
    write("app/a.txt", "A");
    write(`app/${"n".repeat(120)}.txt`, "N");
    symlinkSync("a.txt", join(root, "app/link"));
    const expected = contentsOf(join(root, "app"));
    for (const [name, options] of [["a.tgz", ["-czf"]], ["b.tar", ["-cf"]], ["c.tar.gz", ["--format=pax", "-czf"]]] as const) {
      execFileSync("tar", [...options, join(root, name), ...(name === "b.tar" ? ["-C", join(root, "app"), "."] : ["-C", root, "app"])]);
      assert.deepEqual(await shipped(name), expected, name);
    }
    const url = new URL(`file://${join(root, "a.tgz")}`).href;
    assert.equal(new PackageMaker(join(root, "session")).workingDir(url, []), uriOf("a.tgz"));
  });

  test("nothing is written outside", async () => {
    const entry = (type: TarEntry["type"], path: string, target = ""): TarEntry => ({ type, path, target, isExecutable: false, content: Buffer.from(type === "file" ? "x" : "") });
    for (const bad of [[entry("file", "../evil")], [entry("file", "/evil")], [entry("link", "l", "../..")], [entry("link", "l", "/etc")]]) {
      writeFileSync(join(root, "bad.tar"), Buffer.concat([...bad.flatMap((one) => [...encodeEntry(one)]), endOfArchive()]));
      await assert.rejects(unpackArchive(join(root, "bad.tar"), join(root, "target")), /leads outside/);
    }
    assert.equal(existsSync(join(root, "evil")), false);
    writeFileSync(join(root, "through.tar"), Buffer.concat([...[entry("link", "a", "b"), entry("file", "a/x")].flatMap((one) => [...encodeEntry(one)]), endOfArchive()]));
    await assert.rejects(unpackArchive(join(root, "through.tar"), join(root, "target")));
  });

  test("damage is noticed", () => {
    assert.throws(() => [...decodeArchive(Buffer.alloc(1024, 1))], /no tar archive, or damaged/);
    const whole = Buffer.concat([...encodeEntry({ type: "file", path: "a", target: "", isExecutable: false, content: Buffer.alloc(2000, 1) })]);
    assert.throws(() => [...decodeArchive(whole.subarray(0, 1024))], /ends in the middle/);
  });

  test("any entries come back as they were", () => {
    const name = fc.stringMatching(/^[a-zäß☃ ]{1,60}$/).map((text) => text.trim() || "x");
    const path = fc.array(name, { minLength: 1, maxLength: 4 }).map((parts) => parts.join("/"));
    const file = fc.record({ type: fc.constant("file" as const), path, target: fc.constant(""), isExecutable: fc.boolean(), content: fc.uint8Array({ maxLength: 1500 }) });
    const link = fc.record({ type: fc.constant("link" as const), path, target: path, isExecutable: fc.constant(false), content: fc.constant(new Uint8Array(0)) });
    fc.assert(
      fc.property(fc.array(fc.oneof(file, link), { maxLength: 5 }), (entries) => {
        const archive = Buffer.concat([...entries.flatMap((entry) => [...encodeEntry(entry)]), endOfArchive()]);
        const decoded = [...decodeArchive(archive)].map((entry) => ({ ...entry, isExecutable: entry.type === "file" && entry.isExecutable, content: new Uint8Array(entry.content) }));
        assert.deepEqual(decoded, entries.map((entry) => ({ ...entry, content: new Uint8Array(entry.content) })));
      }),
    );
  });
});

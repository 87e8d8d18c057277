import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, test } from "node:test";
import { PACKAGE_PIECE_BYTES_MAX, packagesFolderOf } from "./package-files.ts";
import { PackageStore, readPackagePiece, RECEIPTS_MAX, type PackageSource } from "./package-store.ts";

const SIGNAL = new AbortController().signal;

describe("packages on a machine", () => {
  let here: string;
  let there: string;
  let fetched: string[];
  let nowMs: number;
  beforeEach(() => {
    here = mkdtempSync(join(tmpdir(), "mantaray-test-"));
    there = mkdtempSync(join(tmpdir(), "mantaray-test-"));
    fetched = [];
    nowMs = 1_000_000;
  });
  afterEach(() => {
    for (const folder of [here, there]) rmSync(folder, { recursive: true, force: true });
  });

  /** Puts a package into a session's folder and answers with its name. */
  function put(session: string, content: string): string {
    const name = `${createHash("sha256").update(content).digest("hex")}.tar`;
    mkdirSync(packagesFolderOf(session), { recursive: true });
    writeFileSync(join(packagesFolderOf(session), name), content);
    return name;
  }
  const uriOf = (name: string): string => `mantaray-package:${name}`;

  /** The other machine. */
  const source: PackageSource = {
    async *fetch(name) {
      fetched.push(name);
      let offset = 0;
      for (let piece = await readPackagePiece(there, name, 0); ; piece = await readPackagePiece(there, name, offset)) {
        if (piece === null) throw new Error(`no machine has ${name}`);
        assert.ok(piece.bytes.byteLength <= PACKAGE_PIECE_BYTES_MAX);
        yield piece.bytes;
        offset += piece.bytes.byteLength;
        if (offset >= piece.totalBytes) return;
      }
    },
  };
  const storeWith = (packages: PackageSource | null, keptBytesMax?: number): PackageStore => new PackageStore({ sessionDir: here, packages, wallClockMs: () => ++nowMs }, keptBytesMax);
  const contentOf = (store: PackageStore, name: string): Promise<string> => store.use(uriOf(name), SIGNAL, async (path) => readFileSync(path, "utf8"));

  test("one that is here is not asked for", async () => {
    assert.equal(await contentOf(storeWith(source), put(here, "made here")), "made here");
    assert.deepEqual(fetched, []);
  });

  test("one that is elsewhere is fetched once, also by several at the same time, in pieces", async () => {
    const content = "x".repeat(2 * PACKAGE_PIECE_BYTES_MAX + 7);
    const name = put(there, content);
    const store = storeWith(source);
    assert.deepEqual(await Promise.all([contentOf(store, name), contentOf(store, name)]), [content, content]);
    assert.equal(await contentOf(storeWith(source), name), content);
    assert.deepEqual(fetched, [name]);
    assert.deepEqual(readdirSync(packagesFolderOf(here)), [name]);
  });

  test("what is damaged, too large or nowhere leaves nothing, and is tried again", async () => {
    const name = put(there, "whole");
    let piece = Buffer.from("half");
    const bad: PackageSource = { async *fetch() { yield piece; } };
    await assert.rejects(contentOf(storeWith(bad), name), /arrived damaged/);
    const endless: PackageSource = { async *fetch() { for (;;) yield Buffer.alloc(PACKAGE_PIECE_BYTES_MAX); } };
    await assert.rejects(contentOf(storeWith(endless), name), /holds more than 160 MiB/);
    await assert.rejects(contentOf(storeWith(source), put(here, "gone").replace(/^../, "00")), /no machine has/);
    await assert.rejects(contentOf(storeWith(null), name), /is not there any more/);
    piece = Buffer.from("whole");
    assert.equal(await contentOf(storeWith(bad), name), "whole");
    assert.equal(readdirSync(packagesFolderOf(here)).some((file) => file.startsWith("unfinished")), false);
  });

  test("who gives up in the middle leaves nothing", async () => {
    const name = put(there, "whole");
    const controller = new AbortController();
    const slow: PackageSource = {
      async *fetch(_name, signal) {
        yield Buffer.from("wh");
        controller.abort(new Error("given up"));
        assert.equal(signal.aborted, true);
        yield Buffer.from("ole");
      },
    };
    await assert.rejects(storeWith(slow).use(uriOf(name), controller.signal, async () => undefined), /given up/);
    assert.deepEqual(readdirSync(packagesFolderOf(here)), []);
  });

  test("beyond the bound those go that were not used for longest, but none in use", async () => {
    const [a, b, c] = ["a".repeat(40), "b".repeat(40), "c".repeat(40)].map((content) => put(there, content)) as [string, string, string];
    const store = storeWith(source, 100);
    await contentOf(store, a);
    await contentOf(store, b);
    await contentOf(store, a);
    await contentOf(store, c);
    assert.deepEqual(readdirSync(packagesFolderOf(here)).sort(), [a, c].sort());
    await store.use(uriOf(a), SIGNAL, async (path) => {
      await contentOf(store, c);
      await contentOf(store, b);
      assert.equal(existsSync(path), true);
    });
    assert.deepEqual(readdirSync(packagesFolderOf(here)).sort(), [a, b].sort());
  });

  test("what a program brings is there when its last piece is, whoever else brings the same", async () => {
    const name = put(there, "whole");
    const store = storeWith(null);
    const piece = (offset: number, text: string) => ({ name, offset, totalBytes: 5, bytes: Buffer.from(text) });
    await store.receive("one", piece(0, "wh"));
    await store.receive("two", piece(0, "who"));
    await store.receive("one", piece(2, "ole"));
    assert.equal(await contentOf(store, name), "whole");
    await store.receive("two", piece(3, "le"));
    assert.deepEqual(readdirSync(packagesFolderOf(here)), [name]);
  });

  test("what a program brings damaged, in part, or under a wrong name, is not kept", async () => {
    const name = put(there, "whole");
    const store = storeWith(null);
    const piece = (offset: number, text: string) => ({ name, offset, totalBytes: 5, bytes: Buffer.from(text) });
    await store.receive("one", piece(0, "wh"));
    await assert.rejects(store.receive("one", piece(3, "le")), /is missing/);
    await assert.rejects(store.receive("one", piece(2, "ole")), /without those before/);
    await store.receive("one", piece(0, "wh"));
    await assert.rejects(store.receive("one", piece(2, "OLE")), /arrived damaged/);
    await assert.rejects(store.receive("one", { ...piece(0, "whole"), name: "../../evil" }), /not the name of a package/);
    assert.deepEqual(readdirSync(packagesFolderOf(here)), []);
    // Those of programs that have ended in the middle make room.
    for (let sender = 0; sender <= RECEIPTS_MAX; sender++) await store.receive(`sender ${sender}`, piece(0, "wh"));
    assert.equal(readdirSync(packagesFolderOf(here)).length, RECEIPTS_MAX);
    await assert.rejects(store.receive("sender 0", piece(2, "ole")), /without those before/);
    await store.receive("sender 1", piece(2, "ole"));
    assert.equal(await contentOf(store, name), "whole");
  });

  test("nothing but packages is given away", async () => {
    writeFileSync(join(there, "secret"), "s");
    for (const name of ["../secret", "secret", "", `${"0".repeat(64)}.tar/../../secret`]) assert.equal(await readPackagePiece(there, name, 0), null);
    const name = put(there, "whole");
    assert.deepEqual(await readPackagePiece(there, name, null), { totalBytes: 5, bytes: new Uint8Array(0) });
    assert.deepEqual(await readPackagePiece(there, name, 9), { totalBytes: 5, bytes: new Uint8Array(0) });
  });
});

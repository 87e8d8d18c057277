import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, test } from "node:test";
import { deflateRawSync } from "node:zlib";
import fc from "fast-check";
import { PackageMaker } from "./package-maker.ts";
import { packagePathOf } from "./package-files.ts";
import { unpackArchive } from "./package-unpacker.ts";
import { decodeZip } from "./zip-format.ts";

interface Packed {
  readonly name: string;
  readonly content: string;
  readonly isDeflated?: boolean;
  readonly mode?: number;
  readonly flags?: number;
}

/** As every zip program writes it; checksums are left out, which nobody here reads. */
function zip(files: readonly Packed[], comment = ""): Buffer {
  const parts: Buffer[] = [];
  const central: Buffer[] = [];
  let offset = 0;
  for (const { name, content, isDeflated = false, mode = 0o100644, flags = 0 } of files) {
    const full = Buffer.from(content);
    const packed = isDeflated ? deflateRawSync(full) : full;
    const title = Buffer.from(name);
    const local = Buffer.alloc(30);
    local.writeUInt32LE(0x04034b50, 0);
    local.writeUInt16LE(isDeflated ? 8 : 0, 8);
    local.writeUInt16LE(title.length, 26);
    const record = Buffer.alloc(46);
    record.writeUInt32LE(0x02014b50, 0);
    record[5] = 3;
    record.writeUInt16LE(flags, 8);
    record.writeUInt16LE(isDeflated ? 8 : 0, 10);
    record.writeUInt32LE(packed.length, 20);
    record.writeUInt32LE(full.length, 24);
    record.writeUInt16LE(title.length, 28);
    record.writeUInt32LE((mode << 16) >>> 0, 38);
    record.writeUInt32LE(offset, 42);
    parts.push(local, title, packed);
    central.push(record, title);
    offset += local.length + title.length + packed.length;
  }
  const directory = Buffer.concat(central);
  const end = Buffer.alloc(22);
  end.writeUInt32LE(0x06054b50, 0);
  end.writeUInt16LE(files.length, 10);
  end.writeUInt32LE(directory.length, 12);
  end.writeUInt32LE(offset, 16);
  end.writeUInt16LE(Buffer.byteLength(comment), 20);
  return Buffer.concat([...parts, directory, end, Buffer.from(comment)]);
}

describe("zip archives", () => {
  let root: string;
  beforeEach(() => { root = mkdtempSync(join(tmpdir(), "mantaray-test-")); });
  afterEach(() => rmSync(root, { recursive: true, force: true }));

  async function unpacked(archive: Uint8Array): Promise<string> {
    writeFileSync(join(root, "app.zip"), archive);
    const uri = new PackageMaker(join(root, "session")).workingDir(join(root, "app.zip"), []);
    const target = join(root, "unpacked");
    rmSync(target, { recursive: true, force: true });
    await unpackArchive(packagePathOf(join(root, "session"), uri), target);
    return target;
  }

  test("are working directories, without the one folder that all is in", async () => {
    const folder = await unpacked(zip([{ name: "app/", content: "", mode: 0o040755 }, { name: "app/a.txt", content: "A" }, { name: "app/sub/run.sh", content: "run\n".repeat(100), isDeflated: true, mode: 0o100755 }, { name: "app/link", content: "a.txt", mode: 0o120777 }], "a comment"));
    assert.equal(readFileSync(join(folder, "a.txt"), "utf8"), "A");
    assert.equal(readFileSync(join(folder, "link"), "utf8"), "A");
    assert.equal(readFileSync(join(folder, "sub/run.sh"), "utf8").length, 400);
    assert.equal(statSync(join(folder, "sub/run.sh")).mode & 0o100, 0o100);
  });

  test("those of other programs are read", { skip: spawnSync("zip", ["-v"]).status !== 0 }, async () => {
    mkdirSync(join(root, "app"));
    writeFileSync(join(root, "app/ä.txt"), "A".repeat(5000));
    assert.equal(spawnSync("zip", ["-rq", join(root, "made.zip"), "app"], { cwd: root }).status, 0);
    assert.equal(readFileSync(join(await unpacked(readFileSync(join(root, "made.zip"))), "ä.txt"), "utf8").length, 5000);
  });

  test("nothing is written outside, and nothing beyond the bound", async () => {
    await assert.rejects(unpacked(zip([{ name: "../evil", content: "x" }])), /leads outside/);
    await assert.rejects(unpacked(zip([{ name: "l", content: "/etc", mode: 0o120777 }])), /leads outside/);
    assert.equal(existsSync(join(root, "evil")), false);
    assert.throws(() => [...decodeZip(zip([{ name: "a", content: "x".repeat(100), isDeflated: true }]), 99)], /too large/);
  });

  test("what cannot be read is said", () => {
    const archive = zip([{ name: "a", content: "x" }]);
    assert.throws(() => [...decodeZip(archive.subarray(0, -1), 99)], /no zip archive, or damaged/);
    assert.throws(() => [...decodeZip(zip([{ name: "a", content: "x", flags: 1 }]), 99)], /'a' in it is encrypted/);
    const bomb = zip([{ name: "a", content: "x".repeat(1000), isDeflated: true }]);
    // It claims to hold less than it does.
    bomb.writeUInt32LE(5, bomb.indexOf(Buffer.from([0x50, 0x4b, 1, 2])) + 24);
    assert.throws(() => [...decodeZip(bomb, 99)]);
  });

  test("any files come back, and any damage ends in an error or in files", () => {
    const file = fc.record({ name: fc.stringMatching(/^[a-z]{1,8}$/), content: fc.string({ maxLength: 300 }), isDeflated: fc.boolean() });
    fc.assert(fc.property(fc.array(file, { maxLength: 4 }), (files) => {
      const decoded = [...decodeZip(zip(files), 10_000)].map(({ path, content }) => [path, Buffer.from(content).toString()]);
      assert.deepEqual(decoded, files.map(({ name, content }) => [name, Buffer.from(content).toString()]));
    }));
    fc.assert(fc.property(fc.array(file, { minLength: 1, maxLength: 3 }), fc.nat(), fc.integer({ min: 0, max: 255 }), (files, at, value) => {
      const archive = zip(files);
      archive[at % archive.length] = value;
      try {
        for (const entry of decodeZip(archive, 10_000)) assert.ok(entry.content.byteLength <= 10_000);
      } catch (error) {
        assert.ok(error instanceof Error);
      }
    }));
  });
});

import assert from "node:assert/strict";
import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, relative } from "node:path";
import { test } from "node:test";
import { spillingDirectory } from "./spilling-directory.ts";

const refusal = { code: "ERR_MANTARAY_INVALID_ARGUMENT" };

test("a folder to spill to is made with those above it, and may be there already", () => {
  const root = mkdtempSync(join(tmpdir(), "mantaray-spilling-"));
  try {
    const folder = join(root, "some/where");
    for (let time = 0; time < 2; time++) assert.equal(spillingDirectory(relative(process.cwd(), folder)), folder);
    assert.ok(existsSync(folder));
    writeFileSync(join(root, "file"), "");
    for (const wrong of ["file", "file/below", "file/further/below"]) assert.throws(() => spillingDirectory(join(root, wrong)), refusal);
  } finally {
    rmSync(root, { recursive: true });
  }
});

test("one that cannot be made is refused, and not tried for ever", { skip: process.platform !== "linux" }, () => {
  assert.throws(() => spillingDirectory("/proc/mantaray/spilled"), refusal);
});

import assert from "node:assert/strict";
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { loadNativeMemory } from "../object-store/mod.ts";
import { begunTablesOf, withBegunTasks } from "./begun-tables.ts";

const DEATH = { reason: "was killed", pid: 1, isRetryable: true };

test("a worker makes its tables in the folder of its session, and brings nothing back when that is gone", { skip: loadNativeMemory().memory === null && "no memory can be shared here" }, (context) => {
  const temporary = mkdtempSync(join(tmpdir(), "mantaray-begun-"));
  context.after(() => rmSync(temporary, { recursive: true, force: true }));
  const sessionDir = join(temporary, "session");
  mkdirSync(sessionDir);
  const first = begunTablesOf(sessionDir, "w1");
  assert.ok(first("a") !== null && first("b") !== null && begunTablesOf(sessionDir, "w2")("a") !== null);
  assert.deepEqual(readdirSync(join(sessionDir, "begun", "w1")).sort(), ["a", "b"]);
  assert.equal(withBegunTasks(sessionDir, "w1", DEATH), DEATH, "nothing had begun");
  assert.deepEqual(readdirSync(join(sessionDir, "begun")), ["w2"]);
  rmSync(sessionDir, { recursive: true });
  assert.equal(first("c"), null);
  assert.equal(existsSync(sessionDir), false);
  rmSync(temporary, { recursive: true });
  assert.equal(first("d"), null);
  assert.equal(existsSync(temporary), false);
});

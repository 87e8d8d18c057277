import assert from "node:assert/strict";
import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, it } from "node:test";
import { Soak } from "../../bench/soak/soak.ts";
import { ISOLATIONS } from "../conformance/both-isolations.ts";

const KIB = 1024;
const MIB = 1024 * KIB;
const OPERATIONS = 250;
const SHARED_MEMORY_ROOT = "/dev/shm";

/** `npm run soak` runs the same for minutes. */
describe("random work on large objects, with kills", { skip: process.platform !== "linux" }, () => {
  for (const [index, isolation] of ISOLATIONS.entries()) {
    it(`gives every byte back and leaves an empty store (${isolation})`, async () => {
      const spillFolder = mkdtempSync(join(tmpdir(), "soak-spill-"));
      try {
        const soak = await Soak.start({ isolation, seed: index + 1, storeBytes: 16 * MIB, valueBytesMax: 2560 * KIB, spillFolder });
        try {
          let operations = 0;
          await soak.run(() => operations++ === OPERATIONS);
        } finally {
          await soak.end();
        }
        const { counts } = soak;
        assert.equal(counts.operations, OPERATIONS);
        assert.ok(counts.spilledBytesMax > MIB, `only ${counts.spilledBytesMax} bytes went to disk: the store was not full`);
        assert.ok(counts.actorsKilled > 2 && counts.workersCrashed > 0, JSON.stringify(counts));
        assert.deepEqual(runtimesIn(SHARED_MEMORY_ROOT), [], "shared memory is left");
        assert.deepEqual(readdirSync(spillFolder, { recursive: true }), [], "something is left on disk");
      } finally {
        rmSync(spillFolder, { recursive: true, force: true });
      }
    });
  }
});

function runtimesIn(folder: string): string[] {
  return readdirSync(folder).filter((name) => name.startsWith(`mantaray-${process.pid}-`));
}

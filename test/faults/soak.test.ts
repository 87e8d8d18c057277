import assert from "node:assert/strict";
import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, it } from "node:test";
import { Soak } from "../../bench/soak/soak.ts";
import type { SoakCounts } from "../../bench/soak/soak.ts";
import { ISOLATIONS } from "../conformance/both-isolations.ts";

const KIB = 1024;
const MIB = 1024 * KIB;
const OPERATIONS_MIN = 250;
/** What it happens to do depends on who is quicker: with sixteen times as many it has met all that it is to meet. */
const OPERATIONS_MAX = 4000;
const SHARED_MEMORY_ROOT = "/dev/shm";

/** `npm run soak` runs the same for minutes. */
describe("random work on large objects, with kills", { skip: process.platform !== "linux" }, () => {
  for (const [index, isolation] of ISOLATIONS.entries()) {
    it(`gives every byte back and leaves an empty store (${isolation})`, async () => {
      const spillFolder = mkdtempSync(join(tmpdir(), "soak-spill-"));
      try {
        const soak = await Soak.start({ isolation, seed: index + 1, storeBytes: 16 * MIB, valueBytesMax: 2560 * KIB, spillFolder });
        try {
          await soak.run(() => soak.counts.operations >= (hasMetAll(soak.counts) ? OPERATIONS_MIN : OPERATIONS_MAX));
        } finally {
          await soak.end();
        }
        assert.ok(hasMetAll(soak.counts), `the store was never full, or nothing died: ${JSON.stringify(soak.counts)}`);
        assert.deepEqual(runtimesIn(SHARED_MEMORY_ROOT), [], "shared memory is left");
        assert.deepEqual(readdirSync(spillFolder, { recursive: true }), [], "something is left on disk");
      } finally {
        rmSync(spillFolder, { recursive: true, force: true });
      }
    });
  }
});

function hasMetAll({ spilledBytesMax, actorsKilled, workersCrashed }: SoakCounts): boolean {
  return spilledBytesMax > MIB && actorsKilled > 0 && workersCrashed > 0;
}

function runtimesIn(folder: string): string[] {
  return readdirSync(folder).filter((name) => name.startsWith(`mantaray-${process.pid}-`));
}

import assert from "node:assert/strict";
import { closeSync, existsSync, mkdtempSync, openSync, readdirSync, readSync, rmSync, statSync, truncateSync, writeSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, it } from "node:test";
import * as ray from "mantaray";
import { eventually, ISOLATIONS } from "../conformance/both-isolations.ts";
import { isPatterned, MIB, patterned, spillFiles, spillFolder, storeIsEmpty } from "../conformance/store-contents.ts";

const CAPACITY_BYTES = 8 * MIB;
const OBJECTS = 20;

for (const isolation of ISOLATIONS) {
  describe(`spilled objects (${isolation})`, () => {
    async function withSpilled(body: (spilled: { refs: readonly ray.ObjectRef<Uint8Array>[]; folder: string; sessionDir: string; directory: string }) => Promise<void>): Promise<void> {
      const directory = mkdtempSync(join(tmpdir(), "mantaray-test-"));
      try {
        const { sessionDir } = await ray.init({ numCpus: 2, isolation, objectStoreMemory: CAPACITY_BYTES, objectSpillingDirectory: directory });
        const refs = Array.from({ length: OBJECTS }, (_, index) => ray.put(patterned(index)));
        await body({ refs, folder: spillFolder(sessionDir, directory), sessionDir, directory });
        for (const ref of refs) ref.release();
        await storeIsEmpty(sessionDir, CAPACITY_BYTES, directory);
      } finally {
        await ray.shutdown();
        const left = readdirSync(directory);
        rmSync(directory, { recursive: true });
        assert.deepEqual(left, [], "shutdown() removes what was spilled");
      }
    }

    /** Indexes of what is lost; all else comes back as it was, to drivers and to workers. */
    async function lostAmong(refs: readonly ray.ObjectRef<Uint8Array>[]): Promise<number[]> {
      const lost: number[] = [];
      const sum = ray.remote((value: Uint8Array) => value.byteLength);
      for (const [index, ref] of refs.entries()) {
        const outcome = await ray.get(ref).catch((error: unknown) => error);
        if (outcome instanceof Uint8Array) {
          assert.ok(isPatterned(outcome, index), `object ${index} has other bytes`);
          continue;
        }
        assert.ok(outcome instanceof ray.ObjectReconstructionFailedError, `object ${index}: ${String(outcome)}`);
        assert.equal(outcome.reason, "put");
        assert.equal(outcome.objectId, ref.hex());
        assert.match(outcome.message, /disk/);
        await assert.rejects(ray.get(ref), ray.ObjectLostError, "it stays lost");
        await assert.rejects(ray.get(sum.remote(ref)), ray.ObjectLostError, "for workers, too");
        lost.push(index);
      }
      return lost;
    }

    it("lie in objectSpillingDirectory, and nowhere else", async () => {
      await withSpilled(async ({ refs, folder, sessionDir }) => {
        assert.ok(readdirSync(folder).some((name) => name.endsWith(".spill")));
        assert.deepEqual(spillFiles(sessionDir), []);
        assert.deepEqual(await lostAmong(refs), []);
      });
    });

    it("are lost one by one where a file was altered", async () => {
      await withSpilled(async ({ refs, folder }) => {
        const [name] = readdirSync(folder).filter((file) => file.endsWith(".spill")) as [string];
        const path = join(folder, name);
        const file = openSync(path, "r+");
        const byte = Buffer.alloc(1);
        // In the middle of the first object of the file.
        readSync(file, byte, 0, 1, MIB / 2);
        writeSync(file, Buffer.from([(byte[0] as number) ^ 1]), 0, 1, MIB / 2);
        closeSync(file);
        assert.equal((await lostAmong(refs)).length, 1);
      });
    });

    it("are lost where a file was cut off, up to the cut", async () => {
      await withSpilled(async ({ refs, folder }) => {
        const [name] = readdirSync(folder).filter((file) => file.endsWith(".spill")) as [string];
        truncateSync(join(folder, name), statSync(join(folder, name)).size - 1);
        assert.equal((await lostAmong(refs)).length, 1);
      });
    });

    it("are lost with their file, and no others", async () => {
      await withSpilled(async ({ refs, folder }) => {
        const [name] = readdirSync(folder).filter((file) => file.endsWith(".spill")) as [string];
        const count = Math.floor(statSync(join(folder, name)).size / (MIB - 8192));
        rmSync(join(folder, name));
        assert.equal((await lostAmong(refs)).length, count);
      });
    });

    it("are lost with their folder, and the store goes on with what is in memory", async () => {
      await withSpilled(async ({ refs, folder }) => {
        rmSync(folder, { recursive: true });
        const lost = await lostAmong(refs);
        assert.ok(lost.length >= OBJECTS - CAPACITY_BYTES / MIB && lost.length < OBJECTS, `${lost.length} are lost`);
        for (const ref of refs) ref.release();
        const later = Array.from({ length: OBJECTS }, (_, index) => ray.put(patterned(index)));
        assert.deepEqual(await lostAmong(later), []);
        for (const ref of later) ref.release();
        await eventually("the new folder to be empty", () => !existsSync(folder) || readdirSync(folder).every((name) => !name.endsWith(".spill")));
      });
    });
  });
}

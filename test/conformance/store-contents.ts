import { existsSync, readdirSync } from "node:fs";
import { basename, join } from "node:path";
import { crc32 } from "node:zlib";
import * as ray from "mantaray";
import { eventually } from "./both-isolations.ts";
import { eventuallyCollected } from "./garbage-collection.ts";

export const MIB = 1024 ** 2;
const PAGE_BYTES = 4096;
/** An object of so many bytes takes one MiB of the store, with its header. */
export const NEARLY_A_MIB = MIB - PAGE_BYTES;

/** Different for every seed, in every page. */
export function patterned(seed: number, byteLength: number = NEARLY_A_MIB): Uint8Array {
  const words = new Uint32Array(byteLength / Uint32Array.BYTES_PER_ELEMENT);
  for (let index = 0; index < words.length; index++) words[index] = Math.imul(index + 1, 0x9e3779b1) ^ seed;
  return new Uint8Array(words.buffer);
}

export function isPatterned(value: Uint8Array, seed: number, byteLength: number = NEARLY_A_MIB): boolean {
  return value.byteLength === byteLength && crc32(value) === crc32(patterned(seed, byteLength));
}

/** Names of the files in the spill folder of a session. */
export function spillFiles(sessionDir: string, spillingDirectory?: string): string[] {
  const folder = spillFolder(sessionDir, spillingDirectory);
  return existsSync(folder) ? readdirSync(folder).filter((name) => name.endsWith(".spill")) : [];
}

export function spillFolder(sessionDir: string, spillingDirectory?: string): string {
  return spillingDirectory === undefined ? join(sessionDir, "spill") : join(spillingDirectory, basename(sessionDir));
}

/**
 * Resolves once one object that takes the whole store can be put without anything being written to disk: nothing else is in it.
 */
export async function storeIsEmpty(sessionDir: string, capacityBytes: number, spillingDirectory?: string): Promise<void> {
  await eventuallyCollected("the spill files of earlier objects to be gone", () => spillFiles(sessionDir, spillingDirectory).length === 0);
  await eventually("the store to be empty", async () => {
    try {
      ray.put(new Uint8Array(capacityBytes - 2 * PAGE_BYTES)).release();
    } catch (error) {
      if (error instanceof ray.ObjectStoreFullError) return false;
      throw error;
    }
    if (spillFiles(sessionDir, spillingDirectory).length === 0) return true;
    await eventually("the spill files to be gone", () => spillFiles(sessionDir, spillingDirectory).length === 0);
    return false;
  });
}

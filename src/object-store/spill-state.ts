import { invariant } from "../base/mod.ts";

/** Objects are fused into files of at most so many bytes: many small files are slow to make and to remove. */
export const SPILL_FILE_BYTES_MAX = 100 * 1024 * 1024;

/**
 * Which spilled object lies where in which file, and which files nobody needs any more. Pure: events in, instructions out.
 *
 *   begin (1) ──▶ writing ── written (2) ──▶ kept ── nobody needs it (4) ──▶ removing ── removed (5) ──▶ gone
 *                    │                                                      ▲  ▲    │
 *                    └────── failed (3) ────────────────────────────────────┘  │    ▼ removalFailed (6)
 *                                                          retryRemovals (7) ──┴── stuck
 *
 * (1) Objects are assigned to files; none can be read yet. (2) Those that were not forgotten meanwhile can be read; if none
 * is left, the file goes at once. (3) All its objects are unknown again; a file that was never created is gone.
 * (4) Its last object is forgotten and its last read is over. A read that has begun keeps the file, though not the object:
 * nobody else can begin one. Instruction `remove`.
 * (5) (6) What became of the instruction. (7) Instruction `remove` again.
 */
export interface SpillInstruction {
  readonly type: "remove";
  readonly fileId: number;
}

export interface SpillRecord {
  readonly key: string;
  /** Where its record begins in the file. */
  readonly offset: number;
  /** Of the object alone. */
  readonly byteLength: number;
}

export interface SpillLocation {
  readonly fileId: number;
  readonly offset: number;
  readonly byteLength: number;
}

interface SpillFile {
  phase: "writing" | "kept" | "removing" | "stuck";
  /** Objects that are not forgotten. */
  readonly keys: Set<string>;
  reads: number;
}

export class SpillState {
  readonly #files = new Map<number, SpillFile>();
  readonly #locations = new Map<string, SpillLocation>();
  #lastFileId = 0;
  #spilledBytes = 0;

  /** Bytes of the objects that can be read. */
  get spilledBytes(): number {
    return this.#spilledBytes;
  }

  /** Files that exist or are about to. */
  get fileCount(): number {
    return this.#files.size;
  }

  /** Where an object can be read, or undefined while it is being written and once it is forgotten. */
  locate(key: string): SpillLocation | undefined {
    const location = this.#locations.get(key);
    return location !== undefined && this.#file(location.fileId).phase === "kept" ? location : undefined;
  }

  /** One file for each list of records. Returns their ids. */
  begin(files: readonly (readonly SpillRecord[])[]): number[] {
    const keys = new Set<string>();
    for (const { key } of files.flat()) {
      invariant(!this.#locations.has(key) && !keys.has(key), () => `object ${key} is spilled twice`);
      keys.add(key);
    }
    return files.map((records) => {
      const fileId = ++this.#lastFileId;
      this.#files.set(fileId, { phase: "writing", keys: new Set(records.map(({ key }) => key)), reads: 0 });
      for (const { key, offset, byteLength } of records) this.#locations.set(key, { fileId, offset, byteLength });
      return fileId;
    });
  }

  written(fileId: number): SpillInstruction[] {
    const file = this.#expect(fileId, "writing");
    file.phase = "kept";
    for (const key of file.keys) this.#spilledBytes += this.#locations.get(key)!.byteLength;
    return this.#removeIfUnused(fileId, file);
  }

  failed(fileId: number, wasCreated: boolean): SpillInstruction[] {
    const file = this.#expect(fileId, "writing");
    for (const key of file.keys) this.#locations.delete(key);
    file.keys.clear();
    if (wasCreated) return [this.#remove(fileId, file)];
    this.#files.delete(fileId);
    return [];
  }

  /** An unknown object is forgotten already. */
  forget(key: string): SpillInstruction[] {
    const location = this.#locations.get(key);
    if (location === undefined) return [];
    const file = this.#file(location.fileId);
    this.#locations.delete(key);
    file.keys.delete(key);
    if (file.phase === "kept") this.#spilledBytes -= location.byteLength;
    return this.#removeIfUnused(location.fileId, file);
  }

  forgetAll(): SpillInstruction[] {
    return [...this.#locations.keys()].flatMap((key) => this.forget(key));
  }

  /** Keeps the object's file until `endRead`. */
  beginRead(key: string): SpillLocation | undefined {
    const location = this.locate(key);
    if (location !== undefined) this.#file(location.fileId).reads++;
    return location;
  }

  endRead(fileId: number): SpillInstruction[] {
    const file = this.#expect(fileId, "kept");
    invariant(file.reads > 0, () => `a read of spill file ${fileId} ends that never began`);
    file.reads--;
    return this.#removeIfUnused(fileId, file);
  }

  removed(fileId: number): void {
    this.#expect(fileId, "removing");
    this.#files.delete(fileId);
  }

  removalFailed(fileId: number): void {
    this.#expect(fileId, "removing").phase = "stuck";
  }

  retryRemovals(): SpillInstruction[] {
    const instructions: SpillInstruction[] = [];
    for (const [fileId, file] of this.#files) if (file.phase === "stuck") instructions.push(this.#remove(fileId, file));
    return instructions;
  }

  #removeIfUnused(fileId: number, file: SpillFile): SpillInstruction[] {
    if (file.phase !== "kept" || file.keys.size > 0 || file.reads > 0) return [];
    return [this.#remove(fileId, file)];
  }

  #remove(fileId: number, file: SpillFile): SpillInstruction {
    file.phase = "removing";
    return { type: "remove", fileId };
  }

  #file(fileId: number): SpillFile {
    const file = this.#files.get(fileId);
    invariant(file !== undefined, () => `spill file ${fileId} is unknown`);
    return file;
  }

  #expect(fileId: number, phase: SpillFile["phase"]): SpillFile {
    const file = this.#file(fileId);
    invariant(file.phase === phase, () => `spill file ${fileId} is ${file.phase} instead of ${phase}`);
    return file;
  }
}

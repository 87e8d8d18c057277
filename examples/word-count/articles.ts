import { closeSync, fstatSync, openSync, readSync, statSync } from "node:fs";

export interface TextFile {
  readonly path: string;
  readonly sizeBytes: number;
}

/** One reader's part of the stream: every `count`-th article, starting with the one numbered `index`. */
export interface Share {
  readonly index: number;
  readonly count: number;
}

/** A long text is cut into articles of about this size, so that no more than one is held at a time. */
const ARTICLE_BYTES = 64 * 1024;
/** How far past its end an article may reach to finish its last word. */
const WORD_BYTES_MAX = 4 * 1024;

const TEXT = new TextDecoder();

/** Sizes up the files, or says in one sentence which of them cannot be read. */
export function inspectFiles(paths: readonly string[]): TextFile[] {
  return paths.map((path) => {
    let stats;
    try {
      stats = statSync(path);
      if (stats.isFile()) closeSync(openSync(path, "r"));
    } catch (error) {
      throw new UnreadableFileError(path, explain(error as NodeJS.ErrnoException));
    }
    if (stats.isDirectory()) throw new UnreadableFileError(path, "it is a folder; name the files in it");
    if (!stats.isFile()) throw new UnreadableFileError(path, "it is not a regular file; save what it yields in one");
    return { path, sizeBytes: stats.size };
  });
}

export class UnreadableFileError extends Error {
  constructor(path: string, reason: string) {
    super(`cannot read ${path}: ${reason}`);
    this.name = "UnreadableFileError";
  }
}

function explain(error: NodeJS.ErrnoException): string {
  if (error.code === "ENOENT") return "there is no such file";
  if (error.code === "EACCES") return "permission denied";
  return error.message;
}

export function countArticles(files: readonly TextFile[]): number {
  return files.reduce((sum, file) => sum + Math.ceil(file.sizeBytes / ARTICLE_BYTES), 0);
}

/** The stream of articles of the files, read as it is consumed: a file may be larger than the memory. */
export function* readArticles(files: readonly TextFile[], share: Share): Generator<string, void> {
  const buffer = Buffer.allocUnsafe(ARTICLE_BYTES + WORD_BYTES_MAX);
  let number = 0;
  for (const file of files) {
    const descriptor = openSync(file.path, "r");
    try {
      // The size now may differ from the size then: a file that somebody truncated ends early.
      const sizeBytes = Math.min(file.sizeBytes, fstatSync(descriptor).size);
      for (let start = 0; start < sizeBytes; start += ARTICLE_BYTES) {
        if (number++ % share.count === share.index) yield readArticle(descriptor, start, sizeBytes, buffer);
      }
    } finally {
      closeSync(descriptor);
    }
  }
}

function readArticle(descriptor: number, start: number, sizeBytes: number, buffer: Buffer): string {
  const bytes = readFully(descriptor, buffer, start, Math.min(buffer.length, sizeBytes - start));
  const first = start === 0 ? 0 : endOfWord(bytes, 0);
  const last = endOfWord(bytes, ARTICLE_BYTES);
  return TEXT.decode(bytes.subarray(first, last));
}

function readFully(descriptor: number, buffer: Buffer, position: number, wantedBytes: number): Buffer {
  let filledBytes = 0;
  while (filledBytes < wantedBytes) {
    const readBytes = readSync(descriptor, buffer, filledBytes, wantedBytes - filledBytes, position + filledBytes);
    if (readBytes === 0) break;
    filledBytes += readBytes;
  }
  return buffer.subarray(0, filledBytes);
}

/**
 * Where the word that the byte at `from` may belong to has ended. Two neighbours ask about the same
 * bytes and so agree on the cut. Blanks are never a part of a longer character in UTF-8; where none
 * is near, the cut is at least between two characters.
 */
function endOfWord(bytes: Uint8Array, from: number): number {
  const limit = Math.min(bytes.length, from + WORD_BYTES_MAX);
  for (let at = from; at < limit; at++) {
    if (bytes[at]! <= 0x20) return at;
  }
  if (bytes.length < from + WORD_BYTES_MAX) return bytes.length;
  let at = from;
  while ((bytes[at]! & 0xc0) === 0x80) at++;
  return at;
}

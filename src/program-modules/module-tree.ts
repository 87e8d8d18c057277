import { chmod, lstat, mkdir, rename, rm, symlink, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { threadId } from "node:worker_threads";

let filesMade = 0;

/**
 * The files of one program as one machine has them by now, laid out as on the program's own: under `root`, which stands for `/`. All
 * workers of the machine share it. A file is there whole or not at all, and never changes.
 */
export class ModuleTree {
  readonly root: string;

  constructor(root: string) {
    this.root = root;
  }

  pathOf(relative: string): string {
    return join(this.root, relative);
  }

  async has(relative: string): Promise<boolean> {
    return (await lstat(this.pathOf(relative)).catch(() => null)) !== null;
  }

  async write(relative: string, content: Uint8Array, isExecutable: boolean): Promise<void> {
    await this.#make(relative, async (unfinished) => {
      await writeFile(unfinished, content, { flag: "wx", mode: 0o600 });
      if (isExecutable) await chmod(unfinished, 0o700);
    });
  }

  async link(relative: string, target: string): Promise<void> {
    if (!(await this.has(relative))) await this.#make(relative, (unfinished) => symlink(target, unfinished));
  }

  /** Under another name first. */
  async #make(relative: string, make: (unfinished: string) => Promise<void>): Promise<void> {
    const path = this.pathOf(relative);
    await mkdir(dirname(path), { recursive: true, mode: 0o700 });
    const unfinished = `${path}.${process.pid}-${threadId}-${filesMade++}`;
    try {
      await make(unfinished);
      await rename(unfinished, path);
    } catch (error) {
      await rm(unfinished, { force: true });
      throw error;
    }
  }
}

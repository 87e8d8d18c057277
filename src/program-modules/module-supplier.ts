import { readFile } from "node:fs/promises";
import { SerializationError } from "../base/mod.ts";
import type { ModuleAnswer, ModuleQuestion } from "../protocol/mod.ts";
import { contentHash } from "./content-hash.ts";
import { LocalModules } from "./local-modules.ts";
import { PackageFolders } from "./package-folders.ts";

/** Answers for the program that has the files: what its modules are, and what is in them. */
export class ModuleSupplier {
  readonly #modules = new LocalModules();
  readonly #packages = new PackageFolders();

  /** @throws SerializationError */
  async answer(question: ModuleQuestion): Promise<ModuleAnswer> {
    switch (question.type) {
      case "modules":
        return { type: "modules", modules: await this.#modules.graphOf(question.requests) };
      case "packages":
        return { type: "packages", packages: await this.#packages.closureOf(question.places) };
      case "contents":
        return { type: "contents", contents: await Promise.all(question.hashes.map((hash) => this.#content(hash))) };
    }
  }

  async #content(hash: string): Promise<Uint8Array> {
    const content = this.#modules.contentOf(hash);
    if (content !== undefined) return content;
    const path = this.#packages.pathOf(hash);
    if (path === undefined) throw new SerializationError(`A file with the hash ${hash} was asked for, which this program has not`);
    const read = await readFile(path);
    if (contentHash(read) !== hash) throw new SerializationError(`The file ${path} has changed while the program was running; start the program again`);
    return read;
  }
}

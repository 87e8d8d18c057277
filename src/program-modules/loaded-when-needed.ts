import type { CodeOrigin, ModuleAnswer, ModuleQuestion, ModuleRequest } from "../protocol/mod.ts";
import type { ModulePlacerSettings, Placement } from "./module-placer.ts";
import type { ModuleSupplier } from "./module-supplier.ts";
import type { TreeEntry } from "./tree-contents.ts";

// The rest of this part is loaded when a file is first missing somewhere: a program with all its files pays nothing for it.

let supplier: Promise<ModuleSupplier> | null = null;

/** About the files of this process. @throws SerializationError */
export async function answerAboutModules(question: ModuleQuestion): Promise<ModuleAnswer> {
  supplier ??= import("./module-supplier.ts").then(({ ModuleSupplier: Supplier }) => new Supplier());
  return (await supplier).answer(question);
}

/** Brings modules here. @throws SerializationError */
export async function placeModules(settings: ModulePlacerSettings, origin: CodeOrigin, requests: readonly ModuleRequest[], loadsTypeScript: boolean): Promise<Placement> {
  const { ModulePlacer } = await import("./module-placer.ts");
  return new ModulePlacer(settings).place(origin, requests, loadsTypeScript);
}

/** See `tree-contents.ts`. */
export async function* contentsOfTree(root: string): AsyncIterable<TreeEntry> {
  yield* (await import("./tree-contents.ts")).contentsOf(root);
}

/** As above. */
export async function addToTree(root: string, entries: readonly TreeEntry[]): Promise<void> {
  return (await import("./tree-contents.ts")).addContents(root, entries);
}

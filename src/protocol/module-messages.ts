import type { WorkerId } from "../base/mod.ts";

/** Whose files are meant where code refers to modules: those of a program, as its machine has them. */
export interface CodeOrigin {
  readonly driverId: WorkerId;
  /** Equal where the same paths lead to the same files. */
  readonly fileSystem: string;
}

/** A module as code asks for it. */
export interface ModuleRequest {
  /** As written, or a file URL. */
  readonly specifier: string;
  readonly parentUrl: string;
  readonly kind: "import" | "require";
}

/** What a worker asks the program for that has the files which the worker lacks. Every answer fits the question's type. */
export type ModuleQuestion =
  | { readonly type: "modules"; readonly requests: readonly ModuleRequest[] }
  /** `places`: see PackageUse. */
  | { readonly type: "packages"; readonly places: readonly PackageUse[] }
  /** Answered in the same order. */
  | { readonly type: "contents"; readonly hashes: readonly string[] };

export type ModuleAnswer =
  | { readonly type: "modules"; readonly modules: ModuleGraph }
  | { readonly type: "packages"; readonly packages: readonly PackageFolder[] }
  | { readonly type: "contents"; readonly contents: readonly Uint8Array[] };

/** Local modules with all that they import. */
export interface ModuleGraph {
  /** For each request: which module or package it leads to; null if it leads nowhere, or to what every machine has. */
  readonly roots: readonly ({ readonly module: number } | { readonly package: PackageUse } | null)[];
  readonly modules: readonly PackedModule[];
}

/** A file of the program, ready to be loaded by Node without the tools that the program is built or run with. */
export interface PackedModule {
  /** The file as the program's machine has it; its path is `path` without the ending that was added. */
  readonly url: string;
  /** Relative, with `/`: where it lies under the folder for all files of the program. */
  readonly path: string;
  /** Of the program's file, to compare with a file of the same name. */
  readonly sourceHash: string;
  /** Of what is to be written. */
  readonly hash: string;
  readonly bytes: number;
  /** Indexes of the local modules that must be there when it is loaded. */
  readonly imports: readonly number[];
  readonly packages: readonly PackageUse[];
  /** Why it cannot be packed; the end of a sentence that begins with the file's name. */
  readonly problem: string | null;
  /** Who imports it, for messages; null for what was asked for. */
  readonly importedBy: string | null;
}

/** A package in `node_modules`, by where it was found on the program's machine: `/app/node_modules/@scope/name`. */
export interface PackageUse {
  readonly place: string;
  readonly name: string;
  readonly importedBy: string;
}

export interface PackageFolder extends PackageUse {
  readonly version: string;
  /** The package that the program itself imports, which brings this one: `name@version`. */
  readonly neededFor: string;
  /** Where the place leads if it is a link, else the place. */
  readonly folder: string;
  readonly files: readonly PackageFile[];
  readonly problem: string | null;
}

export interface PackageFile {
  /** Relative to the folder, with `/`. */
  readonly path: string;
  readonly hash: string;
  readonly bytes: number;
  readonly isExecutable: boolean;
}

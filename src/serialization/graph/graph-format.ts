/**
 * The graph format: objects as numbered nodes in one stream of 32-bit words, beside tables of strings and doubles.
 *
 * A word that stands for a value is a *cell*: a tag in its low 3 bits and a signed payload above. A node is
 * `[kind, id, …content]`; a cell refers to other nodes by id, in any order, so cycles and shared references need nothing
 * special, and neither writing nor reading recurses.
 */

export const TAG_BITS = 3;
export const TAG_MASK = 7;
export const TAG_NODE = 0;
export const TAG_INTEGER = 1;
export const TAG_STRING = 2;
export const TAG_DOUBLE = 3;
export const TAG_CONSTANT = 4;
export const TAG_BIGINT = 5;

/** What a cell's 29-bit payload holds. */
export const CELL_INTEGER_MAX = 2 ** 28 - 1;
export const CELL_INTEGER_MIN = -(2 ** 28);

const constant = (index: number): number => (index << TAG_BITS) | TAG_CONSTANT;
export const CELL_UNDEFINED = constant(0);
export const CELL_NULL = constant(1);
export const CELL_TRUE = constant(2);
export const CELL_FALSE = constant(3);
/** An array's hole. */
export const CELL_HOLE = constant(4);

/** What a node is, and its content after `[kind, id]`. "extension" is `[0]`, or what EXTENSION_* describes. */
export const NodeKind = {
  /** shape, one cell per key of the shape */
  shaped: 0,
  /** length, cells */
  array: 1,
  /** length, count of dense cells, cells, extension */
  arrayExtended: 2,
  /** extension */
  object: 3,
  /** count, (key cell, value cell) each, extension */
  map: 4,
  /** count, cells, extension */
  set: 5,
  /** time cell, extension */
  date: 6,
  /** source cell, flags cell, lastIndex cell, extension */
  regExp: 7,
  /** stack cell, extension */
  error: 8,
  /** index of the buffer, cell of maxByteLength or undefined */
  arrayBuffer: 9,
  /** index into VIEW_TYPES, cell of the buffer, offset cell, length cell, extension */
  view: 10,
  /** cell of the primitive, extension */
  boxed: 11,
  /** SymbolKind, cell of the description */
  symbol: 12,
  /** index into the table of references */
  reference: 13,
  /** index of the descriptor */
  runtimeObject: 14,
  /** index of the code unit's id */
  codeUnit: 15,
  /** cell of the function whose `prototype` it is */
  prototypeOf: 16,
  /** cell of the target, cell of `this`, count, cells of the arguments, extension */
  boundFunction: 17,
  /** cell of the object that holds the method, key cell, 0 value | 1 getter | 2 setter */
  methodOf: 18,
  /** index into the table of functions, count, cells of what it captures, extension, extension of its `prototype` */
  function: 19,
  /** cell of "URL" or "URLSearchParams", cell of its text */
  url: 20,
  /** count, cells */
  argumentsObject: 21,
  /** message cell, name cell, stack cell, extension */
  domException: 22,
} as const;
export type NodeKind = (typeof NodeKind)[keyof typeof NodeKind];

export const SymbolKind = { unique: 0, registered: 1, wellKnown: 2 } as const;

/**
 * An extension is what an object has besides its kind's own content: `[flags, prototype cell if EXTENSION_PROTOTYPE,
 * property count, properties, private count, (class cell, name cell, value cell) each]`. A property is `[key cell,
 * PROPERTY_* flags, value cell]`, an accessor `[key cell, flags, getter cell, setter cell]`.
 */
export const EXTENSION_PRESENT = 1;
export const EXTENSION_PROTOTYPE = 2;
export const EXTENSION_NOT_EXTENSIBLE = 4;
export const EXTENSION_SEALED = 8;
export const EXTENSION_FROZEN = 16;

export const PROPERTY_WRITABLE = 1;
export const PROPERTY_ENUMERABLE = 2;
export const PROPERTY_CONFIGURABLE = 4;
export const PROPERTY_ACCESSOR = 8;
export const PROPERTY_PLAIN = PROPERTY_WRITABLE | PROPERTY_ENUMERABLE | PROPERTY_CONFIGURABLE;

export const VIEW_TYPES = [
  "DataView",
  "Buffer",
  "Int8Array",
  "Uint8Array",
  "Uint8ClampedArray",
  "Int16Array",
  "Uint16Array",
  "Int32Array",
  "Uint32Array",
  "Float32Array",
  "Float64Array",
  "BigInt64Array",
  "BigUint64Array",
  "Float16Array",
] as const;
export type ViewTypeName = (typeof VIEW_TYPES)[number];

/** Objects with the same prototype and the same plain string-keyed properties in the same order. */
export interface Shape {
  /** A cell: a node, or null. */
  readonly prototype: number;
  readonly isObjectPrototype: boolean;
  readonly keys: readonly string[];
}

/** Something that every process can find by itself. */
export type Reference =
  /** `path` leads from globalThis, or from a name in %percent signs%, to the object. */
  | { readonly type: "wellKnown"; readonly path: readonly PathStep[] }
  | { readonly type: "builtin"; readonly module: string; readonly path: readonly string[] }
  | ImportReference
  /** An object found inside what `require` of a file gives. */
  | { readonly type: "required"; readonly file: string; readonly path: readonly string[] }
  /** `specifiers`: what the function that has it requires, as far as that stands there. */
  | { readonly type: "requireFunction"; readonly parentUrl: string; readonly specifiers: readonly string[] }
  /** `import()` of a module's functions. */
  | { readonly type: "importer"; readonly url: string }
  | { readonly type: "importMeta"; readonly url: string };
export interface ImportReference {
  readonly type: "import";
  /** As written in the source, resolved by Node itself from `parentUrl`; or an absolute URL. */
  readonly specifier: string;
  readonly parentUrl: string;
  /** The export's name; "*" for the namespace. */
  readonly name: string;
}
/** A property name, the name of a well-known symbol, or which half of the accessor that the step before names. */
export type PathStep = string | { readonly symbol: string } | { readonly accessor: "get" | "set" };

/** Functions of one module share its top-level variables. */
export interface ModuleGroup {
  /** Where the source was loaded from: URL, path or a name such as "[eval1]". */
  readonly url: string;
  readonly isStrict: boolean;
}

/** Local variables of an activation of an enclosing function that several of the functions assign and read. */
export interface SharedScope {
  readonly group: number;
  /** Index of the enclosing shared scope, or -1. */
  readonly parent: number;
  readonly names: readonly string[];
}

/** Where a function's captured cell goes, in the order of the cells. */
export interface CaptureSlot {
  readonly to: "local" | "module" | "shared" | "this" | "arguments" | "heritage" | "homePrototype" | "privateStatic";
  readonly name: string;
  /** For "shared": which scope. */
  readonly scope: number;
  /** Whether the function assigns the variable. */
  readonly isAssigned: boolean;
}

/** A replacement within a function's source text. */
export interface SourceEdit {
  readonly start: number;
  readonly end: number;
  readonly text: string;
}

export interface FunctionRecord {
  readonly name: string;
  readonly text: string;
  readonly edits: readonly SourceEdit[];
  readonly form: "expression" | "method" | "classMember";
  readonly kind: "class" | "function" | "get" | "set";
  readonly group: number;
  /** Innermost shared scope that the function lives in, or -1. */
  readonly scope: number;
  readonly slots: readonly CaptureSlot[];
  /** 0-based position of the text in the loaded source. */
  readonly line: number;
  readonly column: number;
  /** The file to show in stack traces: the TypeScript source where the module was compiled from one. */
  readonly displayFile: string;
  /** See source-positions.ts; null where the loaded source is the written one. */
  readonly positions: Int32Array | null;
  /** Identity of a class across messages. */
  readonly unitId: string | null;
  readonly usesImportMeta: boolean;
  readonly usesImporter: boolean;
  readonly isAsync: boolean;
  readonly isGenerator: boolean;
  /** How to make an instance with #private members without running the user's constructor; null if there are none. */
  readonly privateInstances: PrivateInstances | null;
}
export interface PrivateInstances {
  readonly constructorParameterCount: number;
  readonly isDerived: boolean;
}

/** A graph as read: the tables, and the streams that they index. */
export interface Graph {
  /** A cell. */
  readonly root: number;
  readonly nodeCount: number;
  readonly strings: readonly string[];
  readonly bigints: readonly bigint[];
  readonly shapes: readonly Shape[];
  readonly references: readonly Reference[];
  readonly functions: readonly FunctionRecord[];
  readonly groups: readonly ModuleGroup[];
  readonly scopes: readonly SharedScope[];
  readonly words: Int32Array;
  readonly doubles: Float64Array;
  readonly buffers: readonly ArrayBuffer[];
}

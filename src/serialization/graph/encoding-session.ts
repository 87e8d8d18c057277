import type { ModulePolicy } from "../closure/module-policy.ts";
import type { RuntimeObjects } from "../encoded-value.ts";
import type { BufferLedger } from "../values/buffer-ledger.ts";
import type { CapturePath, Step } from "./capture-path.ts";
import type { Reference } from "./graph-format.ts";
import type { GraphWriter } from "./graph-writer.ts";

/** What the encoder has to ask of the serializer that it works for. */
export interface EncoderEnvironment {
  readonly runtimeObjects: RuntimeObjects;
  readonly policy: ModulePolicy;
  /** Id of the code unit of a function or class, capturing it if need be. */
  exportCode(fn: Function): string;
  /** Id under which copies of a class know each other. */
  classId(type: Function): string;
  /** Id of the unit that a function was hydrated from as a whole. */
  foreignUnit(fn: Function): string | undefined;
  /** How this process came by an object of a module that it was told to import. */
  importedReference(object: object): Reference | undefined;
}

/** The object that a function was found on, which methods that use `super` and arrows that use `this` depend on. */
export interface FunctionHolder {
  readonly object: object;
  readonly key: PropertyKey;
}

/** The encoding of one graph, as those see it who write its nodes. See graph-encoder.ts. */
export interface EncodingSession {
  readonly environment: EncoderEnvironment;
  readonly writer: GraphWriter;
  readonly path: CapturePath;
  readonly ledger: BufferLedger;
  /** Code keeps every detail of plain objects; values follow structuredClone. */
  readonly isCode: boolean;
  readonly holders: ReadonlyMap<Function, FunctionHolder>;

  /** The cell of a value reached from the object `parent` by `step`. */
  cell(value: unknown, parent: number, step: Step): number;
  /** The same for the value of a property, which may be a method of its object. */
  propertyCell(value: unknown, parent: number, key: PropertyKey, holder: object): number;
  keyCell(key: string | symbol, parent: number): number;
  prototypeCell(prototype: object | null, parent: number): number;
  /** The cell of a view's buffer, which is not itself reached by that. */
  viewedBufferCell(view: ArrayBufferView, viewId: number): number;
  /** Where a segment begins is known when all views have been met: the word is written then. */
  noteView(view: ArrayBufferView, offsetPosition: number): void;

  /** Writes an object as a row of cells; false if it resembles none of too many others. */
  writeShaped(id: number, object: object, prototype: object | null, keys: readonly string[]): boolean;
  /** A node for something that is no object of its own: nothing else will ever refer to it. The caller writes it at once. */
  anonymousNode(parent: number, step: Step): number;
  /** Ties an object to the node that was made for it under another name, such as an import. */
  alias(object: unknown, id: number): void;
  writeReference(id: number, reference: Reference): void;
  writeCodeUnit(id: number, unitId: string): void;
  /** True if the object belongs to the runtime and has been written. */
  writeRuntimeObject(id: number, object: object): boolean;
  /** True if every process has the object, or can import it, and it has been written as a reference. */
  writeKnownObject(id: number, object: object): boolean;
  fail(id: number, reason: string, cause?: unknown): never;
}

/** What is done with functions: values refer to them, code contains them. See function-encoder.ts. */
export interface FunctionEncoding {
  readonly isCode: boolean;
  /** Called for each function once, in any order. */
  encode(id: number, fn: Function): void;
  /** Called when nothing else is left to encode. Returns whether there was anything to do. */
  flush(): boolean;
}

export interface EncodedGraph {
  readonly header: Uint8Array;
  readonly buffers: readonly Uint8Array[];
  readonly descriptors: readonly unknown[];
  readonly code: readonly string[];
}

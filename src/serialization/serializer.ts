import { SerializationError } from "../base/mod.ts";
import type { CodeOrigin } from "../protocol/mod.ts";
import { packBlob, unpackBlob } from "./code-blob.ts";
import { ModulePolicy } from "./closure/module-policy.ts";
import type { CodeUnit } from "./code-unit.ts";
import type { EncodedValue, RuntimeObjects } from "./encoded-value.ts";
import { FunctionsByReference, FunctionsByValue } from "./graph/function-encoder.ts";
import { GraphEncoder } from "./graph/graph-encoder.ts";
import type { EncoderEnvironment } from "./graph/encoding-session.ts";
import { readGraph } from "./graph/graph-reader.ts";
import type { Graph, Reference } from "./graph/graph-format.ts";
import { hydrate } from "./graph/hydrator.ts";
import { importModules, noteModules } from "./graph/module-loading.ts";
import { importedReference } from "./graph/module-references.ts";
import { privateTwin } from "./graph/private-twins.ts";
import { CODE_BYTES_MAX, CODE_WARNING_BYTES } from "./limits.ts";
import { ownModuleUrl } from "./own-package.ts";
import type { ModulePlaces } from "./placed-modules.ts";
import { decodePlain, encodePlain } from "./values/plain-values.ts";

export interface SerializerOptions {
  readonly workerId: string;
  readonly runtimeObjects: RuntimeObjects;
  /** The module that the program was started with; functions of it travel by value. Default: what Node was started with. */
  readonly entryUrl?: string;
  /** Before the first import of a module of the program: loads what the program needs to load modules (tsx), once. */
  readonly prepareImports?: () => Promise<void>;
  /** Whose files the modules of captured code are, at the time of the capture. */
  readonly codeOrigin?: () => CodeOrigin | null;
  /** Finds modules that are not here. */
  readonly modulePlaces?: ModulePlaces;
  /** Told of captures that are suspiciously large. */
  readonly warn?: (message: string) => void;
}

/** A unit whose capture may still be going on: functions that refer to themselves ask for their own id meanwhile. */
class PendingUnit implements CodeUnit {
  readonly id: string;
  readonly name: string;
  needs: readonly string[] = [];
  descriptors: readonly unknown[] = [];
  readonly kind: "function" | "class";
  isAsync = false;
  isGenerator = false;
  where = "";
  blob: Uint8Array = EMPTY;
  readonly origin: CodeOrigin | null;

  constructor(id: string, fn: Function, origin: CodeOrigin | null) {
    this.origin = origin;
    this.id = id;
    this.name = fn.name;
    this.kind = isClass(fn) ? "class" : "function";
  }
}

/** Turns values, functions and classes into bytes and back. One per worker. */
export class Serializer {
  readonly #workerId: string;
  readonly #runtimeObjects: RuntimeObjects;
  readonly #warn: (message: string) => void;
  readonly #policy: ModulePolicy;
  readonly #prepareImports: (() => Promise<void>) | null;
  readonly #codeOrigin: () => CodeOrigin | null;
  readonly #modulePlaces: ModulePlaces | null;
  readonly #environment: EncoderEnvironment;
  #nextUnit = 0;

  /** Ids of the functions that this worker has named, or got by name. */
  readonly #idByFunction = new WeakMap<Function, string>();
  /** Functions that came as a unit of their own, not inside another. */
  readonly #foreign = new WeakSet<Function>();
  readonly #captured = new WeakMap<Function, PendingUnit>();
  readonly #units = new Map<string, CodeUnit>();
  readonly #codeById = new Map<string, Function>();

  constructor(options: SerializerOptions) {
    this.#workerId = options.workerId;
    this.#runtimeObjects = options.runtimeObjects;
    this.#warn = options.warn ?? ((message) => process.emitWarning(message, "MantarayWarning"));
    this.#prepareImports = options.prepareImports ?? null;
    this.#codeOrigin = options.codeOrigin ?? (() => null);
    this.#modulePlaces = options.modulePlaces ?? null;
    this.#policy = new ModulePolicy(options.entryUrl);
    this.#environment = {
      runtimeObjects: options.runtimeObjects,
      policy: this.#policy,
      exportCode: (fn) => this.exportCode(fn).id,
      classId: (type) => this.#idOf(type),
      foreignUnit: (fn) => (this.#foreign.has(fn) ? this.#idByFunction.get(fn) : undefined),
      importedReference,
    };
  }

  /** Throws SerializationError that names `label` and the path inside, for example "argument 1 of train()". */
  encode(value: unknown, label: string): EncodedValue {
    const plain = encodePlain(value);
    if (plain !== undefined) return { format: 0, ...plain, descriptors: NOTHING, code: NOTHING };
    const encoder = new GraphEncoder(this.#environment, label);
    return { format: 1, ...encoder.encode(value, new FunctionsByReference(encoder)) };
  }

  /** All of `encoded.code` must be loaded. Every decoding gives a fresh copy, unless it may keep the buffers. */
  decode(encoded: EncodedValue, options?: { adoptBuffers?: boolean }): unknown {
    const adoptBuffers = options?.adoptBuffers ?? false;
    if (encoded.format === 0) return decodePlain(encoded.header, encoded.buffers, adoptBuffers);
    const graph = readGraph(encoded.header, encoded.buffers, adoptBuffers);
    return this.#hydrate(graph, encoded.code, encoded.descriptors);
  }

  /** Captures a function or class with what it uses; once per function object. */
  exportCode(fn: Function): CodeUnit {
    const known = this.#captured.get(fn);
    if (known !== undefined) return known;
    const id = this.#idOf(fn);
    const received = this.#units.get(id);
    if (received !== undefined) return received;

    const unit = new PendingUnit(id, fn, this.#codeOrigin());
    this.#captured.set(fn, unit);
    try {
      this.#capture(fn, unit);
    } catch (error) {
      this.#captured.delete(fn);
      throw error;
    }
    this.#units.set(id, unit);
    this.#codeById.set(id, fn);
    return unit;
  }

  /** The id under which a function travels, without capturing it yet: functions that mention each other need ids first. */
  reserveUnitId(fn: Function): string {
    return this.#idOf(fn);
  }

  /** Units made or loaded here, for handing on. */
  codeUnit(id: string): CodeUnit | undefined {
    const unit = this.#units.get(id);
    if (unit !== undefined) return unit;
    // A class that came inside another unit can be captured again from what it has become here.
    const fn = this.#codeById.get(id);
    return fn === undefined ? undefined : this.exportCode(fn);
  }

  /** Makes a received unit callable; the units that it needs must be loaded. Undefined if that was done at once. */
  loadCode(unit: CodeUnit): Promise<void> | undefined {
    if (this.isLoaded(unit.id)) {
      if (!this.#units.has(unit.id)) this.#units.set(unit.id, unit);
      return undefined;
    }
    const { header, buffers } = unpackBlob(unit.blob);
    const graph = readGraph(header, buffers, true);
    const load = (): void => {
      if (this.isLoaded(unit.id)) return;
      const fn = this.#hydrate(graph, unit.needs, unit.descriptors) as Function;
      // An object that several units lead to, such as an imported function, keeps its first name.
      if (!this.#idByFunction.has(fn)) this.#idByFunction.set(fn, unit.id);
      this.#foreign.add(fn);
      this.#units.set(unit.id, unit);
      this.#codeById.set(unit.id, fn);
    };
    const importing = this.#imports(graph, unit);
    if (importing === undefined) {
      load();
      return undefined;
    }
    return importing.then(load);
  }

  #imports(graph: Graph, { blob, origin }: CodeUnit): Promise<void> | undefined {
    const environment = { origin, places: this.#modulePlaces, prepare: this.#prepareImports ?? (() => Promise.resolve()) };
    noteModules(graph.groups.map(({ url }) => url), environment);
    const isForeign = (reference: Reference): boolean => (reference.type === "import" && ownModuleUrl(reference.specifier) === undefined) || (reference.type === "required" && /\.[cm]?tsx?$/.test(reference.file));
    const mayLoadModules =
      this.#prepareImports !== null && (graph.references.some(isForeign) || Buffer.from(blob.buffer, blob.byteOffset, blob.byteLength).includes("import("));
    return importModules(graph.references, environment, mayLoadModules);
  }

  isLoaded(id: string): boolean {
    return this.#codeById.has(id);
  }

  resolveCode(id: string): Function {
    const fn = this.#codeById.get(id);
    if (fn === undefined) throw new SerializationError(`The code ${id} is not loaded in the worker ${this.#workerId}`);
    return fn;
  }

  #capture(fn: Function, unit: PendingUnit): void {
    this.#policy.noteRunningModules();
    const encoder = new GraphEncoder(this.#environment, "");
    const functions = new FunctionsByValue(encoder, fn);
    const { header, buffers, descriptors, code } = encoder.encode(fn, functions);
    const bytes = buffers.reduce((sum, buffer) => sum + buffer.byteLength, header.byteLength);
    const described = functions.description();
    this.#checkSize(bytes, described.label);
    unit.needs = code;
    unit.descriptors = descriptors;
    unit.isAsync = described.isAsync;
    unit.isGenerator = described.isGenerator;
    unit.where = described.where;
    unit.blob = packBlob(header, buffers);
  }

  #checkSize(bytes: number, label: string): void {
    if (bytes <= CODE_WARNING_BYTES) return;
    const megabytes = Math.round(bytes / 1024 / 1024);
    if (bytes > CODE_BYTES_MAX) {
      throw new SerializationError(
        `What a function captures is ${megabytes} MB, more than the ${CODE_BYTES_MAX / 1024 / 1024} MB that code may be. ` +
          `Put the data into the object store (ray.put) and pass the reference as an argument.\n  path: ${label}`,
      );
    }
    this.#warn(
      `The ${label} captures ${megabytes} MB, which goes to every worker that runs it. ` +
        "Put the data into the object store (ray.put) and pass the reference as an argument.",
    );
  }

  #hydrate(graph: Graph, code: readonly string[], descriptors: readonly unknown[]): unknown {
    return hydrate(graph, {
      revive: (index) => this.#runtimeObjects.revive(descriptors[index]),
      code: (index) => this.resolveCode(code[index] as string),
      knownClass: (unitId) => this.#codeById.get(unitId),
      privateTwin: (prototype) => privateTwin(prototype, this.#policy),
      noteClass: (unitId, type) => {
        this.#idByFunction.set(type, unitId);
        this.#codeById.set(unitId, type);
      },
    });
  }

  #idOf(fn: Function): string {
    let id = this.#idByFunction.get(fn);
    if (id === undefined) {
      id = `${this.#workerId}/${this.#nextUnit++}`;
      this.#idByFunction.set(fn, id);
      if (isClass(fn)) this.#codeById.set(id, fn);
    }
    return id;
  }
}

const NOTHING: readonly never[] = [];
const EMPTY = new Uint8Array();

function isClass(fn: Function): boolean {
  return Function.prototype.toString.call(fn).startsWith("class");
}

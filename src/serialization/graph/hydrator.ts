import { importerOf, importMetaOf, resolveReference } from "./module-references.ts";
import { noteHydratedFunction } from "../closure/hydrated-functions.ts";
import { GENERATED_NAMES } from "../closure/generated-names.ts";
import { CellValues } from "./cell-values.ts";
import { instantiateModules } from "./function-hydrator.ts";
import type { FunctionTemplate, HydratedModules } from "./function-hydrator.ts";
import { EXTENSION_PROTOTYPE, NodeKind, TAG_BITS, TAG_MASK, TAG_NODE, VIEW_TYPES } from "./graph-format.ts";
import type { FunctionRecord, Graph, ModuleGroup, Shape } from "./graph-format.ts";
import { makeArguments, makeArrayBuffer, makeSymbol, makeUrl, makeView } from "./native-objects.ts";
import { ObjectFiller } from "./object-filler.ts";
import { indexNodes } from "./node-index.ts";
import type { NodeIndex } from "./node-index.ts";
import { privateAccessOf } from "./private-access.ts";
import type { PrivateTwin } from "./private-twins.ts";
import { makePrivateInstance, notePrivateInstances, privateChain } from "./private-instances.ts";

/** What the hydrator has to ask of the serializer that it works for. */
export interface HydrationEnvironment {
  /** The runtime object of a descriptor. */
  revive(descriptorIndex: number): object;
  /** The function or class of a code unit, by index into the list that came with the graph. */
  code(unitIndex: number): Function;
  /** The copy of a class that this process has already. */
  knownClass(unitId: string): Function | undefined;
  noteClass(unitId: string, type: Function): void;
  /** What instances of a class with #private members become that was written in this process. */
  privateTwin(prototype: object): PrivateTwin | undefined;
}

export function hydrate(graph: Graph, environment: HydrationEnvironment): unknown {
  return new Hydration(graph, environment).run();
}

/**
 * Rebuilds the objects of a graph. First every object is made, empty; then all are filled, so that cycles need no care.
 * Classes are the exception: the class that one extends must be there before, and instances only come after. (Nothing
 * else of a definition runs: see class-edits.ts.) What cannot be made or filled yet waits until its classes are defined.
 */
class Hydration {
  readonly #graph: Graph;
  readonly #words: Int32Array;
  readonly #index: NodeIndex;
  readonly #environment: HydrationEnvironment;
  readonly #cells: CellValues;
  readonly #filler: ObjectFiller;
  readonly #isFilled: Uint8Array;
  readonly #modules: HydratedModules;
  readonly #methodHomes = new Map<number, object>();
  readonly #privateChains = new Map<object, Function[]>();

  constructor(graph: Graph, environment: HydrationEnvironment) {
    this.#graph = graph;
    this.#words = graph.words;
    this.#environment = environment;
    this.#index = indexNodes(graph);
    this.#cells = new CellValues(graph);
    this.#filler = new ObjectFiller(graph, this.#cells);
    this.#isFilled = new Uint8Array(graph.nodeCount);
    this.#modules =
      graph.functions.length === 0 ? { templates: [], moduleSetters: [], scopeSetters: [] } : instantiateModules(graph);
  }

  run(): unknown {
    const { nodeCount } = this.#graph;
    const { stackTraceLimit } = Error;
    // Errors are made by the thousand here, and their stacks are replaced at once.
    Error.stackTraceLimit = 0;
    try {
      let missing = 0;
      for (let id = 0; id < nodeCount; id++) if (!this.#make(id)) missing++;
      for (let id = 0; id < nodeCount; id++) this.#tryFill(id);
      if (missing > 0) this.#defineClasses();
      this.#filler.finish();
    } finally {
      Error.stackTraceLimit = stackTraceLimit;
    }
    return this.#cells.value(this.#graph.root);
  }

  #defineClasses(): void {
    const { nodeCount } = this.#graph;
    for (let id = 0; id < nodeCount; id++) {
      if (this.#index.kindOf(id) !== NodeKind.function) continue;
      if (this.#recordAt(this.#index.contentOf(id)).kind === "class") this.#defineClass(id);
    }
    this.#advance();
    for (let id = 0; id < nodeCount; id++) {
      if (!this.#cells.isMade(id)) throw new Error(`Node ${id} of a graph depends on itself before it can exist`);
      this.#tryFill(id);
    }
  }

  /** Makes and fills what the classes have made possible, until there is nothing more. */
  #advance(): void {
    const { nodeCount } = this.#graph;
    for (let progress = true; progress; ) {
      progress = false;
      for (let id = 0; id < nodeCount; id++) {
        if (!this.#cells.isMade(id) && this.#make(id)) progress = true;
      }
      for (let id = 0; id < nodeCount; id++) this.#tryFill(id);
    }
  }

  #defineClass(id: number): void {
    if (this.#cells.isMade(id)) return;
    const at = this.#index.contentOf(id);
    const record = this.#recordAt(at);
    const template = this.#templateAt(at);
    record.slots.forEach((slot, position) => {
      if (slot.to !== "heritage") return;
      const cell = this.#words[at + 2 + position] as number;
      const parent = cell >> TAG_BITS;
      if (!this.#canUse(cell)) this.#defineClass(parent);
      template.set[GENERATED_NAMES.heritage]?.(this.#cells.value(cell));
    });
    this.#setCaptures(at, record, template);
    const type = template.make() as Function;
    if (record.privateInstances !== null) notePrivateInstances(type, record.privateInstances);
    if (record.unitId !== null) this.#environment.noteClass(record.unitId, type);
    nameFunction(type, record.name);
    const group = this.#groupOf(record);
    noteHydratedFunction(type, { record, group, capturedThis: undefined, capturedArguments: [], home: undefined });
    this.#cells.made(id, type);
    this.#fill(id);
    this.#isFilled[id] = 1;
  }

  /** Whether a cell's value can be used, making it if that is possible now. */
  #canUse(cell: number): boolean {
    return (cell & TAG_MASK) !== TAG_NODE || this.#make(cell >> TAG_BITS);
  }

  /** Makes a node's object, without content. False if that has to wait for a class. */
  #make(id: number): boolean {
    if (this.#cells.isMade(id)) return true;
    const at = this.#index.contentOf(id);
    const words = this.#words;
    const word = (offset: number): number => words[at + offset] as number;
    switch (this.#index.kindOf(id)) {
      case NodeKind.shaped: {
        const shape = this.#graph.shapes[word(0)] as Shape;
        if (shape.isObjectPrototype) return this.#cells.made(id, {});
        if (!this.#canUse(shape.prototype)) return false;
        return this.#cells.made(id, Object.create(this.#cells.value(shape.prototype) as object | null));
      }
      case NodeKind.array:
        return this.#cells.made(id, new Array(word(0)));
      case NodeKind.arrayExtended:
        return this.#makeExtended(id, at + 2 + word(1), () => new Array(word(0)));
      case NodeKind.object:
        return this.#makeExtended(id, at, () => ({}));
      case NodeKind.map:
        return this.#makeExtended(id, at + 1 + word(0) * 2, () => new Map());
      case NodeKind.set:
        return this.#makeExtended(id, at + 1 + word(0), () => new Set());
      case NodeKind.date:
        return this.#makeExtended(id, at + 1, () => new Date(this.#cells.value(word(0)) as number));
      case NodeKind.regExp:
        return this.#makeExtended(id, at + 3, () => {
          const expression = new RegExp(this.#cells.value(word(0)) as string, this.#cells.value(word(1)) as string);
          expression.lastIndex = this.#cells.value(word(2)) as number;
          return expression;
        });
      case NodeKind.error:
        return this.#makeExtended(id, at + 1, () => new Error());
      case NodeKind.arrayBuffer:
        return this.#cells.made(
          id,
          makeArrayBuffer(this.#graph.buffers[word(0)] as ArrayBuffer, this.#cells.value(word(1)) as number | undefined),
        );
      case NodeKind.view: {
        if (!this.#canUse(word(1))) return false;
        return this.#makeExtended(id, at + 4, () => {
          const buffer = this.#cells.value(word(1)) as ArrayBuffer;
          const offset = this.#cells.value(word(2)) as number;
          const length = this.#cells.value(word(3)) as number;
          return makeView(VIEW_TYPES[word(0)] as string, buffer, offset, length);
        });
      }
      case NodeKind.boxed:
        if (!this.#canUse(word(0))) return false;
        return this.#makeExtended(id, at + 1, () => Object(this.#cells.value(word(0))) as object);
      case NodeKind.symbol:
        return this.#cells.made(id, makeSymbol(word(0), this.#cells.value(word(1)) as string | undefined));
      case NodeKind.reference:
        return this.#cells.made(id, resolveReference(this.#graph.references[word(0)] as Graph["references"][number]));
      case NodeKind.runtimeObject:
        return this.#cells.made(id, this.#environment.revive(word(0)));
      case NodeKind.codeUnit:
        return this.#cells.made(id, this.#environment.code(word(0)));
      case NodeKind.prototypeOf:
        return this.#canUse(word(0)) && this.#cells.made(id, (this.#cells.value(word(0)) as Function).prototype);
      case NodeKind.boundFunction: {
        const cells = [word(0), word(1), ...words.subarray(at + 3, at + 3 + word(2))];
        if (!cells.every((cell) => this.#canUse(cell))) return false;
        const [target, boundThis, ...boundArguments] = cells.map((cell) => this.#cells.value(cell));
        return this.#cells.made(id, Function.prototype.bind.call(target as () => unknown, boundThis, ...boundArguments));
      }
      case NodeKind.methodOf: {
        if (!this.#canUse(word(0)) || !this.#canUse(word(1))) return false;
        const holder = this.#cells.value(word(0)) as object;
        const descriptor = Object.getOwnPropertyDescriptor(holder, this.#cells.value(word(1)) as PropertyKey);
        return this.#cells.made(id, [descriptor?.value, descriptor?.get, descriptor?.set][word(2)]);
      }
      case NodeKind.function:
        return this.#makeFunction(id, at);
      case NodeKind.url:
        return this.#cells.made(id, makeUrl(this.#cells.value(word(0)) as string, this.#cells.value(word(1)) as string));
      case NodeKind.domException: {
        const [message, name, stack] = [word(0), word(1), word(2)].map((cell) => this.#cells.value(cell) as string);
        const exception = new DOMException(message, name);
        Object.defineProperty(exception, "stack", { value: stack, writable: true, configurable: true });
        return this.#cells.made(id, exception);
      }
      default:
        return this.#cells.made(id, makeArguments(...new Array<undefined>(word(0))));
    }
  }

  #makeExtended(id: number, extensionAt: number, makeNative: () => object): boolean {
    const flags = this.#words[extensionAt] as number;
    if ((flags & EXTENSION_PROTOTYPE) === 0) return this.#cells.made(id, makeNative());
    const cell = this.#words[extensionAt + 1] as number;
    if (!this.#canUse(cell)) return false;
    const prototype = this.#cells.value(cell) as object | null;
    const chain = prototype === null ? [] : this.#privateChainOf(prototype);
    if (chain.length > 0) return this.#cells.made(id, makePrivateInstance(chain, prototype as object, makeNative));
    const twin = prototype === null ? undefined : this.#environment.privateTwin(prototype);
    if (twin !== undefined) return this.#cells.made(id, makePrivateInstance(twin.chain, twin.prototype, makeNative));
    const object = makeNative();
    Object.setPrototypeOf(object, prototype);
    return this.#cells.made(id, object);
  }

  #privateChainOf(prototype: object): Function[] {
    let chain = this.#privateChains.get(prototype);
    if (chain === undefined) {
      chain = privateChain(prototype);
      this.#privateChains.set(prototype, chain);
    }
    return chain;
  }

  #makeFunction(id: number, at: number): boolean {
    const record = this.#recordAt(at);
    if (record.kind === "class") {
      const known = record.unitId === null ? undefined : this.#environment.knownClass(record.unitId);
      if (known === undefined) return false;
      // Its own properties are those that it has here by now.
      this.#isFilled[id] = 1;
      return this.#cells.made(id, known);
    }
    let capturedThis: unknown;
    let capturedArguments: unknown[] = [];
    for (let position = 0; position < record.slots.length; position++) {
      const cell = this.#words[at + 2 + position] as number;
      const { to } = record.slots[position] as FunctionRecord["slots"][number];
      if (to === "this") {
        if (!this.#canUse(cell)) return false;
        capturedThis = this.#cells.value(cell);
      } else if (to === "arguments") {
        const cells = this.#argumentCells(cell);
        if (!cells.every((item) => this.#canUse(item))) return false;
        capturedArguments = cells.map((item) => this.#cells.value(item));
      }
    }
    const made = this.#templateAt(at).make.apply(capturedThis, capturedArguments);
    let fn = made as Function;
    let home: object | undefined;
    if (record.form !== "expression") {
      home = record.form === "classMember" ? ((made as Function).prototype as object) : (made as object);
      this.#methodHomes.set(id, home as object);
      const descriptor = Object.getOwnPropertyDescriptor(home as object, "m");
      fn = (record.kind === "get" || record.kind === "set" ? descriptor?.[record.kind] : descriptor?.value) as Function;
    }
    nameFunction(fn, record.name);
    noteHydratedFunction(fn, { record, group: this.#groupOf(record), capturedThis, capturedArguments, home });
    return this.#cells.made(id, fn);
  }

  #argumentCells(cell: number): number[] {
    const at = this.#index.contentOf(cell >> TAG_BITS);
    return Array.from(this.#words.subarray(at + 1, at + 1 + (this.#words[at] as number)));
  }

  #tryFill(id: number): void {
    if (this.#isFilled[id] === 1 || !this.#cells.isMade(id)) return;
    if (this.#fill(id)) this.#isFilled[id] = 1;
  }

  /** Gives a made object its content. False if it has to wait as a whole. */
  #fill(id: number): boolean {
    const at = this.#index.contentOf(id);
    const words = this.#words;
    switch (this.#index.kindOf(id)) {
      case NodeKind.shaped:
        this.#filler.fillShaped(this.#cells.node(id) as Record<string, unknown>, at);
        return true;
      case NodeKind.array:
        this.#filler.fillArray(this.#cells.node(id) as unknown[], at + 1, words[at] as number);
        return true;
      case NodeKind.arrayExtended: {
        const count = words[at + 1] as number;
        this.#filler.fillArray(this.#cells.node(id) as unknown[], at + 2, count);
        this.#extend(id, at + 2 + count);
        return true;
      }
      case NodeKind.object:
        this.#extend(id, at);
        return true;
      case NodeKind.map: {
        const end = at + 1 + (words[at] as number) * 2;
        // Entries have an order: with one of them missing, all wait.
        for (let position = at + 1; position < end; position++) if (!this.#canUse(words[position] as number)) return false;
        const map = this.#cells.node(id) as Map<unknown, unknown>;
        for (let position = at + 1; position < end; position += 2) {
          Map.prototype.set.call(map, this.#cells.value(words[position] as number), this.#cells.value(words[position + 1] as number));
        }
        this.#extend(id, end);
        return true;
      }
      case NodeKind.set: {
        const end = at + 1 + (words[at] as number);
        for (let position = at + 1; position < end; position++) if (!this.#canUse(words[position] as number)) return false;
        const set = this.#cells.node(id) as Set<unknown>;
        for (let position = at + 1; position < end; position++) Set.prototype.add.call(set, this.#cells.value(words[position] as number));
        this.#extend(id, end);
        return true;
      }
      case NodeKind.error: {
        const error = this.#cells.node(id) as Error;
        Object.defineProperty(error, "stack", {
          value: this.#cells.value(words[at] as number),
          writable: true,
          enumerable: false,
          configurable: true,
        });
        this.#extend(id, at + 1);
        return true;
      }
      case NodeKind.date:
      case NodeKind.boxed:
        this.#extend(id, at + 1);
        return true;
      case NodeKind.regExp:
      case NodeKind.domException:
        this.#extend(id, at + 3);
        return true;
      case NodeKind.view:
        this.#extend(id, at + 4);
        return true;
      case NodeKind.boundFunction:
        this.#extend(id, at + 3 + (words[at + 2] as number));
        return true;
      case NodeKind.function:
        this.#fillFunction(id, at);
        return true;
      case NodeKind.argumentsObject:
        this.#filler.fillArray(this.#cells.node(id) as unknown[], at + 1, words[at] as number);
        return true;
      default:
        return true;
    }
  }

  #fillFunction(id: number, at: number): void {
    const record = this.#recordAt(at);
    const fn = this.#cells.node(id) as Function;
    const template = this.#templateAt(at);
    const count = this.#words[at + 1] as number;
    if (record.kind !== "class") this.#setCaptures(at, record, template);
    record.slots.forEach((slot, position) => {
      const cell = this.#words[at + 2 + position] as number;
      if (slot.to === "homePrototype") {
        this.#cells.whenReady(cell, (value) => Object.setPrototypeOf(this.#methodHomes.get(id) as object, value as object | null));
      } else if (slot.to === "privateStatic") {
        this.#cells.whenReady(cell, (value) => privateAccessOf(fn)?.[slot.name]?.[1](fn, value));
      }
    });
    const end = this.#extend(id, at + 2 + count);
    if ((this.#words[end] as number) !== 0) this.#filler.fillExtension(fn.prototype as object, end, false);
  }

  /** Sets the variables that a function or class captured, as far as their values are made. */
  #setCaptures(at: number, record: FunctionRecord, template: FunctionTemplate): void {
    const moduleSetters = this.#modules.moduleSetters[record.group];
    record.slots.forEach((slot, position) => {
      const setters =
        slot.to === "local"
          ? template.set
          : slot.to === "module"
            ? moduleSetters
            : slot.to === "shared"
              ? this.#modules.scopeSetters[slot.scope]
              : undefined;
      if (setters !== undefined) this.#cells.whenReady(this.#words[at + 2 + position] as number, (value) => setters[slot.name]?.(value));
    });
    if (record.usesImportMeta) {
      template.set[GENERATED_NAMES.importMeta]?.(importMetaOf(this.#groupOf(record).url));
    }
    if (record.usesImporter) template.set[GENERATED_NAMES.importer]?.(importerOf(this.#groupOf(record).url));
  }

  #extend(id: number, at: number): number {
    const object = this.#cells.node(id) as object;
    return this.#filler.fillExtension(object, at, typeof object !== "function");
  }

  #groupOf(record: FunctionRecord): ModuleGroup {
    return this.#graph.groups[record.group] as ModuleGroup;
  }

  #recordAt(at: number): FunctionRecord {
    return this.#graph.functions[this.#words[at] as number] as FunctionRecord;
  }

  #templateAt(at: number): FunctionTemplate {
    return this.#modules.templates[this.#words[at] as number] as FunctionTemplate;
  }
}

function nameFunction(fn: Function, name: string): void {
  const descriptor = Object.getOwnPropertyDescriptor(fn, "name");
  if (descriptor?.value === name || descriptor?.configurable === false || descriptor?.writable === true) return;
  Object.defineProperty(fn, "name", { value: name, configurable: true });
}

import type { CellValues } from "./cell-values.ts";
import {
  CELL_HOLE,
  EXTENSION_FROZEN,
  EXTENSION_NOT_EXTENSIBLE,
  EXTENSION_PROTOTYPE,
  EXTENSION_SEALED,
  PROPERTY_ACCESSOR,
  PROPERTY_CONFIGURABLE,
  PROPERTY_ENUMERABLE,
  PROPERTY_PLAIN,
  PROPERTY_WRITABLE,
} from "./graph-format.ts";
import type { Graph, Shape } from "./graph-format.ts";
import { privateAccessOf } from "./private-access.ts";
import { twinWithPrototype } from "./private-twins.ts";

/** Gives objects their properties. What is not there yet follows when it is. */
export class ObjectFiller {
  readonly #words: Int32Array;
  readonly #graph: Graph;
  readonly #cells: CellValues;
  readonly #toRestrict: { object: object; flags: number }[] = [];
  readonly #unsafeKeys = new Map<Shape, readonly boolean[]>();

  constructor(graph: Graph, cells: CellValues) {
    this.#graph = graph;
    this.#words = graph.words;
    this.#cells = cells;
  }

  fillShaped(object: Record<string, unknown>, at: number): void {
    const cells = this.#cells;
    const shape = this.#graph.shapes[this.#words[at] as number] as Shape;
    const { keys } = shape;
    let unsafe = this.#unsafeKeys.get(shape);
    if (unsafe === undefined) {
      // A setter or a read-only property further up the prototype chain would get in the way of an assignment.
      const prototype = Object.getPrototypeOf(object) as object | null;
      unsafe = keys.map((key) => prototype !== null && key in prototype);
      this.#unsafeKeys.set(shape, unsafe);
    }
    for (let index = 0; index < keys.length; index++) {
      const cell = this.#words[at + 1 + index] as number;
      const key = keys[index] as string;
      if (unsafe[index] === false && cells.isReady(cell)) object[key] = cells.value(cell);
      else this.#define(object, key, PROPERTY_PLAIN, cell);
    }
  }

  fillArray(array: unknown[], start: number, count: number): void {
    const cells = this.#cells;
    for (let index = 0; index < count; index++) {
      const cell = this.#words[start + index] as number;
      if (cell === CELL_HOLE) continue;
      if (cells.isReady(cell)) {
        array[index] = cells.value(cell);
      } else {
        cells.whenReady(cell, (value) => {
          array[index] = value;
        });
      }
    }
  }

  /** Returns the position after the extension. Functions and their prototypes are made without the prototype in it. */
  fillExtension(object: object, start: number, hasPrototypeAlready: boolean): number {
    const words = this.#words;
    const cells = this.#cells;
    const flags = words[start] as number;
    if (flags === 0) return start + 1;
    let at = start + 1;
    if (flags & EXTENSION_PROTOTYPE) {
      if (!hasPrototypeAlready) {
        cells.whenReady(words[at] as number, (value) => Object.setPrototypeOf(object, value as object | null));
      }
      at++;
    }
    const propertyCount = words[at++] as number;
    for (let index = 0; index < propertyCount; index++) {
      const key = cells.value(words[at] as number) as PropertyKey;
      const attributes = words[at + 1] as number;
      if (attributes & PROPERTY_ACCESSOR) {
        this.#defineAccessor(object, key, attributes, words[at + 2] as number, words[at + 3] as number);
        at += 4;
      } else {
        this.#define(object, key, attributes, words[at + 2] as number);
        at += 3;
      }
    }
    const privateCount = words[at++] as number;
    for (let index = 0; index < privateCount; index++, at += 3) {
      const owner = cells.value(words[at] as number) as Function;
      const name = cells.value(words[at + 1] as number) as string;
      const access = privateAccessOf(owner) ?? twinWithPrototype(Object.getPrototypeOf(object) as object)?.accessOf(owner);
      cells.whenReady(words[at + 2] as number, (value) => access?.[name]?.[1](object, value));
    }
    if (flags & EXTENSION_NOT_EXTENSIBLE) this.#toRestrict.push({ object, flags });
    return at;
  }

  /** Freezes and seals, when everything is in its place. */
  finish(): void {
    for (const { object, flags } of this.#toRestrict) {
      if (flags & EXTENSION_FROZEN) Object.freeze(object);
      else if (flags & EXTENSION_SEALED) Object.seal(object);
      else Object.preventExtensions(object);
    }
  }

  #define(object: object, key: PropertyKey, attributes: number, cell: number): void {
    const descriptor: PropertyDescriptor = {
      value: undefined,
      writable: (attributes & PROPERTY_WRITABLE) !== 0,
      enumerable: (attributes & PROPERTY_ENUMERABLE) !== 0,
      configurable: (attributes & PROPERTY_CONFIGURABLE) !== 0,
    };
    if (!this.#cells.isReady(cell)) {
      // The place in the order of the keys is taken already.
      Object.defineProperty(object, key, { ...descriptor, configurable: true });
      this.#cells.whenReady(cell, (value) => Object.defineProperty(object, key, { ...descriptor, value }));
      return;
    }
    descriptor.value = this.#cells.value(cell);
    Object.defineProperty(object, key, descriptor);
  }

  #defineAccessor(object: object, key: PropertyKey, attributes: number, getter: number, setter: number): void {
    this.#cells.whenReady(getter, (get) =>
      this.#cells.whenReady(setter, (set) =>
        Object.defineProperty(object, key, {
          get: get as (() => unknown) | undefined,
          set: set as ((value: unknown) => void) | undefined,
          enumerable: (attributes & PROPERTY_ENUMERABLE) !== 0,
          configurable: (attributes & PROPERTY_CONFIGURABLE) !== 0,
        }),
      ),
    );
  }
}

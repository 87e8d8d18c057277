import type { EncodingSession } from "./encoding-session.ts";
import { CELL_NULL, NodeKind } from "./graph-format.ts";

interface KnownShape {
  readonly index: number;
  readonly keys: readonly string[];
}

/** How many shapes of one class are compared with an object before it counts as irregular. */
const SHAPES_COMPARED_MAX = 8;

/**
 * Objects of one class mostly have the same properties in the same order. Their keys are written once, and each object
 * is a row of cells: ten thousand small objects take milliseconds.
 */
export class ShapeTable {
  readonly #byPrototype = new Map<object | null, KnownShape[]>();

  /** Writes the object as a row, or returns false if it resembles none of too many others. */
  write(encoder: EncodingSession, id: number, object: object, prototype: object | null, keys: readonly string[]): boolean {
    const shape = this.#find(prototype, keys) ?? this.#add(encoder, id, prototype, keys);
    if (shape === undefined) return false;
    const { writer } = encoder;
    writer.beginNode(NodeKind.shaped, id);
    writer.word(shape.index);
    const { keys: shared } = shape;
    for (let index = 0; index < shared.length; index++) {
      const key = shared[index] as string;
      writer.word(encoder.propertyCell((object as Record<string, unknown>)[key], id, key, object));
    }
    return true;
  }

  #find(prototype: object | null, keys: readonly string[]): KnownShape | undefined {
    const shapes = this.#byPrototype.get(prototype);
    if (shapes === undefined) return undefined;
    for (let index = shapes.length - 1; index >= 0; index--) {
      const shape = shapes[index] as KnownShape;
      if (haveSameKeys(shape.keys, keys)) return shape;
    }
    return undefined;
  }

  #add(encoder: EncodingSession, id: number, prototype: object | null, keys: readonly string[]): KnownShape | undefined {
    let shapes = this.#byPrototype.get(prototype);
    if (shapes === undefined) {
      shapes = [];
      this.#byPrototype.set(prototype, shapes);
    } else if (shapes.length === SHAPES_COMPARED_MAX) {
      return undefined;
    }
    const isObjectPrototype = prototype === Object.prototype;
    const cell = isObjectPrototype ? CELL_NULL : encoder.prototypeCell(prototype, id);
    const shape = { index: encoder.writer.shapes.push({ prototype: cell, isObjectPrototype, keys }) - 1, keys };
    shapes.push(shape);
    return shape;
  }
}

function haveSameKeys(left: readonly string[], right: readonly string[]): boolean {
  if (left.length !== right.length) return false;
  for (let index = 0; index < left.length; index++) if (left[index] !== right[index]) return false;
  return true;
}

import { SymbolKind } from "./graph-format.ts";

/** Objects that take more than a literal to make. */

export function makeView(type: string, buffer: ArrayBuffer, offset: number, length: number): object {
  if (type === "Buffer") return Buffer.from(buffer, offset, length);
  type ViewConstructor = new (buffer: ArrayBuffer, offset: number, length: number) => object;
  const View = (globalThis as unknown as Record<string, ViewConstructor | undefined>)[type];
  if (View === undefined) throw new TypeError(`This version of Node has no ${type}`);
  return new View(buffer, offset, length);
}

/** The content itself, unless the buffer that it came from could grow. */
export function makeArrayBuffer(content: ArrayBuffer, maxByteLength: number | undefined): ArrayBuffer {
  if (maxByteLength === undefined) return content;
  type ResizableConstructor = new (length: number, options: { maxByteLength: number }) => ArrayBuffer;
  const buffer = new (ArrayBuffer as unknown as ResizableConstructor)(content.byteLength, { maxByteLength });
  new Uint8Array(buffer).set(new Uint8Array(content));
  return buffer;
}

export function makeSymbol(kind: number, name: string | undefined): symbol {
  if (kind === SymbolKind.registered) return Symbol.for(name as string);
  if (kind === SymbolKind.wellKnown) return (Symbol as unknown as Record<string, symbol>)[name as string] as symbol;
  return Symbol(name);
}

export function makeUrl(type: string, text: string): object {
  return type === "URL" ? new URL(text) : new URLSearchParams(text);
}

/** An `arguments` object, as arrow functions see it that captured one. */
export function makeArguments(...values: unknown[]): object {
  return (function (..._values: unknown[]): object {
    // oxlint-disable-next-line prefer-rest-params -- this is how such an object comes into being
    return arguments;
  })(...values);
}

import { builtinModules } from "node:module";
import * as baseExports from "../../base/mod.ts";
import type { PathStep, Reference } from "./graph-format.ts";

/**
 * Objects that every process has of its own: JavaScript's intrinsics, Node's globals, exports of built-in modules, and
 * this package's error classes. Found by identity, they travel as a path.
 */
export function wellKnownReference(object: object): Reference | undefined {
  intrinsics ??= collectIntrinsics();
  const path = intrinsics.get(object);
  if (path !== undefined) return { type: "wellKnown", path };
  return builtinReference(object) ?? lazyGlobalReference(object);
}

/** JavaScript's and Node's own, whatever its name. */
export function isIntrinsic(object: object): boolean {
  intrinsics ??= collectIntrinsics();
  return intrinsics.has(object);
}

export function resolveWellKnown(path: readonly PathStep[]): unknown {
  let holder: unknown;
  let value: unknown = globalThis;
  path.forEach((step, index) => {
    if (index === 0 && typeof step === "string" && step.startsWith("%")) {
      value = hiddenIntrinsics()[step];
      return;
    }
    if (typeof step === "object" && "accessor" in step) {
      const named = path[index - 1] as PathStep;
      value = Object.getOwnPropertyDescriptor(holder, keyOf(named))?.[step.accessor];
      return;
    }
    holder = value;
    const next = path[index + 1];
    if (typeof next === "object" && "accessor" in next) return;
    value = (value as Record<PropertyKey, unknown>)[keyOf(step)];
  });
  return value;
}

export function resolveBuiltin(module: string, path: readonly string[]): unknown {
  let value: unknown = process.getBuiltinModule(module);
  for (const key of path) value = (value as Record<string, unknown>)[key];
  return value;
}

let intrinsics: Map<object, PathStep[]> | undefined;

/** How deep below a global its properties are known: `Array.prototype.map` is three steps. */
const INTRINSIC_DEPTH = 2;

function collectIntrinsics(): Map<object, PathStep[]> {
  const found = new Map<object, PathStep[]>([[globalThis, []]]);
  const add = (value: unknown, path: PathStep[], depth: number): void => {
    if (!isObject(value) || found.has(value)) return;
    found.set(value, path);
    if (depth === 0) return;
    for (const key of Reflect.ownKeys(value)) {
      if (key === "caller" || key === "arguments") continue;
      const step = stepOf(key);
      const descriptor = Reflect.getOwnPropertyDescriptor(value, key);
      if (step === undefined || descriptor === undefined) continue;
      if ("value" in descriptor) {
        add(descriptor.value, [...path, step], depth - 1);
      } else {
        add(descriptor.get, [...path, step, { accessor: "get" }], 0);
        add(descriptor.set, [...path, step, { accessor: "set" }], 0);
      }
    }
  };
  for (const name of Object.getOwnPropertyNames(globalThis)) {
    if (name === "globalThis" || name === "global" || !NODE_GLOBALS.has(name)) continue;
    const descriptor = Object.getOwnPropertyDescriptor(globalThis, name);
    // Other accessors load their module at the first question: see lazyGlobalReference.
    if (descriptor !== undefined && "value" in descriptor) add(descriptor.value, [name], INTRINSIC_DEPTH);
  }
  found.set(process, ["process"]);
  for (const name of Object.getOwnPropertyNames(process)) {
    const value: unknown = Object.getOwnPropertyDescriptor(process, name)?.value;
    // Its data, such as argv, is the program's; what it does, a worker's process does as well.
    if (typeof value === "function" || name === "env") add(value, ["process", name], 0);
  }
  add(Buffer, ["Buffer"], INTRINSIC_DEPTH);
  for (const [name, value] of Object.entries(hiddenIntrinsics())) add(value, [name], INTRINSIC_DEPTH);
  return found;
}

/** Intrinsics without a global name. */
function hiddenIntrinsics(): Record<string, unknown> {
  const errors: Record<string, unknown> = {};
  for (const [name, value] of Object.entries(baseExports)) {
    if (typeof value === "function" && value.prototype instanceof Error) errors[name] = value;
  }
  return {
    "%AsyncFunction%": (async () => undefined).constructor,
    "%GeneratorFunction%": function* () {}.constructor,
    "%AsyncGeneratorFunction%": async function* () {}.constructor,
    "%TypedArray%": Object.getPrototypeOf(Int8Array),
    "%ArrayIteratorPrototype%": Object.getPrototypeOf([][Symbol.iterator]()),
    "%MantarayErrors%": errors,
  };
}

const builtins = new Map<object, Reference>();
const builtinsSeen = new Set<string>();
let builtinsLoaded = 0;
const publicBuiltins = new Set(builtinModules.filter((name) => !name.startsWith("_")));

function builtinReference(object: object): Reference | undefined {
  const known = builtins.get(object);
  // Node's list of what it has loaded: asking for a module that nobody loaded would only cost time.
  const loaded = (process as { moduleLoadList?: string[] }).moduleLoadList ?? [];
  if (known !== undefined || loaded.length === builtinsLoaded) return known;
  const names = loaded.slice(builtinsLoaded).map((entry) => entry.replace(/^(Native|Internal)Module /, ""));
  builtinsLoaded = loaded.length;
  for (const name of names) {
    if (!publicBuiltins.has(name) || builtinsSeen.has(name)) continue;
    builtinsSeen.add(name);
    addBuiltin(`node:${name}`);
  }
  return builtins.get(object);
}

function addBuiltin(module: string): void {
  const exported: unknown = process.getBuiltinModule(module);
  const add = (value: unknown, path: string[]): void => {
    if (isObject(value) && !intrinsics?.has(value) && !builtins.has(value)) {
      builtins.set(value, { type: "builtin", module, path });
    }
  };
  if (!isObject(exported)) return;
  add(exported, []);
  for (const key of Object.keys(exported)) {
    const value: unknown = Object.getOwnPropertyDescriptor(exported, key)?.value;
    add(value, [key]);
    if (typeof value === "function") add(value.prototype, [key, "prototype"]);
  }
}

/** `fetch`, `Response.prototype`, `crypto`: globals that Node loads when asked. Whoever holds one has asked. */
function lazyGlobalReference(object: object): Reference | undefined {
  const constructorName =
    typeof object === "function" ? object.name : (object as { constructor?: { name?: unknown } }).constructor?.name;
  if (typeof constructorName !== "string" || constructorName === "") return undefined;
  const lowered = constructorName.charAt(0).toLowerCase() + constructorName.slice(1);
  for (const name of [constructorName, lowered]) {
    if (!NODE_GLOBALS.has(name) || !Object.hasOwn(globalThis, name)) continue;
    const value: unknown = (globalThis as Record<string, unknown>)[name];
    if (value === object) return { type: "wellKnown", path: [name] };
    if (typeof value === "function" && value.prototype === object) {
      return { type: "wellKnown", path: [name, "prototype"] };
    }
  }
  return undefined;
}

/** A function that writes to its process's output may do so in any other. As a value, a stream is a handle like others. */
export function outputStreamReference(object: object): Reference | undefined {
  const constructorName = (object as { constructor?: { name?: unknown } }).constructor?.name;
  // Asking process for its streams makes them: only for objects that look like one.
  if (typeof constructorName !== "string" || !/^(?:Sync)?(?:WriteStream|Socket|Writable)$/.test(constructorName)) return undefined;
  if (object === process.stdout) return { type: "wellKnown", path: ["process", "stdout"] };
  if (object === process.stderr) return { type: "wellKnown", path: ["process", "stderr"] };
  return undefined;
}

/** A global that a worker has too, because JavaScript or Node defines it. */
export function isNodeGlobal(name: string): boolean {
  return NODE_GLOBALS.has(name);
}

/** Of Node 20 to 26, with ECMAScript's own; a test compares it with a bare Node. */
const NODE_GLOBALS = new Set(
  (
    "AbortController AbortSignal AggregateError Array ArrayBuffer AsyncDisposableStack Atomics BigInt BigInt64Array " +
    "BigUint64Array Blob Boolean BroadcastChannel Buffer ByteLengthQueuingStrategy CloseEvent CompressionStream " +
    "CountQueuingStrategy Crypto CryptoKey CustomEvent DOMException DataView Date DecompressionStream DisposableStack " +
    "Error ErrorEvent EvalError Event EventSource EventTarget File FinalizationRegistry Float16Array Float32Array " +
    "Float64Array FormData Function Headers Infinity Int16Array Int32Array Int8Array Intl Iterator JSON Map Math " +
    "MessageChannel MessageEvent MessagePort NaN Navigator Number Object Performance PerformanceEntry PerformanceMark " +
    "PerformanceMeasure PerformanceObserver PerformanceObserverEntryList PerformanceResourceTiming Promise Proxy " +
    "QuotaExceededError RangeError ReadableByteStreamController ReadableStream ReadableStreamBYOBReader " +
    "ReadableStreamBYOBRequest ReadableStreamDefaultController ReadableStreamDefaultReader ReferenceError Reflect RegExp " +
    "Request Response Set SharedArrayBuffer Storage String SubtleCrypto SuppressedError Symbol SyntaxError Temporal " +
    "TextDecoder TextDecoderStream TextEncoder TextEncoderStream TransformStream TransformStreamDefaultController " +
    "TypeError URIError URL URLPattern URLSearchParams Uint16Array Uint32Array Uint8Array Uint8ClampedArray WeakMap " +
    "WeakRef WeakSet WebAssembly WebSocket WritableStream WritableStreamDefaultController WritableStreamDefaultWriter " +
    "atob btoa clearImmediate clearInterval clearTimeout console crypto decodeURI decodeURIComponent encodeURI " +
    "encodeURIComponent escape eval fetch gc global globalThis isFinite isNaN localStorage navigator parseFloat parseInt " +
    "performance process queueMicrotask sessionStorage setImmediate setInterval setTimeout structuredClone undefined " +
    "unescape"
  ).split(" "),
);

function isObject(value: unknown): value is object {
  return (typeof value === "object" && value !== null) || typeof value === "function";
}

function stepOf(key: string | symbol): PathStep | undefined {
  if (typeof key === "string") return key;
  const name = key.description ?? "";
  return name.startsWith("Symbol.") ? { symbol: name.slice("Symbol.".length) } : undefined;
}

function keyOf(step: PathStep): PropertyKey {
  if (typeof step === "string") return step;
  if ("symbol" in step) return (Symbol as unknown as Record<string, symbol>)[step.symbol] as symbol;
  throw new TypeError("an accessor is no key");
}

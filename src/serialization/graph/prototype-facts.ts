import { exportReference } from "../closure/function-capture.ts";
import { parseFunction } from "../closure/function-syntax.ts";
import { inspectorProbe } from "../closure/inspector-probe.ts";
import type { ModulePolicy } from "../closure/module-policy.ts";
import { loadedScript } from "../closure/script-catalog.ts";
import { wellKnownReference } from "./well-known-objects.ts";
import type { Reference } from "./graph-format.ts";
import { privateAccessOf } from "./private-access.ts";

/** What is true of every object with a given prototype. */
export interface PrototypeFacts {
  /** Neither an ordinary object nor, on every version of Node, an error. */
  readonly isDomException: boolean;
  /** Why no such object can be sent. */
  readonly refusal: string | undefined;
  /** Classes with #private members, base classes first. */
  readonly privateOwners: readonly PrivateOwner[];
}
interface PrivateOwner {
  readonly type: Function;
  readonly fields: readonly string[];
}
export interface PrivateField {
  readonly owner: Function;
  readonly name: string;
  readonly value: unknown;
}

const factsByPrototype = new WeakMap<object, PrototypeFacts>();
const NO_PROTOTYPE: PrototypeFacts = { isDomException: false, refusal: undefined, privateOwners: [] };

export function prototypeFacts(prototype: object | null, policy: ModulePolicy): PrototypeFacts {
  if (prototype === null) return NO_PROTOTYPE;
  let facts = factsByPrototype.get(prototype);
  if (facts === undefined) {
    facts = findFacts(prototype, policy);
    factsByPrototype.set(prototype, facts);
  }
  return facts;
}

/** The #private fields of an object, and whose they are. */
export function privateFieldsOf(object: object, prototype: object, policy: ModulePolicy): PrivateField[] {
  const { privateOwners } = prototypeFacts(prototype, policy);
  const found: PrivateField[] = [];
  let inspected: [string, unknown][] | undefined;
  let next = 0;
  for (const owner of privateOwners) {
    const access = privateAccessOf(owner.type);
    for (const name of owner.fields) {
      if (access !== undefined) {
        found.push({ owner: owner.type, name, value: access[name]?.[0](object) });
        continue;
      }
      // The inspector lists the fields of base classes first, and knows names but no owners.
      inspected ??= inspectorProbe().privateFields(object);
      const index = inspected.findIndex(([candidate], position) => position >= next && candidate === name);
      if (index < 0) continue;
      next = index + 1;
      found.push({ owner: owner.type, name, value: inspected[index]?.[1] });
    }
  }
  return found;
}

/** Intrinsic classes whose instances have a node kind of their own, or none but ordinary state. */
const SENDABLE_BASES = new Set([
  "Object",
  "Array",
  "Map",
  "Set",
  "Date",
  "RegExp",
  "ArrayBuffer",
  "DataView",
  "Buffer",
  "Boolean",
  "Number",
  "String",
  "BigInt",
  "Symbol",
  "Function",
  "%TypedArray%",
  "%MantarayErrors%",
  "URL",
  "URLSearchParams",
  "DOMException",
  "Iterator",
]);

function findFacts(prototype: object, policy: ModulePolicy): PrototypeFacts {
  const privateOwners: PrivateOwner[] = [];
  let isDomException = false;
  for (let current: object | null = prototype; current !== null; current = Object.getPrototypeOf(current) as object | null) {
    if (current === Object.prototype) break;
    const constructor: unknown = Object.getOwnPropertyDescriptor(current, "constructor")?.value;
    const known = wellKnownReference(current);
    if (known !== undefined) {
      const refusal = refusalOfKnown(known, current);
      if (refusal !== undefined) return { isDomException: false, refusal, privateOwners };
      isDomException ||= known.type === "wellKnown" && known.path[0] === "DOMException";
      continue;
    }
    if (typeof constructor !== "function" || constructor.prototype !== current) continue;
    const refusal = refusalOfInternal(constructor);
    if (refusal !== undefined) return { isDomException: false, refusal, privateOwners };
    const owner = privateOwner(constructor);
    if (owner === undefined) continue;
    if (privateAccessOf(constructor) === undefined && isImported(constructor, policy)) {
      const reason =
        `An instance of ${constructor.name} cannot be sent: the class has #private fields and is imported by its module, ` +
        "so that nobody outside can fill them in. Send its data and build the instance where it is used.";
      return { isDomException: false, refusal: reason, privateOwners };
    }
    privateOwners.unshift(owner);
  }
  return { isDomException, refusal: undefined, privateOwners };
}

function refusalOfKnown(reference: Reference, prototype: object): string | undefined {
  if (reference.type === "wellKnown") {
    const base = String(reference.path[0]);
    if (SENDABLE_BASES.has(base) || base.endsWith("Error") || /^(?:Big)?(?:Int|Uint|Float)\d+(?:Clamped)?Array$/.test(base)) {
      return undefined;
    }
    return refuse(base.replaceAll("%", ""));
  }
  if (reference.type !== "builtin" || reference.module === "node:events") return undefined;
  const name = (prototype as { constructor?: { name?: string } }).constructor?.name ?? reference.path[0] ?? "object";
  return refuse(`${name} (${reference.module})`);
}

/** Classes that Node does not export: `Timeout`, `Immediate`, handles. */
function refusalOfInternal(constructor: Function): string | undefined {
  if (/\{\s*\[native code\]\s*\}\s*$/.test(Function.prototype.toString.call(constructor))) {
    return refuse(`the native class ${constructor.name}`);
  }
  const [inspection] = inspectorProbe().inspect([constructor]);
  if (inspection === undefined || inspection.scriptId === "") return undefined;
  const script = loadedScript(inspection.scriptId);
  if (!script.isNodeInternal || script.rawUrl === "node:events" || script.rawUrl.startsWith("node:internal/url")) {
    return undefined;
  }
  return refuse(`${constructor.name} (${script.rawUrl})`);
}

function refuse(what: string): string {
  return `An instance of ${what} cannot be sent: it holds state of its process. Make it where it is used.`;
}

function isImported(type: Function, policy: ModulePolicy): boolean {
  const [inspection] = inspectorProbe().inspect([type]);
  return inspection !== undefined && inspection.scriptId !== "" && exportReference(type, inspection, policy) !== undefined;
}

function privateOwner(type: Function): PrivateOwner | undefined {
  const text = Function.prototype.toString.call(type);
  if (!text.startsWith("class") || !text.includes("#")) return undefined;
  const members = parseFunction(text, true).classSyntax?.members ?? [];
  const own = members.filter((member) => !member.isStatic && member.name?.startsWith("#"));
  if (own.length === 0) return undefined;
  return { type, fields: own.flatMap((member) => (member.kind === "field" ? [member.name as string] : [])) };
}

import { captureFunction } from "../closure/function-capture.ts";
import { GENERATED_NAMES } from "../closure/generated-names.ts";
import { inspectorProbe } from "../closure/inspector-probe.ts";
import type { FunctionInspection } from "../closure/inspector-probe.ts";
import type { ModulePolicy } from "../closure/module-policy.ts";
import { instantiateModules } from "./function-hydrator.ts";
import type { FunctionRecord } from "./graph-format.ts";
import { privateAccessOf } from "./private-access.ts";
import type { PrivateAccess } from "./private-access.ts";
import { notePrivateInstances } from "./private-instances.ts";
import { prototypeFacts } from "./prototype-facts.ts";

/**
 * Instances with #private fields that come back to the process where their class was written. Nothing can give an object
 * the private members of that class but its own constructor, which must not run again. So they become instances of a
 * twin: the same class made once more from its text, over the same variables, with its private fields within reach. The
 * twin's prototype leads to the original's, so that `instanceof` holds and `constructor` is the original.
 */
export interface PrivateTwin {
  readonly prototype: object;
  readonly original: object;
  /** The twins with #private members of their own, base classes first. */
  readonly chain: readonly Function[];
  /** By original class. */
  accessOf(owner: Function): PrivateAccess | undefined;
}

const twins = new WeakMap<object, PrivateTwin | null>();
const twinByItsPrototype = new WeakMap<object, PrivateTwin>();

/** Undefined if instances with this prototype need none. */
export function privateTwin(prototype: object, policy: ModulePolicy): PrivateTwin | undefined {
  let twin = twins.get(prototype);
  if (twin === undefined) {
    twin = isBornHere(prototype, policy) ? makeTwin(prototype, policy) : null;
    twins.set(prototype, twin);
    if (twin !== null) twinByItsPrototype.set(twin.prototype, twin);
  }
  return twin ?? undefined;
}

export function twinWithPrototype(prototype: object): PrivateTwin | undefined {
  return twinByItsPrototype.get(prototype);
}

function isBornHere(prototype: object, policy: ModulePolicy): boolean {
  return mentionsPrivateNames(prototype) && prototypeFacts(prototype, policy).privateOwners.some((owner) => privateAccessOf(owner.type) === undefined);
}

/** Spares most classes the question, which asks the inspector. */
function mentionsPrivateNames(prototype: object): boolean {
  for (let current: object | null = prototype; current !== null; current = Object.getPrototypeOf(current) as object | null) {
    const constructor: unknown = Object.getOwnPropertyDescriptor(current, "constructor")?.value;
    if (typeof constructor === "function" && Function.prototype.toString.call(constructor).includes("#")) return true;
  }
  return false;
}

function makeTwin(prototype: object, policy: ModulePolicy): PrivateTwin {
  const chain: Function[] = [];
  const access = new Map<Function, PrivateAccess | undefined>();
  let lowest: Function | undefined;
  const twinOf = (type: Function): Function => {
    const parent = Object.getPrototypeOf(type) as Function;
    const hasPrivateParent = typeof parent.prototype === "object" && isBornHere(parent.prototype as object, policy);
    const { twin, isPrivate } = makeAgain(type, hasPrivateParent ? twinOf(parent) : parent, policy);
    lowest ??= twin;
    if (isPrivate) chain.push(twin);
    access.set(type, privateAccessOf(twin));
    Object.defineProperty(twin.prototype, "constructor", { value: type, writable: true, configurable: true });
    return twin;
  };
  const twin = twinOf(prototype.constructor);
  Object.setPrototypeOf((lowest as Function).prototype, prototype);
  return {
    prototype: twin.prototype as object,
    original: prototype,
    chain,
    accessOf: (owner) => access.get(owner),
  };
}

function makeAgain(type: Function, parent: Function, policy: ModulePolicy): { twin: Function; isPrivate: boolean } {
  const [inspection] = inspectorProbe().inspect([type]) as [FunctionInspection];
  const { captures, record: captured, url, isStrict } = captureFunction(type, inspection, undefined, policy);
  const slots = captures.map(({ to, name, isAssigned }) => ({ to, name, scope: -1, isAssigned }));
  const record: FunctionRecord = { ...captured, group: 0, scope: -1, slots, unitId: null };
  const { templates, moduleSetters } = instantiateModules({ functions: [record], groups: [{ url, isStrict }], scopes: [] });
  const [template] = templates as [(typeof templates)[number]];
  for (const { to, name, value } of captures) {
    if (to === "local") template.set[name]?.(value);
    else if (to === "module") moduleSetters[0]?.[name]?.(value);
    else if (to === "heritage") template.set[GENERATED_NAMES.heritage]?.(parent);
  }
  const twin = template.make() as Function;
  for (const key of Reflect.ownKeys(type)) {
    if (key === "prototype") continue;
    Object.defineProperty(twin, key, Object.getOwnPropertyDescriptor(type, key) as PropertyDescriptor);
  }
  for (const { to, name, value } of captures) {
    if (to === "privateStatic") privateAccessOf(twin)?.[name]?.[1](twin, value);
  }
  if (record.privateInstances !== null) notePrivateInstances(twin, record.privateInstances);
  return { twin, isPrivate: record.privateInstances !== null };
}

import type { PrivateInstances, SourceEdit } from "../graph/graph-format.ts";
import { CaptureError } from "./capture-error.ts";
import type { ClassMember, ClassSyntax } from "./function-syntax.ts";
import { GENERATED_NAMES } from "./generated-names.ts";
import { inspectorProbe } from "./inspector-probe.ts";

export interface ClassEdits {
  readonly edits: SourceEdit[];
  /** Variables that computed keys need, besides what the class's own syntax tells. */
  readonly freeNames: readonly string[];
  /** Keys of members by generated variable name. */
  readonly memberKeys: readonly (readonly [string, PropertyKey])[];
  readonly privateStatics: readonly (readonly [string, unknown])[];
  readonly privateInstances: PrivateInstances | null;
}

/**
 * A class definition runs code: heritage, computed keys, static fields and blocks. The copy must be as the class is now
 * and do nothing twice, so what was computed is taken as a value, and what would compute it is cut out of the text.
 * All replacements keep the number of lines.
 */
export function classEdits(
  type: Function,
  text: string,
  syntax: ClassSyntax,
  isResolvable: (name: string) => boolean,
): ClassEdits {
  const edits: SourceEdit[] = [];
  const freeNames: string[] = [];
  const memberKeys: [string, PropertyKey][] = [];
  const blank = (range: { start: number; end: number }, replacement = ""): SourceEdit => ({
    start: range.start,
    end: range.end,
    text: replacement + "\n".repeat(text.slice(range.start, range.end).split("\n").length - 1),
  });

  if (syntax.heritage !== undefined) edits.push(blank(syntax.heritage, GENERATED_NAMES.heritage));
  const takenKeys = new Set<PropertyKey>();
  for (const member of syntax.members) {
    if (member.kind === "staticBlock" || isStaticValue(member)) {
      if (member.name?.startsWith("#")) {
        if (member.initializer !== undefined) edits.push(blank(member.initializer, "void 0"));
      } else {
        edits.push(blank(member));
      }
      continue;
    }
    const { computedKey } = member;
    if (computedKey === undefined) continue;
    const key = member.kind === "field" ? undefined : keyOfMember(type, text, member, takenKeys);
    if (key === undefined) {
      for (const name of computedKey.variables.names) {
        if (!isResolvable(name)) {
          throw new CaptureError(
            `the computed key [${text.slice(computedKey.start, computedKey.end)}] of a field uses '${name}', ` +
              "which V8 has not kept: use it in a method too, or write the key as a literal",
          );
        }
        freeNames.push(name);
      }
      continue;
    }
    takenKeys.add(key);
    const name = `${GENERATED_NAMES.memberKey}${memberKeys.length}`;
    memberKeys.push([name, key]);
    edits.push(blank(computedKey, name));
  }

  const privateFields = syntax.members.filter((member) => member.kind === "field" && member.name?.startsWith("#"));
  const privateStatics = privateStaticValues(type, privateFields);
  if (privateFields.length > 0) {
    edits.push({ start: syntax.bodyStart, end: syntax.bodyStart, text: registration(privateFields) });
  }
  const hasPrivateInstances = syntax.members.some((member) => !member.isStatic && member.name?.startsWith("#"));
  if (hasPrivateInstances) edits.push(...rebuildingEdits(syntax));
  return {
    edits,
    freeNames,
    memberKeys,
    privateStatics,
    privateInstances: hasPrivateInstances
      ? { constructorParameterCount: syntax.constructorParameterCount, isDerived: syntax.isDerived }
      : null,
  };
}

/** Values of static fields are part of the class's state. Functions stay in the text: making one has no effects. */
function isStaticValue(member: ClassMember): boolean {
  return member.kind === "field" && member.isStatic && member.initializer?.isFunction !== true;
}

/** The key that a computed one evaluated to: that of the method with the same text. */
function keyOfMember(
  type: Function,
  text: string,
  member: ClassMember,
  taken: ReadonlySet<PropertyKey>,
): PropertyKey | undefined {
  const holder = (member.isStatic ? type : type.prototype) as object;
  const memberText = text.slice(member.start, member.end).replace(/^static\s+/, "");
  return Reflect.ownKeys(holder).find((key) => {
    if (taken.has(key) && member.kind === "method") return false;
    const descriptor = Object.getOwnPropertyDescriptor(holder, key);
    const half = member.kind === "method" ? "value" : member.kind;
    const fn: unknown = descriptor?.[half as "value" | "get" | "set"];
    return typeof fn === "function" && Function.prototype.toString.call(fn) === memberText;
  });
}

function privateStaticValues(type: Function, privateFields: readonly ClassMember[]): [string, unknown][] {
  const names = new Set(privateFields.filter(isStaticValue).map((member) => member.name));
  if (names.size === 0) return [];
  return inspectorProbe()
    .privateFields(type)
    .filter(([name]) => names.has(name));
}

/** Access to the private fields from outside, for reading instances and for filling copies. */
function registration(privateFields: readonly ClassMember[]): string {
  const accessors = privateFields.map(({ name }) => `"${name}":[o=>o.${name},(o,v)=>{o.${name}=v}]`);
  return `static{${GENERATED_NAMES.registerPrivate}(this,{${accessors.join(",")}})}`;
}

/**
 * Only a class's own constructor can give an object its private members. While a copy is rebuilt it does nothing else:
 * field initializers with effects and the constructor's body are skipped.
 */
function rebuildingEdits(syntax: ClassSyntax): SourceEdit[] {
  const flag = GENERATED_NAMES.rebuilding;
  const edits: SourceEdit[] = [];
  if (syntax.constructorBodyStart !== undefined) {
    const start = syntax.constructorBodyStart;
    const leave = syntax.isDerived ? "{super();return}" : "return;";
    edits.push({ start, end: start, text: `if(${flag}.on)${leave}` });
  }
  for (const member of syntax.members) {
    const { initializer } = member;
    if (member.kind !== "field" || member.isStatic || initializer === undefined || !initializer.hasEffects) continue;
    edits.push({ start: initializer.start, end: initializer.start, text: `${flag}.on?void 0:(` });
    edits.push({ start: initializer.end, end: initializer.end, text: ")" });
  }
  return edits;
}

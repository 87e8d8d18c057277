import { types } from "node:util";
import { SerializationError } from "../../base/mod.ts";
import { CaptureError } from "../closure/capture-error.ts";
import { captureFunction, exportReference, originOf } from "../closure/function-capture.ts";
import type { Capture, CapturedFunction } from "../closure/function-capture.ts";
import { parseFunction } from "../closure/function-syntax.ts";
import { hydratedFunction } from "../closure/hydrated-functions.ts";
import { inspectorProbe } from "../closure/inspector-probe.ts";
import type { FunctionInspection } from "../closure/inspector-probe.ts";
import { loadedScript } from "../closure/script-catalog.ts";
import { readVariable } from "../closure/variable-lookup.ts";
import { writtenPosition } from "../closure/source-positions.ts";
import type { EncodingSession, FunctionEncoding } from "./encoding-session.ts";
import { NodeKind, TAG_BITS } from "./graph-format.ts";
import type { CaptureSlot, FunctionRecord } from "./graph-format.ts";
import { namespaceReference } from "./namespace-reference.ts";
import { writeExtension } from "./object-encoder.ts";
import { findSharedScopes } from "./shared-scopes.ts";
import type { ScopedFunction } from "./shared-scopes.ts";
import { isIntrinsic, wellKnownReference } from "./well-known-objects.ts";

/** In values, functions and classes are references to code units. */
export class FunctionsByReference implements FunctionEncoding {
  readonly isCode = false;
  readonly #encoder: EncodingSession;

  constructor(encoder: EncodingSession) {
    this.#encoder = encoder;
  }

  encode(id: number, fn: Function): void {
    const encoder = this.#encoder;
    if (encoder.writeRuntimeObject(id, fn)) return;
    const reference = wellKnownReference(fn);
    if (reference !== undefined) {
      encoder.writeReference(id, reference);
      return;
    }
    try {
      encoder.writeCodeUnit(id, encoder.environment.exportCode(fn));
    } catch (error) {
      if (!(error instanceof SerializationError)) throw error;
      const [reason, path] = error.message.split("\n  path: ");
      if (path !== undefined) encoder.path.describe(id, path);
      encoder.fail(id, reason as string, error.cause);
    }
  }

  flush(): boolean {
    return false;
  }
}

export interface FunctionDescription {
  readonly label: string;
  /** `file:line` */
  readonly where: string;
  readonly isAsync: boolean;
  readonly isGenerator: boolean;
}

/** In code, functions travel as their text with what they capture. */
export class FunctionsByValue implements FunctionEncoding {
  readonly isCode = true;
  readonly #encoder: EncodingSession;
  readonly #root: Function;
  #pending: { id: number; fn: Function }[] = [];
  readonly #groups = new Map<string, number>();
  readonly #imports = new Map<string, number>();
  readonly #written: ScopedFunction[] = [];
  #description: FunctionDescription | undefined;

  constructor(encoder: EncodingSession, root: Function) {
    this.#encoder = encoder;
    this.#root = root;
  }

  encode(id: number, fn: Function): void {
    const encoder = this.#encoder;
    if (fn !== this.#root) {
      if (encoder.writeRuntimeObject(id, fn)) return;
      const unitId = encoder.environment.foreignUnit(fn);
      if (unitId !== undefined) {
        encoder.writeCodeUnit(id, unitId);
        return;
      }
    }
    if (encoder.writeKnownObject(id, fn)) return;
    if (types.isProxy(fn)) encoder.fail(id, "A Proxy cannot be sent: what its traps do is invisible from outside.");
    this.#pending.push({ id, fn });
  }

  /** Asks the inspector for all functions at once that were met since. */
  flush(): boolean {
    if (this.#pending.length === 0) {
      this.#shareScopes();
      return false;
    }
    const pending = this.#pending;
    this.#pending = [];
    const inspections = inspectorProbe().inspect(pending.map(({ fn }) => fn));
    pending.forEach(({ id, fn }, index) => this.#write(id, fn, inspections[index] as FunctionInspection));
    return true;
  }

  /** Of the function that the encoding began with. */
  description(): FunctionDescription {
    return this.#description ?? { label: `function '${this.#root.name}'`, where: "", isAsync: false, isGenerator: false };
  }

  #write(id: number, fn: Function, inspection: FunctionInspection): void {
    const encoder = this.#encoder;
    if (inspection.bound !== undefined) {
      this.#writeBound(id, fn, inspection.bound);
      return;
    }
    const text = Function.prototype.toString.call(fn);
    if (inspection.scriptId === "" || /\{\s*\[native code\]\s*\}\s*$/.test(text)) {
      encoder.fail(id, `The function '${fn.name}' is native code, which cannot be sent: call it where it is.`);
    }
    const script = loadedScript(inspection.scriptId);
    if (script.isNodeInternal) {
      encoder.fail(id, `The function '${fn.name}' is internal to Node.js (${script.rawUrl}) and cannot be sent.`);
    }
    const reference = exportReference(fn, inspection, encoder.environment.policy);
    if (reference !== undefined) {
      encoder.writeReference(id, reference);
      return;
    }
    const source = originOf(inspection, text);
    const written = source.positions === null ? source : writtenPosition(source.positions, source);
    const noun = text.startsWith("class") ? "class" : "function";
    const name = fn.name === "" ? `(${text.slice(0, 30).replace(/\s+/g, " ").trim()}…)` : `'${fn.name}'`;
    const label = `${noun} ${name} (${source.displayFile}:${written.line + 1})`;
    encoder.path.describe(id, label);
    if (hydratedFunction(fn) === undefined && this.#writeDetachedMethod(id, fn, text, inspection)) return;

    let captured: CapturedFunction;
    try {
      captured = captureFunction(fn, inspection, encoder.holders.get(fn), encoder.environment.policy);
    } catch (error) {
      if (error instanceof CaptureError) encoder.fail(id, `A ${noun} cannot be sent: ${error.message}.`);
      throw error;
    }
    if (fn === this.#root) {
      const { isAsync, isGenerator } = captured.record;
      this.#description = { label, where: `${source.displayFile}:${written.line + 1}`, isAsync, isGenerator };
    }
    this.#writeCaptured(id, fn, inspection, captured, label);
  }

  #writeCaptured(
    id: number,
    fn: Function,
    inspection: FunctionInspection,
    captured: CapturedFunction,
    label: string,
  ): void {
    const encoder = this.#encoder;
    const { writer } = encoder;
    const isClass = captured.record.kind === "class";
    const slots: CaptureSlot[] = captured.captures.map(({ to, name, isAssigned }) => ({ to, name, scope: -1, isAssigned }));
    const record = {
      ...captured.record,
      group: this.#group(captured),
      scope: -1,
      slots,
      unitId: isClass ? encoder.environment.classId(fn) : null,
    };
    const cells = captured.captures.map((capture) => this.#captureCell(capture, id));
    writer.beginNode(NodeKind.function, id);
    writer.word(writer.functions.push(record satisfies FunctionRecord) - 1);
    writer.word(cells.length);
    for (const cell of cells) writer.word(cell);
    this.#writeOwnProperties(id, fn, keptText(captured.record), isClass);
    this.#written.push({
      id,
      fn,
      label,
      moduleKey: captured.moduleKey,
      group: record.group,
      inspection,
      captures: captured.captures,
      slots,
      setScope(index) {
        record.scope = index;
      },
    });
  }

  #captureCell(capture: Capture, id: number): number {
    const encoder = this.#encoder;
    const step = { words: capture.label };
    const { reference, value } = capture;
    if (reference !== undefined) {
      const key = JSON.stringify(reference);
      let importId = this.#imports.get(key);
      if (importId === undefined) {
        importId = encoder.anonymousNode(id, step);
        this.#imports.set(key, importId);
        encoder.writeReference(importId, reference);
        encoder.alias(value, importId);
      }
      return importId << TAG_BITS;
    }
    if (capture.onlyProperties !== undefined && !this.#isKnown(value as object)) {
      const part: Record<string, unknown> = {};
      for (const name of capture.onlyProperties) part[name] = (value as Record<string, unknown>)[name];
      return encoder.cell(part, id, step);
    }
    return encoder.cell(value, id, step);
  }

  #isKnown(value: object): boolean {
    const { environment } = this.#encoder;
    return (
      (environment.importedReference(value) ?? wellKnownReference(value)) !== undefined ||
      (types.isModuleNamespaceObject(value) && namespaceReference(value, environment.policy) !== undefined)
    );
  }

  #group(captured: CapturedFunction): number {
    let group = this.#groups.get(captured.moduleKey);
    if (group === undefined) {
      const { groups } = this.#encoder.writer;
      group = groups.push({ url: captured.url, isStrict: captured.isStrict }) - 1;
      this.#groups.set(captured.moduleKey, group);
    }
    return group;
  }

  #writeBound(id: number, fn: Function, bound: NonNullable<FunctionInspection["bound"]>): void {
    const encoder = this.#encoder;
    const { writer } = encoder;
    encoder.path.describe(id, `function '${fn.name}'`);
    writer.beginNode(NodeKind.boundFunction, id);
    writer.word(encoder.cell(bound.target, id, { words: "bound function" }));
    writer.word(encoder.cell(bound.boundThis, id, { words: "bound `this`" }));
    writer.word(bound.boundArguments.length);
    bound.boundArguments.forEach((value, index) => {
      writer.word(encoder.cell(value, id, { words: `bound argument ${index + 1}` }));
    });
    writeExtension(encoder, id, fn, undefined, (key) => key === "length" || key === "name");
  }

  /** A method that uses #private members runs only inside its class: the class travels, and the method is taken from it. */
  #writeDetachedMethod(id: number, fn: Function, text: string, inspection: FunctionInspection): boolean {
    if (!text.includes("#")) return false;
    let privateNames: ReadonlySet<string>;
    try {
      const syntax = parseFunction(text, true);
      if (syntax.form === "expression") return false;
      ({ privateNames } = syntax.variables);
    } catch {
      return false;
    }
    if (privateNames.size === 0) return false;
    const owner = methodOwner(fn, this.#encoder.holders.get(fn)?.object, inspection);
    if (owner === undefined) return false;
    const { writer } = this.#encoder;
    const cell = this.#encoder.cell(owner.holder, id, { words: "class" });
    const key = this.#encoder.keyCell(owner.key, id);
    writer.beginNode(NodeKind.methodOf, id);
    writer.word(cell);
    writer.word(key);
    writer.word(owner.half);
    return true;
  }

  #writeOwnProperties(id: number, fn: Function, text: string, isClass: boolean): void {
    const encoder = this.#encoder;
    const isInText = (object: object, key: PropertyKey): boolean => {
      const descriptor = Object.getOwnPropertyDescriptor(object, key) as PropertyDescriptor;
      const parts: unknown[] = "value" in descriptor ? [descriptor.value] : [descriptor.get, descriptor.set];
      return parts.every(
        (part) =>
          (part === undefined && !("value" in descriptor)) ||
          (typeof part === "function" && text.includes(Function.prototype.toString.call(part))),
      );
    };
    const ownPrototype = Object.getPrototypeOf(fn) as object | null;
    const isUsualPrototype = isClass || ownPrototype === null || isIntrinsic(ownPrototype);
    writeExtension(encoder, id, fn, isUsualPrototype ? undefined : ownPrototype, (key) => {
      if (key === "prototype" || key === "arguments" || key === "caller") return true;
      if ((key === "name" || key === "length") && !Object.getOwnPropertyDescriptor(fn, key)?.writable) return true;
      return isClass && isInText(fn, key);
    });
    const prototype: unknown = Object.getOwnPropertyDescriptor(fn, "prototype")?.value;
    if (typeof prototype !== "object" || prototype === null || !Object.hasOwn(prototype, "constructor")) {
      encoder.writer.word(0);
      return;
    }
    const parent = Object.getPrototypeOf(prototype) as object | null;
    writeExtension(
      encoder,
      id,
      prototype,
      isClass || parent === Object.prototype ? undefined : parent,
      (key) => key === "constructor" || (isClass && isInText(prototype, key)),
    );
  }

  #shareScopes(): void {
    const encoder = this.#encoder;
    const scopes = findSharedScopes(this.#written, (first, second, name) =>
      encoder.fail(
        second.id,
        `The variable '${name}' is assigned by one function and read by another (${first.label}; ${second.label}), and ` +
          "whether it is one variable or two cannot be told in a program with so much memory in use. " +
          `Keep it in an object (const state = { ${name} }) that both use.`,
      ),
    );
    encoder.writer.scopes.push(...scopes);
  }
}

/** Without the members that are cut out, whose values travel: compilers wrap functions in static fields (`__name(() => …, "x")`). */
function keptText({ text, edits }: Pick<FunctionRecord, "text" | "edits">): string {
  let kept = "";
  let position = 0;
  for (const { start, end, text: replacement } of edits) {
    if (end <= start || replacement.trim() !== "" || start < position) continue;
    kept += text.slice(position, start);
    position = end;
  }
  return kept + text.slice(position);
}

function methodOwner(
  fn: Function,
  holder: object | undefined,
  inspection: FunctionInspection,
): { holder: object; key: string | symbol; half: number } | undefined {
  const candidates = inspection.scopes
    .filter((scope) => scope.description !== "Global")
    .flatMap((scope) => Object.keys(scope.variables).map((name) => readVariable(scope, name).value))
    .filter((value) => typeof value === "function" && Function.prototype.toString.call(value).startsWith("class"));
  const holders = [...(candidates as Function[]).flatMap((type) => [type.prototype as object, type]), ...(holder ? [holder] : [])];
  for (const object of holders) {
    const constructor: unknown = typeof object === "function" ? object : object.constructor;
    if (typeof constructor !== "function" || !Function.prototype.toString.call(constructor).startsWith("class")) continue;
    for (const key of Reflect.ownKeys(object)) {
      const descriptor = Object.getOwnPropertyDescriptor(object, key) as PropertyDescriptor;
      const half = [descriptor.value, descriptor.get, descriptor.set].indexOf(fn);
      if (half >= 0) return { holder: object, key, half };
    }
  }
  return undefined;
}

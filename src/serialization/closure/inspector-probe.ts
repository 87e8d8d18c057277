import type { Session } from "node:inspector";
import { SerializationError } from "../../base/mod.ts";

/** What V8 knows of a function and does not tell the program. */
export interface FunctionInspection {
  readonly scriptId: string;
  /** 0-based; where the function's text begins in its script. */
  readonly line: number;
  readonly column: number;
  /** Innermost first. */
  readonly scopes: readonly InspectedScope[];
  readonly bound: BoundFunction | undefined;
}
export interface InspectedScope {
  /** "Module", "Global", "Script", "Block", "Closure (name)", "Catch", "With Block"… */
  readonly description: string;
  /** A copy of the scope's variables at this moment. V8 makes a new one at each question: its identity says nothing. */
  readonly variables: Readonly<Record<string, unknown>>;
}
interface BoundFunction {
  readonly target: Function;
  readonly boundThis: unknown;
  readonly boundArguments: readonly unknown[];
}

type RemoteObject = { type: string; objectId?: string; value?: unknown; unserializableValue?: string; description?: string };
type PropertyAnswer = {
  result: { name: string; value?: RemoteObject }[];
  internalProperties?: { name: string; value?: RemoteObject }[];
  privateProperties?: { name: string; value?: RemoteObject }[];
};

const OBJECT_GROUP = "mantaray";
const HANDOVER_KEY = Symbol.for("mantaray.inspector.handover");

/**
 * Asks V8's inspector from inside the process. `Session.post` answers before it returns, and none of the questions needs
 * `Debugger.enable`, which makes every `await` of the process about ten times slower for as long as it lasts.
 */
export class InspectorProbe {
  readonly #session: Session;
  readonly #handoverId: string;
  /** How objects cross between this code and the inspector, which knows them by its own ids. */
  readonly #handover: { given: unknown; taken: unknown[] } = { given: undefined, taken: [] };

  constructor() {
    // Loaded when it is needed: it takes longer than most of this package.
    const inspector = process.getBuiltinModule("node:inspector");
    try {
      this.#session = new inspector.Session();
      this.#session.connect();
    } catch (cause) {
      if ((cause as NodeJS.ErrnoException).code !== "ERR_ACCESS_DENIED") throw cause;
      throw new SerializationError("A function cannot travel under Node's permission model, which keeps programs from its inspector: start node with --allow-inspector where it has that option, or without --permission.", { cause });
    }
    Object.defineProperty(globalThis, HANDOVER_KEY, { value: this.#handover, configurable: true, enumerable: false });
    const answer = this.post<{ result: RemoteObject }>("Runtime.evaluate", {
      expression: `globalThis[Symbol.for(${JSON.stringify(HANDOVER_KEY.description)})]`,
    });
    this.#handoverId = answer.result.objectId as string;
  }

  /** Scopes and locations of many functions at once. */
  inspect(functions: readonly Function[]): FunctionInspection[] {
    const listId = this.#idOf(functions);
    const listed = this.#properties(listId).result;
    const wanted: string[] = [];
    const want = (object: RemoteObject | undefined): number =>
      object?.objectId === undefined ? -1 : wanted.push(object.objectId) - 1;

    const drafts = functions.map((_, index) => {
      const internals = this.#properties(listed[index]?.value?.objectId as string).internalProperties ?? [];
      const find = (name: string): RemoteObject | undefined => internals.find((property) => property.name === name)?.value;
      const location = find("[[FunctionLocation]]")?.value as
        { scriptId: string; lineNumber: number; columnNumber: number } | undefined;
      const boundThis = find("[[BoundThis]]");
      return {
        location,
        scopes: want(find("[[Scopes]]")),
        boundTarget: want(find("[[TargetFunction]]")),
        boundThis,
        boundThisIndex: want(boundThis),
        boundArguments: want(find("[[BoundArgs]]")),
      };
    });
    const objects = this.#objectsOf(wanted);
    this.#release();
    return drafts.map((draft) => ({
      scriptId: draft.location?.scriptId ?? "",
      line: draft.location?.lineNumber ?? 0,
      column: draft.location?.columnNumber ?? 0,
      scopes: draft.scopes < 0 ? [] : toScopes(objects[draft.scopes]),
      bound:
        draft.boundTarget < 0
          ? undefined
          : {
              target: objects[draft.boundTarget] as Function,
              boundThis: draft.boundThisIndex < 0 ? primitiveOf(draft.boundThis) : objects[draft.boundThisIndex],
              boundArguments: copyOfList(objects[draft.boundArguments]),
            },
    }));
  }

  /** Values of #private fields, those of base classes first. */
  privateFields(object: object): [name: string, value: unknown][] {
    const properties = this.#properties(this.#idOf(object)).privateProperties ?? [];
    const fields = properties.filter((property) => property.value !== undefined);
    const wanted = fields.flatMap((field) => (field.value?.objectId === undefined ? [] : [field.value.objectId]));
    const objects = this.#objectsOf(wanted);
    this.#release();
    let next = 0;
    return fields.map((field) => [
      field.name,
      field.value?.objectId === undefined ? primitiveOf(field.value) : objects[next++],
    ]);
  }

  /** URLs of all scripts that run, by script id. */
  scriptUrls(): Map<string, string> {
    this.post("Profiler.enable");
    const coverage = this.post<{ result: { scriptId: string; url: string }[] }>("Profiler.getBestEffortCoverage");
    this.post("Profiler.disable");
    return new Map(coverage.result.map((script) => [script.scriptId, script.url]));
  }

  /** A script's URL and text as V8 has it. Slow (tens of milliseconds): for scripts that are no file. */
  scriptFromDebugger(scriptId: string): { url: string; source: string } | undefined {
    let url: string | undefined;
    const onParsed = (message: { params: { scriptId: string; url: string } }): void => {
      if (message.params.scriptId === scriptId) url = message.params.url;
    };
    this.#session.on("Debugger.scriptParsed", onParsed);
    try {
      this.post("Debugger.enable");
      if (url === undefined) return undefined;
      const answer = this.post<{ scriptSource: string }>("Debugger.getScriptSource", { scriptId });
      return { url, source: answer.scriptSource };
    } finally {
      this.post("Debugger.disable");
      this.#session.off("Debugger.scriptParsed", onParsed);
    }
  }

  post<Answer = unknown>(method: string, parameters?: object): Answer {
    let answer: unknown;
    let failure: Error | null = null;
    let answered = false;
    this.#session.post(method, parameters, (error, result) => {
      answered = true;
      failure = error;
      answer = result;
    });
    if (!answered) throw new Error(`The inspector did not answer ${method} at once`);
    if (failure !== null) throw failure;
    return answer as Answer;
  }

  #properties(objectId: string): PropertyAnswer {
    return this.post<PropertyAnswer>("Runtime.getProperties", { objectId, ownProperties: true });
  }

  #idOf(object: unknown): string {
    this.#handover.given = object;
    const answer = this.post<{ result: RemoteObject }>("Runtime.callFunctionOn", {
      objectId: this.#handoverId,
      functionDeclaration: "function () { return this.given; }",
      objectGroup: OBJECT_GROUP,
    });
    this.#handover.given = undefined;
    return answer.result.objectId as string;
  }

  #objectsOf(objectIds: readonly string[]): unknown[] {
    if (objectIds.length === 0) return [];
    this.post("Runtime.callFunctionOn", {
      objectId: this.#handoverId,
      functionDeclaration: "function (...objects) { this.taken = objects; }",
      arguments: objectIds.map((objectId) => ({ objectId })),
    });
    const objects = this.#handover.taken;
    this.#handover.taken = [];
    return objects;
  }

  #release(): void {
    this.post("Runtime.releaseObjectGroup", { objectGroup: OBJECT_GROUP });
  }
}

let sharedProbe: InspectorProbe | undefined;
/** The probe of this thread. */
export function inspectorProbe(): InspectorProbe {
  return (sharedProbe ??= new InspectorProbe());
}

function toScopes(list: unknown): InspectedScope[] {
  return (copyOfList(list) as { description: string; object: Record<string, unknown> }[]).map((scope) => ({
    description: scope.description,
    variables: scope.object,
  }));
}

/** The inspector's lists are no arrays of this realm. */
function copyOfList(list: unknown): unknown[] {
  return Array.from({ length: (list as { length: number }).length }, (_, index) => (list as unknown[])[index]);
}

function primitiveOf(object: RemoteObject | undefined): unknown {
  if (object === undefined || object.type === "undefined") return undefined;
  if (object.unserializableValue === undefined) return object.value;
  return object.type === "bigint" ? BigInt(object.unserializableValue.slice(0, -1)) : Number(object.unserializableValue);
}

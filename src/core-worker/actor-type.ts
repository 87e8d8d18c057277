import { forgetOldest } from "../base/mod.ts";
import type { ActorMethods, CallRules } from "../protocol/mod.ts";
import { checkGroup } from "./call-templates.ts";
import type { ClientType } from "./actor-client.ts";
import { SharedMethodCallable } from "./task.ts";

/** What all handles of one class with the same options of its methods have in common. */
export class ActorType implements ClientType {
  readonly className: string;
  readonly methods: ActorMethods;
  readonly rules: CallRules;
  readonly #shared = new Map<string, SharedMethodCallable>();

  constructor(className: string, methods: ActorMethods, rules: CallRules) {
    this.className = className;
    this.methods = methods;
    this.rules = rules;
  }

  /** Throws InvalidArgumentError for a group that the actors do not have. */
  sharedMethod(method: string, group: string | null): SharedMethodCallable {
    const key = group === null ? method : `${method}\n${group}`;
    let callable = this.#shared.get(key);
    if (callable !== undefined) return callable;
    if (group !== null) checkGroup(group, this.rules.groups, `${this.className}.${method}`);
    this.#shared.set(key, (callable = new SharedMethodCallable(this, method, group)));
    return callable;
  }
}

/** Types that are found again by their content; handles that arrive in values bring a copy of it each. */
const TYPES_MAX = 1_000;

export class ActorTypes {
  readonly #byContent = new Map<string, ActorType>();
  #last: ActorType | null = null;

  of(className: string, methods: ActorMethods, rules: CallRules): ActorType {
    const last = this.#last;
    if (last === null || last.methods !== methods || last.rules !== rules || last.className !== className) this.#last = this.#find(className, methods, rules);
    return this.#last as ActorType;
  }

  #find(className: string, methods: ActorMethods, rules: CallRules): ActorType {
    const content = contentOf(className, methods, rules);
    if (content === null) return new ActorType(className, methods, rules);
    let type = this.#byContent.get(content);
    if (type === undefined) {
      this.#byContent.set(content, (type = new ActorType(className, methods, rules)));
      forgetOldest(this.#byContent, TYPES_MAX);
    }
    return type;
  }
}

/** Null if text cannot tell it from another one: options that hold more than plain values. */
function contentOf(className: string, methods: ActorMethods, rules: CallRules): string | null {
  const parts: unknown[] = [className, rules];
  for (const [name, { isGenerator, options }] of Object.entries(methods)) {
    parts.push(name, isGenerator);
    for (const [option, value] of Object.entries(options ?? {}) as [string, unknown][]) {
      if (value !== null && (typeof value === "object" || typeof value === "function" || typeof value === "symbol")) return null;
      parts.push(option, typeof value, String(value));
    }
    parts.push(null);
  }
  return JSON.stringify(parts);
}

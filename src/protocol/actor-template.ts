import { forgetOldest, type ActorId } from "../base/mod.ts";
import type { ActorArg, ActorParts, ActorSpec, ActorTemplate } from "./node-messages.ts";

/**
 * A specification of which only the id and the arguments are its own: the rest is read from the template, so that a
 * hundred thousand actors of one class have one copy of it.
 */
export function specFrom(template: ActorTemplate, actorId: ActorId, args: readonly ActorArg[]): ActorSpec {
  return Object.assign(Object.create(template) as object, { actorId, args }) as ActorSpec;
}

/** As it travels: prototypes do not. */
export function partsOf(spec: ActorSpec): ActorParts {
  const { actorId, args } = spec;
  const inherited = Object.getPrototypeOf(spec) as object;
  if (inherited !== Object.prototype) return { template: inherited as ActorTemplate, actorId, args };
  const { actorId: _id, args: _args, ...template } = spec;
  return { template, actorId, args };
}

/** Owners and classes whose last template is remembered. */
const TEMPLATES_MAX = 1_000;

/** Finds the template that an earlier frame has brought already: actors that are made one by one share it as well. */
export class RecentTemplates {
  readonly #recent = new Map<string, { readonly content: string; readonly template: ActorTemplate }>();
  #last: { readonly received: ActorTemplate; readonly kept: ActorTemplate } | null = null;
  readonly #keep: (template: ActorTemplate) => ActorTemplate;

  /** `keep`: what of a new one is kept. */
  constructor(keep: (template: ActorTemplate) => ActorTemplate) {
    this.#keep = keep;
  }

  same(received: ActorTemplate): ActorTemplate {
    if (this.#last?.received !== received) this.#last = { received, kept: this.#find(received) };
    return this.#last.kept;
  }

  /** These are not needed any more. */
  forget(isOver: (template: ActorTemplate) => boolean): void {
    for (const [key, { template }] of this.#recent) if (isOver(template)) this.#recent.delete(key);
    this.#last = null;
  }

  #find(received: ActorTemplate): ActorTemplate {
    const key = `${received.ownerId}/${received.unitId}`;
    const content = JSON.stringify({ ...received, units: received.units.map((unit) => unit.id) });
    const known = this.#recent.get(key);
    if (known?.content === content) return known.template;
    const template = this.#keep(received);
    this.#recent.delete(key);
    this.#recent.set(key, { content, template });
    forgetOldest(this.#recent, TEMPLATES_MAX);
    return template;
  }
}

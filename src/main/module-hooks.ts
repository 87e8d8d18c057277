import type { ResolveFnOutput, ResolveHookContext } from "node:module";
import { isNotFound, type ModuleLookup, planLookup } from "../runtime-env/mod.ts";

/** Node's module hooks for workers with an environment; they run on a thread of their own. */
let lookup: ModuleLookup;

export function initialize(given: ModuleLookup): void {
  lookup = given;
}

type NextResolve = (specifier: string, context: ResolveHookContext) => Promise<ResolveFnOutput>;

export async function resolve(specifier: string, context: ResolveHookContext, next: NextResolve): Promise<ResolveFnOutput> {
  const plan = planLookup(lookup, specifier, context.parentURL);
  if (plan.first !== null) return next(specifier, { ...context, parentURL: plan.first });
  try {
    return await next(specifier, context);
  } catch (error) {
    if (plan.last === null || !isNotFound(error)) throw error;
    // If it is not there either, the first place is what the user should hear of.
    return next(specifier, { ...context, parentURL: plan.last }).catch(() => { throw error; });
  }
}

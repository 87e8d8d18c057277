import type { StoreClient } from "../clients/mod.ts";
import type { CodeLoader } from "./code-loader.ts";
import { EncodedInput, type Execution } from "./execution.ts";
import { isLoss, LostArgument } from "./lost-arguments.ts";

/**
 * Loads the code that the call and its arguments need, and opens arguments in shared memory. Undefined when all is here already.
 * Rejects with LostArgument where the bytes of one are gone.
 */
export function prepareCall(execution: Execution, env: { readonly store: StoreClient; readonly code: CodeLoader }): Promise<void> | undefined {
  let needed: string[] | null = null;
  let opening: Promise<void>[] | null = null;
  const { args } = execution;
  if (execution.callable.kind === "function" && execution.callable.fn === null) needed = [execution.callable.unitId];
  for (let index = 0; index < args.length; index++) {
    const arg = args[index];
    if (!(arg instanceof EncodedInput)) continue;
    if (arg.value.code.length > 0) (needed ??= []).push(...arg.value.code);
    const { stored } = arg.value;
    if (stored === undefined) continue;
    const opened = env.store.open(arg.value);
    if (opened instanceof Promise) (opening ??= []).push(opened.then((value) => { args[index] = new EncodedInput(value); }, (error: unknown) => { throw isLoss(error) ? new LostArgument(index, stored, error) : error; }));
    else args[index] = new EncodedInput(opened);
  }
  const loading = needed === null ? undefined : env.code.ensureLoaded(needed);
  return opening === null ? loading : Promise.all([loading, ...opening]).then(() => undefined);
}

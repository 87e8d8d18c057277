import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { eventually } from "./both-isolations.ts";

setFlagsFromString("--expose-gc");
const collect = runInNewContext("gc") as () => void;

/** Collects garbage until the condition holds: finalizers run in some later turn, not in the same one. */
export function eventuallyCollected(what: string, condition: () => boolean | Promise<boolean>): Promise<void> {
  return eventually(what, () => {
    collect();
    return condition();
  });
}

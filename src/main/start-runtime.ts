import type { InitOptions, Runtime } from "../api/mod.ts";
import { startAttached } from "./attached-driver.ts";
import { startEmbedded } from "./driver.ts";

/** A new runtime inside this process, or a part in that of another program. */
export function startRuntime(options: InitOptions): Runtime {
  // A variable that is set to nothing is one that was unset.
  const address = options.address ?? (process.env["MANTARAY_ADDRESS"] || "local");
  return address === "local" ? startEmbedded(options) : startAttached(options, address);
}

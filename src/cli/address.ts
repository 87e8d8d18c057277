import type { Given, Option } from "./command-line.ts";

export const ADDRESS: Option = { value: "HOST:PORT", help: "The cluster. Default: MANTARAY_ADDRESS, else the one that runs on this machine." };

/** What `init` takes. */
export function addressOf({ text }: Given): string {
  return text("address") ?? (process.env["MANTARAY_ADDRESS"] || "auto");
}

import { resolve } from "node:path";
import { timeline as writeTimeline } from "../main/mod.ts";
import { ADDRESS, addressOf } from "./address.ts";
import type { Command } from "./command-line.ts";
import { joined } from "./joined.ts";

export const timeline: Command = {
  summary: "Writes what has run in a cluster to a file that ui.perfetto.dev and chrome://tracing show.",
  usage: "[--output FILE] [--address HOST:PORT]",
  takesArguments: false,
  options: { address: ADDRESS, output: { value: "FILE", short: "o", help: "Default: mantaray-timeline.json in this folder." } },
  async run(given) {
    const file = resolve(given.text("output") ?? "mantaray-timeline.json");
    const events = await joined(addressOf(given), () => writeTimeline(file));
    process.stdout.write(`${events.length} events are in ${file}: open it with ui.perfetto.dev or chrome://tracing.\n`);
    return 0;
  },
};

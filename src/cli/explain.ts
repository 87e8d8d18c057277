import { explain as explainPending } from "../main/mod.ts";
import { ADDRESS, addressOf } from "./address.ts";
import type { Command } from "./command-line.ts";
import { joined } from "./joined.ts";

export const explain: Command = {
  summary: "Says of everything that is pending in a cluster, of all programs, what it waits for.",
  usage: "[--running] [--address HOST:PORT]",
  takesArguments: false,
  options: { address: ADDRESS, running: { value: null, help: "Also what runs, or is on its way." } },
  async run(given) {
    const reasons = await joined(addressOf(given), () => explainPending(undefined, { allPrograms: true }));
    const told = given.isSet("running") ? reasons : reasons.filter(({ reason }) => reason !== "running" && reason !== "sending");
    const lines = new Map<string, number>();
    for (const { message } of told) lines.set(message, (lines.get(message) ?? 0) + 1);
    for (const [message, count] of lines) process.stdout.write(`${message}${count === 1 ? "" : ` (${count} times)`}\n`);
    if (lines.size === 0) process.stdout.write(`Nothing waits: ${reasons.length} tasks, calls, actors and placement groups are pending, all of which run or are on their way.\n`);
    return 0;
  },
};

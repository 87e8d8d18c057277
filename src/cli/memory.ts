import { memorySummary } from "../main/mod.ts";
import { ADDRESS, addressOf } from "./address.ts";
import type { Command } from "./command-line.ts";
import { joined } from "./joined.ts";

export const memory: Command = {
  summary: "Shows which large objects there are in a cluster, and who keeps them.",
  usage: "[--address HOST:PORT]",
  takesArguments: false,
  options: { address: ADDRESS },
  async run(given) {
    process.stdout.write(await joined(addressOf(given), () => memorySummary()));
    return 0;
  },
};

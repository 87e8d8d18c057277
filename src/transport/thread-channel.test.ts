import { once } from "node:events";
import { availableParallelism } from "node:os";
import { testChannelConformance } from "./channel-conformance.ts";
import { startTypeScriptWorker } from "./fixtures/type-script-worker.ts";
import { createSpinPermitMemory, SpinPermits } from "./spin-permits.ts";
import { createThreadChannelPair, openThreadChannel, transferList } from "./thread-channel.ts";
import { ThreadPoller } from "./thread-poller.ts";

const nowMs = (): number => performance.timeOrigin + performance.now();

for (const [name, spinnersMax] of [["threads, spinning", availableParallelism()], ["threads, never spinning", 0]] as const) {
  const spinPermits = createSpinPermitMemory(spinnersMax);
  const poller = new ThreadPoller({ nowMs, spinPermits: new SpinPermits(spinPermits, nowMs) });

  testChannelConformance(name, {
    async openPair(context) {
      const [first, second] = createThreadChannelPair();
      const channels = [openThreadChannel(first, { peerId: "second", poller }), openThreadChannel(second, { peerId: "first", poller })] as const;
      for (const channel of channels) channel.ref();
      context.after(() => channels.forEach((channel) => channel.close()));
      return channels;
    },
    async openEcho(context) {
      const [here, there] = createThreadChannelPair();
      const worker = startTypeScriptWorker(new URL("./fixtures/echo-thread.ts", import.meta.url), {
        workerData: { end: there, spinPermits },
        transferList: transferList(there),
      });
      const channel = openThreadChannel(here, { peerId: "echo", poller });
      channel.ref();
      context.after(async () => {
        channel.close();
        await worker.terminate();
      });
      return { channel, ended: once(worker, "exit"), kill: () => void worker.terminate() };
    },
  });
}

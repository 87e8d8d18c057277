import type { WorkerId } from "../base/mod.ts";
import type { NodeLink } from "../clients/mod.ts";
import type { CoreWorker } from "../core-worker/mod.ts";
import type { NetworkAddress } from "../protocol/mod.ts";
import { LastingChannels, listenSocket, type LoopSpinner, type SocketListener } from "../transport/mod.ts";
import { realClock } from "./real-clock.ts";

export interface PeerListenerSetting {
  readonly workerId: WorkerId;
  readonly token: string;
  readonly spinner: LoopSpinner;
  /** Null on a node that is alone. */
  readonly host: string | null;
  readonly link: NodeLink;
  core(): CoreWorker;
}

/** Where workers of other nodes connect to this one: a TCP port, opened when the first of them wants to. They come back there when a connection breaks. */
export class PeerListener {
  readonly #setting: PeerListenerSetting;
  #listener: Promise<SocketListener> | null = null;

  constructor(setting: PeerListenerSetting) {
    this.#setting = setting;
  }

  /** The node manager's word. */
  asked(askerId: WorkerId): void {
    const { host, link } = this.#setting;
    if (host === null) return;
    this.#listener ??= this.#listen({ host, port: 0 });
    this.#listener.then(
      ({ address }) => link.send({ type: "listening", askerId, address: address as NetworkAddress }),
      // Whoever asked learns from the end of this worker; nothing works without ports.
      (error: Error) => this.#setting.core().env.exit(`cannot be reached from other nodes: ${error.message}`),
    );
  }

  #listen(where: NetworkAddress): Promise<SocketListener> {
    const { workerId, token, spinner } = this.#setting;
    const channels = new LastingChannels(realClock, (channel) => this.#setting.core().peerConnected(channel.peerId, channel, null));
    return listenSocket(where, { workerId, token, spinner, onChannel: (connection) => channels.accept(connection) });
  }

  close(): void {
    this.#listener?.then((listener) => listener.close(), () => undefined);
  }
}

import type { WorkerId } from "../base/mod.ts";
import type { NodeLink } from "../clients/mod.ts";
import type { CoreWorker } from "../core-worker/mod.ts";
import type { NetworkAddress } from "../protocol/mod.ts";
import { listenSocket, type SocketListener } from "../transport/mod.ts";

export interface PeerListenerSetting {
  readonly workerId: WorkerId;
  readonly token: string;
  /** Null on a node that is alone. */
  readonly host: string | null;
  readonly link: NodeLink;
  core(): CoreWorker;
}

/** Where workers of other nodes connect to this one: a TCP port, opened when the first of them wants to. */
export class PeerListener {
  readonly #setting: PeerListenerSetting;
  #listener: Promise<SocketListener> | null = null;

  constructor(setting: PeerListenerSetting) {
    this.#setting = setting;
  }

  /** The node manager's word. */
  asked(askerId: WorkerId): void {
    const { workerId, token, host, link } = this.#setting;
    if (host === null) return;
    this.#listener ??= listenSocket({ host, port: 0 }, { workerId, token, onChannel: (channel) => this.#setting.core().peerConnected(channel.peerId, channel, null) });
    this.#listener.then(
      ({ address }) => link.send({ type: "listening", askerId, address: address as NetworkAddress }),
      // Whoever asked learns from the end of this worker; nothing works without ports.
      (error: Error) => this.#setting.core().env.exit(`cannot be reached from other nodes: ${error.message}`),
    );
  }

  close(): void {
    this.#listener?.then((listener) => listener.close(), () => undefined);
  }
}

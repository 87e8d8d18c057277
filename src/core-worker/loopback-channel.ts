import type { Channel, ChannelCloseReason } from "../transport/mod.ts";

/**
 * A core worker's channel to itself: its own tasks run the same way as anybody else's. Frames are delivered in the next
 * turn of the event loop, so that a program of nested tasks does not starve sockets and timers.
 */
export class LoopbackChannel implements Channel {
  readonly peerId: string;
  #handler: ((frame: Uint8Array, owned: boolean) => void) | null = null;
  #frames: Uint8Array[] = [];
  #isScheduled = false;
  #isClosed = false;
  #onClose: ((reason: ChannelCloseReason) => void) | null = null;

  constructor(workerId: string) {
    this.peerId = workerId;
  }

  get isClosed(): boolean {
    return this.#isClosed;
  }

  send(frame: Uint8Array): boolean {
    return this.#push(new Uint8Array(frame));
  }

  sendParts(parts: readonly Uint8Array[]): boolean {
    return this.#push(Buffer.concat(parts));
  }

  /** What this thread sends to itself cannot leave it. */
  flush(): boolean {
    return false;
  }

  #push(frame: Uint8Array): boolean {
    if (this.#isClosed) return false;
    this.#frames.push(frame);
    this.#schedule();
    return true;
  }

  #schedule(): void {
    if (this.#isScheduled || this.#handler === null) return;
    this.#isScheduled = true;
    setImmediate(() => {
      this.#isScheduled = false;
      const frames = this.#frames;
      this.#frames = [];
      for (const frame of frames) this.#handler?.(frame, true);
    });
  }

  onFrame(handler: (frame: Uint8Array, owned: boolean) => void): void {
    this.#handler = handler;
    if (this.#frames.length > 0) this.#schedule();
  }

  onClose(handler: (reason: ChannelCloseReason) => void): void {
    this.#onClose = handler;
  }

  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    setImmediate(() => this.#onClose?.("local"));
  }

  ref(): void {}
  unref(): void {}
}

/**
 * Why a channel ended:
 * - `local`: this side closed it;
 * - `peer`: the other side closed it in good order;
 * - `lost`: the other thread or process ended, or the connection broke;
 * - `invalid`: the other side sent bytes that are no frames of ours.
 */
export type ChannelCloseReason = "local" | "peer" | "lost" | "invalid";

/** The view is valid during the call only (scratch memory), unless `owned`: then the receiver may keep it. */
export type FrameHandler = (frame: Uint8Array, owned: boolean) => void;
export type CloseHandler = (reason: ChannelCloseReason) => void;

/**
 * Ordered, reliable frames between two core workers. A channel queues without limit, since a send neither blocks nor
 * drops: how much may be on its way at once is for the caller to bound.
 */
export interface Channel {
  /** Worker id of the other side, for messages. */
  readonly peerId: string;
  readonly isClosed: boolean;
  /** Copies or writes the bytes before it returns. False when the channel is closed. */
  send(frame: Uint8Array): boolean;
  /** One frame made of several parts that need not be joined first. */
  sendParts(parts: readonly Uint8Array[]): boolean;
  /** Exactly one handler. What arrived before is delivered soon after, never within this call. */
  onFrame(handler: FrameHandler): void;
  /** Exactly one handler, called once and never within this call or `close`. Frames that arrived before come first. */
  onClose(handler: CloseHandler): void;
  /** Makes what was sent leave this thread now, before it blocks; false if it could not. */
  flush(): boolean;
  close(): void;
  /** Where a connection that breaks is made again: not all that was sent is known to have arrived. */
  readonly hasUndelivered?: boolean;
  /** The other side has ended: where a connection that breaks is made again, this one is not. What has arrived is still delivered. */
  peerEnded?(): void;
  /** Makes the channel keep its thread's event loop alive; a new one does not. */
  ref(): void;
  unref(): void;
}

import { invariant } from "../base/mod.ts";
import type { ChannelCloseReason, CloseHandler, FrameHandler } from "./channel.ts";

/**
 * A handler that throws is a defect of its owner: it must show, but it may not cost the frames behind it. So the error
 * is thrown again on an empty stack, where it becomes an uncaught exception.
 */
export function deliverFrame(handler: FrameHandler, frame: Uint8Array, owned: boolean): void {
  try {
    handler(frame, owned);
  } catch (error) {
    queueMicrotask(() => {
      throw error;
    });
  }
}

/**
 * The receiving half of a channel that is pushed its frames: keeps what arrives before there is a handler, and tells of
 * the end after the last frame.
 */
export class FrameDelivery {
  #frameHandler: FrameHandler | undefined;
  #closeHandler: CloseHandler | undefined;
  #early: { readonly frame: Uint8Array; readonly owned: boolean }[] = [];
  #closeReason: ChannelCloseReason | undefined;
  #hasToldClose = false;

  get closeReason(): ChannelCloseReason | undefined {
    return this.#closeReason;
  }

  push(frame: Uint8Array, owned: boolean): void {
    if (this.#closeReason !== undefined) return;
    if (this.#frameHandler !== undefined && this.#early.length === 0) deliverFrame(this.#frameHandler, frame, owned);
    else this.#early.push({ frame: owned ? frame : frame.slice(), owned: true });
  }

  close(reason: ChannelCloseReason): void {
    if (this.#closeReason !== undefined) return;
    this.#closeReason = reason;
    if (reason === "local") this.#early = [];
    this.#settle();
  }

  onFrame(handler: FrameHandler): void {
    invariant(this.#frameHandler === undefined, "a channel was given a second frame handler");
    this.#frameHandler = handler;
    this.#settle();
  }

  onClose(handler: CloseHandler): void {
    invariant(this.#closeHandler === undefined, "a channel was given a second close handler");
    this.#closeHandler = handler;
    this.#settle();
  }

  #settle(): void {
    queueMicrotask(() => {
      if (this.#frameHandler !== undefined) {
        const early = this.#early;
        // The list empties only afterwards, so that a frame pushed by a handler keeps its place behind these.
        for (let index = 0; index < early.length && this.#closeReason !== "local"; index++) {
          const { frame, owned } = early[index] as { frame: Uint8Array; owned: boolean };
          deliverFrame(this.#frameHandler, frame, owned);
        }
        this.#early = [];
      }
      if (this.#closeReason === undefined || this.#closeHandler === undefined || this.#hasToldClose) return;
      if (this.#early.length > 0) return;
      this.#hasToldClose = true;
      this.#closeHandler(this.#closeReason);
    });
  }
}

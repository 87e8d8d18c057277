import type { NodeLink } from "../clients/mod.ts";
import type { FromNode, ToNode } from "../protocol/mod.ts";
import type { ChannelCloseReason } from "../transport/mod.ts";

/**
 * The link to a node in another process, which takes a while to open and may be lost before the program ends. What is sent before
 * it opens waits; what is asked after it has closed is answered with an error.
 */
export class JoiningLink implements NodeLink {
  #link: NodeLink | null = null;
  #waiting: ToNode[] = [];
  #onMessage: (message: FromNode) => void = () => undefined;
  #onClose: (reason: ChannelCloseReason) => void = () => undefined;
  #isRef = false;
  /** Why there is nobody to ask any more. */
  #ended: string | null = null;

  open(link: NodeLink): void {
    if (this.#ended !== null) return link.close();
    this.#link = link;
    link.onMessage((message) => this.#onMessage(message));
    link.onClose((reason) => this.#onClose(reason));
    if (this.#isRef) link.ref();
    for (const message of this.#waiting) link.send(message);
    this.#waiting = [];
  }

  /** There is no other side, or none any more. */
  end(message: string): void {
    if (this.#ended !== null) return;
    this.#ended = message;
    for (const unsent of this.#waiting) this.#refuse(unsent, message);
    this.#waiting = [];
    this.#link?.close();
  }

  send(message: ToNode): void {
    if (this.#ended !== null) this.#refuse(message, this.#ended);
    else if (this.#link === null) this.#waiting.push(message);
    else this.#link.send(message);
  }

  sendSoon(message: ToNode): void {
    if (this.#link !== null && this.#ended === null) this.#link.sendSoon(message);
    else this.send(message);
  }

  #refuse(message: ToNode, reason: string): void {
    if (!("requestId" in message)) return;
    const { requestId } = message;
    queueMicrotask(() => this.#onMessage({ type: "reply", requestId, result: null, error: { kind: "RuntimeStateError", message: reason, subjectId: null } }));
  }

  onMessage(handler: (message: FromNode) => void): void {
    this.#onMessage = handler;
  }

  onClose(handler: (reason: ChannelCloseReason) => void): void {
    this.#onClose = handler;
  }

  flush(): boolean {
    return this.#ended === null && this.#link !== null && this.#link.flush();
  }

  close(): void {
    this.end("the runtime was shut down");
  }

  ref(): void {
    this.#isRef = true;
    this.#link?.ref();
  }

  unref(): void {
    this.#isRef = false;
    this.#link?.unref();
  }
}

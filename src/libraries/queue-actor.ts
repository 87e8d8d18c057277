import { type Handover, QueueState } from "./queue-state.ts";

/** A `Queue` object in one worker. */
export type ClientId = string;

/** A call that waits. */
interface Waiting<Answer> {
  readonly client: ClientId;
  readonly call: number;
  answer: (answer: Answer | null) => void;
}
/** Nothing, an item, or an item that is to be confirmed. */
export type Got<T> = [] | [item: T] | [item: T, isUnconfirmed: true];
type Reader<T> = Waiting<Got<T>>;
type Writer = Waiting<boolean>;
type ByCall<V> = Map<ClientId, Map<number, V>>;

/**
 * The actor behind a `Queue`. Outcomes are answers, not exceptions: null says that the queue is shut down. Items come and
 * go in arrays, so that one that is an ObjectRef stays a ref.
 *
 * An item that is there is given with the answer. One that a reader has waited for is kept until the reader confirms it: it may
 * be gone by now, and the item then goes to the next one.
 */
export class QueueActor<T> {
  readonly #state: QueueState<T, Reader<T>, Writer>;
  readonly #readers: ByCall<Reader<T>> = new Map();
  readonly #writers: ByCall<Writer> = new Map();
  readonly #unconfirmed: ByCall<T> = new Map();
  #isShutDown = false;

  constructor(sizeMax: number) {
    this.#state = new QueueState(sizeMax);
  }

  /** False when it was given up before there was room. */
  put([item]: [T], client: ClientId, call: number): boolean | null | Promise<boolean | null> {
    if (this.#isShutDown) return null;
    const writer: Writer = { client, call, answer: answersNobody };
    const handovers = this.#state.putOrWait(item, writer);
    if (handovers === null) return enter(this.#writers, writer);
    this.#handOver(handovers);
    return true;
  }

  /** Nothing when it was given up before there was an item. */
  get(client: ClientId, call: number): Got<T> | null | Promise<Got<T> | null> {
    if (this.#isShutDown) return null;
    const reader: Reader<T> = { client, call, answer: answersNobody };
    const taken = this.#state.getOrWait(reader);
    if (taken === null) return enter(this.#readers, reader);
    this.#admit(taken.admitted);
    return taken.items as [T];
  }

  /** All of them or none; false for none. */
  putNow(items: T[]): boolean | null {
    if (this.#isShutDown) return null;
    const handovers = this.#state.put(items);
    if (handovers !== null) this.#handOver(handovers);
    return handovers !== null;
  }

  /** All of them, or how many are there. */
  getNow(count: number): T[] | number | null {
    if (this.#isShutDown) return null;
    const taken = this.#state.get(count);
    if (taken === null) return this.#state.size;
    this.#admit(taken.admitted);
    return taken.items;
  }

  size(): number | null {
    return this.#isShutDown ? null : this.#state.size;
  }

  isFull(): boolean | null {
    return this.#isShutDown ? null : this.#state.isFull;
  }

  /** The reader has its item. */
  confirm(client: ClientId, call: number): void {
    remove(this.#unconfirmed, client, call);
  }

  /** Whoever waits for this call does so no longer. The answer to the call itself says whether that was in time. */
  giveUp(client: ClientId, call: number): void {
    const reader = this.#readers.get(client)?.get(call);
    if (reader !== undefined) this.#giveUpReading(reader);
    const writer = this.#writers.get(client)?.get(call);
    if (writer !== undefined) this.#giveUpWriting(writer);
  }

  /** The same for a call whose answer nobody will see: an item that it was given goes to the next reader. */
  abandon(client: ClientId, call: number): void {
    this.giveUp(client, call);
    const unconfirmed = this.#unconfirmed.get(client);
    if (unconfirmed === undefined || !unconfirmed.has(call)) return;
    const item = unconfirmed.get(call) as T;
    remove(this.#unconfirmed, client, call);
    this.#handOver(this.#state.putBack([item]));
  }

  /** Lasts as long as the client that asks for it: ends with its worker, or when its `Queue` object is collected. */
  *presence(client: ClientId): Generator<null, void> {
    try {
      for (;;) yield null;
    } finally {
      this.#isGone(client);
    }
  }

  #isGone(client: ClientId): void {
    for (const reader of [...(this.#readers.get(client)?.values() ?? [])]) this.#giveUpReading(reader);
    for (const writer of [...(this.#writers.get(client)?.values() ?? [])]) this.#giveUpWriting(writer);
    const items = [...(this.#unconfirmed.get(client)?.values() ?? [])];
    this.#unconfirmed.delete(client);
    this.#handOver(this.#state.putBack(items));
  }

  /** Answers all who wait. */
  shutDown(): void {
    this.#isShutDown = true;
    for (const waiting of [...this.#readers.values(), ...this.#writers.values()]) for (const { answer } of waiting.values()) answer(null);
  }

  #handOver(handovers: readonly Handover<T, Reader<T>>[]): void {
    for (const { reader, item } of handovers) {
      remove(this.#readers, reader.client, reader.call);
      add(this.#unconfirmed, reader.client, reader.call, item);
      reader.answer([item, true]);
    }
  }

  #admit(writers: readonly Writer[]): void {
    for (const writer of writers) {
      remove(this.#writers, writer.client, writer.call);
      writer.answer(true);
    }
  }

  #giveUpReading(reader: Reader<T>): void {
    this.#state.giveUpReading(reader);
    remove(this.#readers, reader.client, reader.call);
    reader.answer([]);
  }

  #giveUpWriting(writer: Writer): void {
    this.#state.giveUpWriting(writer);
    remove(this.#writers, writer.client, writer.call);
    writer.answer(false);
  }
}

function answersNobody(): void {}

function enter<Answer>(waiting: ByCall<Waiting<Answer>>, who: Waiting<Answer>): Promise<Answer | null> {
  add(waiting, who.client, who.call, who);
  return new Promise((resolve) => { who.answer = resolve; });
}

function add<V>(byCall: ByCall<V>, client: ClientId, call: number, value: V): void {
  let ofClient = byCall.get(client);
  if (ofClient === undefined) byCall.set(client, (ofClient = new Map()));
  ofClient.set(call, value);
}

function remove<V>(byCall: ByCall<V>, client: ClientId, call: number): void {
  const ofClient = byCall.get(client);
  if (ofClient?.delete(call) === true && ofClient.size === 0) byCall.delete(client);
}

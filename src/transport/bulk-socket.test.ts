import assert from "node:assert/strict";
import { connect } from "node:net";
import type { TestContext } from "node:test";
import { describe, test } from "node:test";
import { type BulkSocket, type BulkSocketEvents, connectBulk, listenBulk } from "./bulk-socket.ts";
import type { TransportError } from "./transport-error.ts";

const TOKEN = "a secret of the cluster";
const MEGABYTE = 1024 ** 2;
const nothing: BulkSocketEvents = { frame: () => null, bulkRead: () => undefined, progress: () => undefined, end: () => undefined };

interface Pair {
  readonly sender: BulkSocket;
  readonly receiver: BulkSocket;
}

async function openPair(context: TestContext, received: Partial<BulkSocketEvents>, requested: Partial<BulkSocketEvents> = {}): Promise<Pair> {
  const hold = setInterval(() => undefined, 60_000);
  context.after(() => clearInterval(hold));
  let accept: (socket: BulkSocket) => void = () => undefined;
  const accepted = new Promise<BulkSocket>((resolve) => { accept = resolve; });
  const listener = await listenBulk({ host: "127.0.0.1", port: 0 }, {
    workerId: "sender", token: TOKEN,
    events: (socket) => {
      accept(socket);
      return { ...nothing, ...requested };
    },
  });
  const receiver = await connectBulk(listener.address, { workerId: "receiver", token: TOKEN, events: () => ({ ...nothing, ...received }) });
  const sender = await accepted;
  context.after(() => {
    receiver.destroy();
    sender.destroy();
    listener.close();
  });
  return { sender, receiver };
}

function until(holds: () => boolean): Promise<void> {
  return new Promise((resolve) => {
    const look = (): void => void (holds() ? resolve() : setImmediate(look));
    look();
  });
}

describe("a socket for bulk", () => {
  test("both sides learn whom they talk to, and frames arrive in order in both directions", async (context) => {
    const texts: string[] = [];
    const requests: string[] = [];
    const { sender, receiver } = await openPair(
      context,
      { frame: (frame) => (texts.push(Buffer.from(frame).toString()), null) },
      { frame: (frame) => (requests.push(Buffer.from(frame).toString()), null) },
    );
    assert.deepEqual([sender.peerId, receiver.peerId], ["receiver", "sender"]);
    for (let count = 0; count < 100; count++) {
      sender.send(Buffer.from(`answer ${count}`));
      receiver.send(Buffer.from(`request ${count}`.padEnd(count * 300)));
    }
    await until(() => texts.length === 100 && requests.length === 100);
    assert.deepEqual([texts[0], texts[99], requests[99]?.trim()], ["answer 0", "answer 99", "request 99"]);
  });

  test("bulk of all lengths lands where the receiver says, between the frames, and nowhere else", async (context) => {
    const lengths = [1, 7, 16 * 1024 - 1, 16 * 1024, 100_000, 3 * MEGABYTE + 11, 0, 5];
    const targets = lengths.map((length) => new Uint8Array(length + 2).fill(255));
    const events: string[] = [];
    const { sender } = await openPair(context, {
      frame: (frame, bulkBytes) => {
        const index = frame[0] as number;
        events.push(`${index}:${bulkBytes}`);
        return (targets[index] as Uint8Array).subarray(1, 1 + bulkBytes);
      },
      bulkRead: () => void events.push("read"),
    });
    const written: number[] = [];
    for (const [index, length] of lengths.entries()) {
      if (length === 0) sender.send(new Uint8Array([index]));
      else sender.sendBulk(new Uint8Array([index]), new Uint8Array(length).map((_, at) => (at * 31 + index) % 251), () => void written.push(index));
    }
    await until(() => events.length === 2 * lengths.length - 1);
    assert.deepEqual(events, lengths.flatMap((length, index) => (length === 0 ? [`${index}:0`] : [`${index}:${length}`, "read"])));
    for (const [index, length] of lengths.entries()) {
      const target = targets[index] as Uint8Array;
      assert.deepEqual([target[0], target[length + 1]], [255, 255], "written beyond its end");
      assert.ok(target.subarray(1, 1 + length).every((byte, at) => byte === (at * 31 + index) % 251), `bulk ${index} differs`);
    }
    assert.deepEqual(written, [0, 1, 2, 3, 4, 5, 7]);
  });

  test("bulk that nobody wants is dropped, and what follows is read", async (context) => {
    const frames: number[] = [];
    const { sender } = await openPair(context, { frame: (frame) => (frames.push(frame[0] as number), null) });
    sender.sendBulk(new Uint8Array([1]), new Uint8Array(2 * MEGABYTE), () => undefined);
    sender.send(new Uint8Array([2]));
    await until(() => frames.length === 2);
    assert.deepEqual(frames, [1, 2]);
  });

  test("after destroy nothing more is written to the receiver's memory, and the sender's writes end", async (context) => {
    const target = new Uint8Array(64 * MEGABYTE);
    let progressed = 0;
    let senderEnded = false;
    let written = 0;
    const { sender, receiver } = await openPair(context, { frame: () => target, progress: () => void progressed++ }, { end: () => { senderEnded = true; } });
    sender.sendBulk(new Uint8Array([1]), new Uint8Array(target.byteLength).fill(9), () => void written++);
    await until(() => progressed > 3);
    receiver.destroy();
    const zeroes = target.lastIndexOf(9) + 1;
    assert.ok(zeroes > 0 && zeroes < target.byteLength);
    await until(() => senderEnded && written === 1);
    assert.equal(target.lastIndexOf(9) + 1, zeroes);
    sender.sendBulk(new Uint8Array([2]), new Uint8Array(10), () => void written++);
    await until(() => written === 2);
  });

  test("who does not know the token, or speaks something else, is not let in", async (context) => {
    const refused: string[] = [];
    const listener = await listenBulk({ host: "127.0.0.1", port: 0 }, { workerId: "sender", token: TOKEN, events: () => nothing, onRefused: ({ code }) => void refused.push(code) });
    context.after(() => listener.close());
    await assert.rejects(connectBulk(listener.address, { workerId: "thief", token: "guessed", events: () => nothing }), (error: TransportError) => error.code === "ERR_MANTARAY_PEER_TOKEN");
    const { port } = listener.address as { port: number };
    for (const garbage of ["GET / HTTP/1.1\r\n\r\n", "\u0005\u0000\u0000\u0000\u0001\u0000\u0000\u0000hello!"]) {
      await new Promise((resolve) => connect({ port, host: "127.0.0.1" }).on("error", () => undefined).on("close", resolve).end(garbage));
    }
    await until(() => refused.length >= 3);
    assert.deepEqual([...new Set(refused.slice(-2))], ["ERR_MANTARAY_PEER_REFUSED"]);
  });

  test("garbage after the handshake ends the socket, with a word on why", async (context) => {
    let failure: Error | undefined;
    const { receiver } = await openPair(context, {}, { end: (error) => { failure = error; } });
    receiver.send(new Uint8Array(70_000));
    await until(() => failure !== undefined);
    assert.match(failure!.message, /no record of mantaray/);
  });
});

import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer, type AddressInfo, type Socket } from "node:net";
import type { TestContext } from "node:test";
import { test } from "node:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { FrameSocket } from "./frame-socket.ts";
import { ReadingSocket } from "./reading-socket.ts";

const FRAME_BYTES_MAX = 1000;

async function socketPair(context: TestContext, where: { path: string } | { host: string; port: number }): Promise<[ReadingSocket, Socket]> {
  const server = createServer().listen(where);
  context.after(() => server.close());
  await once(server, "listening");
  const near = ReadingSocket.connect("path" in where ? where : { ...where, port: (server.address() as AddressInfo).port });
  const [far] = (await once(server, "connection")) as [Socket];
  context.after(() => [near.socket, far].forEach((socket) => socket.destroy()));
  return [near, far];
}

function unixSocketPair(context: TestContext): Promise<[ReadingSocket, Socket]> {
  const directory = mkdtempSync(join(tmpdir(), "mantaray-"));
  context.after(() => rmSync(directory, { recursive: true, force: true }));
  return socketPair(context, { path: join(directory, "pair.sock") });
}

function numberedFrames(count: number): Buffer {
  const stream = Buffer.alloc(8 * count);
  for (let index = 0; index < count; index++) {
    stream.writeUInt32LE(4, 8 * index);
    stream.writeUInt32LE(index, 8 * index + 4);
  }
  return stream;
}

test("what the other side sent before it died is read although writes to it fail", { timeout: 60_000 }, async (context) => {
  const [near, far] = await unixSocketPair(context);
  const frames = new FrameSocket(near, FRAME_BYTES_MAX);
  let count = 0;
  const end = new Promise<string>((resolve) => {
    frames.events = {
      frame: (frame) => assert.equal(Buffer.from(frame).readUInt32LE(), count++),
      end: resolve,
    };
  });
  // All of this before the event loop turns again.
  far.write(numberedFrames(5000));
  far.destroy();
  frames.send(new Uint8Array(10));
  assert.equal(await end, "lost");
  assert.equal(count, 5000);
  assert.equal(frames.send(new Uint8Array(1)), false);
});

test("a length beyond the limit ends the connection as invalid", { timeout: 60_000 }, async (context) => {
  const [near, far] = await socketPair(context, { host: "127.0.0.1", port: 0 });
  const frames = new FrameSocket(near, FRAME_BYTES_MAX);
  const end = new Promise<string>((resolve) => {
    frames.events = { frame: () => assert.fail("a frame was made up"), end: resolve };
  });
  far.on("error", () => undefined);
  far.write("GET / HTTP/1.1\r\n\r\n");
  assert.equal(await end, "invalid");
  await once(far, "close");
});

test("frames of one turn go out as one write", { timeout: 60_000 }, async (context) => {
  const [near, far] = await unixSocketPair(context);
  const frames = new FrameSocket(near, FRAME_BYTES_MAX);
  const write = context.mock.method(near.socket, "write");
  for (let index = 0; index < 100; index++) frames.send(new Uint8Array(8));
  const [chunk] = (await once(far, "data")) as [Buffer];
  assert.equal(chunk.byteLength, 1200);
  assert.equal(write.mock.callCount(), 1);
});

test("what is sent while the system still takes a large frame follows it, with nothing more being sent", { timeout: 60_000 }, async (context) => {
  const [near, far] = await unixSocketPair(context);
  const LARGE_BYTES = 16 * 1024 ** 2;
  const frames = new FrameSocket(near, FRAME_BYTES_MAX);
  const lengths: number[] = [];
  const received = new Promise<void>((resolve) => {
    new FrameSocket(ReadingSocket.accepted(far), LARGE_BYTES).events = {
      frame: (frame) => void (lengths.push(frame.byteLength) === 2 && resolve()),
      end: () => undefined,
    };
  });
  frames.send(new Uint8Array(LARGE_BYTES));
  assert.ok(near.socket.writableLength > 0);
  frames.send(new Uint8Array(7));
  await received;
  assert.deepEqual(lengths, [LARGE_BYTES, 7]);
});

test("what the system has not taken yet stays as it was sent, whatever other sockets send meanwhile", { timeout: 60_000 }, async (context) => {
  const FRAME_BYTES = 40_000;
  const [busy, slow] = await unixSocketPair(context);
  const [other, far] = await unixSocketPair(context);
  far.resume();
  const frames = new FrameSocket(busy, FRAME_BYTES);
  let sent = 0;
  // Nobody reads: what waits is the last chunk.
  for (; busy.socket.writableLength === 0; sent++) {
    frames.send(new Uint8Array(FRAME_BYTES).fill(1));
    frames.flush();
  }
  const others = new FrameSocket(other, FRAME_BYTES);
  for (let index = 0; index < 100; index++) {
    others.send(new Uint8Array(FRAME_BYTES).fill(2));
    others.flush();
  }
  let read = 0;
  await new Promise<void>((resolve, reject) => {
    new FrameSocket(ReadingSocket.accepted(slow), FRAME_BYTES).events = {
      frame: (frame) => {
        if (!frame.every((byte) => byte === 1)) reject(new Error(`frame ${read} has bytes of another socket`));
        if (++read === sent) resolve();
      },
      end: () => undefined,
    };
  });
});

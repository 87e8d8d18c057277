import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer, type AddressInfo, type Socket } from "node:net";
import type { TestContext } from "node:test";
import { test } from "node:test";
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { connect as connectEncrypted, createServer as createEncryptedServer, type TLSSocket } from "node:tls";
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

test("all arrives in order when the system takes only a part of a turn's frames, or nothing", { timeout: 60_000 }, async (context) => {
  for (const pair of [await unixSocketPair(context), await socketPair(context, { host: "127.0.0.1", port: 0 })]) {
    const [near, far] = pair;
    const frames = new FrameSocket(near, FRAME_BYTES_MAX);
    far.pause();
    let sent = 0;
    // Of uneven lengths, so that no number of them fills what the system has room for; some are begun to be sent, and some wait behind these.
    const sendTurn = (): void => {
      for (let index = 0; index < 40; index++) {
        const frame = Buffer.alloc(997 + index, sent % 251);
        frame.writeUInt32LE(sent++);
        frames.send(frame);
      }
    };
    for (let turnsAfterFull = 0; turnsAfterFull < 5;) {
      sendTurn();
      await new Promise((resolve) => setImmediate(resolve));
      if (near.socket.writableLength > 0) turnsAfterFull++;
    }
    let rest = Buffer.alloc(0);
    let read = 0;
    const all = new Promise<void>((resolve) => {
      far.on("data", (bytes: Buffer) => {
        rest = Buffer.concat([rest, bytes]);
        for (; rest.length >= 4 && rest.length >= 4 + rest.readUInt32LE(); rest = rest.subarray(4 + rest.readUInt32LE())) {
          const frame = rest.subarray(4, 4 + rest.readUInt32LE());
          assert.equal(frame.readUInt32LE(), read);
          assert.ok(frame.subarray(4).every((byte) => byte === read % 251));
          if (++read === sent) resolve();
        }
      });
    });
    far.resume();
    await all;
  }
});

test("what waits for the end of a turn in which the socket is closed goes nowhere, whoever has its descriptor then", { timeout: 60_000 }, async (context) => {
  const folder = mkdtempSync(join(tmpdir(), "mantaray-"));
  context.after(() => rmSync(folder, { recursive: true, force: true }));
  const [near] = await unixSocketPair(context);
  const frames = new FrameSocket(near, FRAME_BYTES_MAX);
  const end = new Promise<string>((resolve) => { frames.events = { frame: () => assert.fail("nothing was sent"), end: resolve }; });
  frames.send(new Uint8Array(10));
  near.socket.destroy();
  const path = join(folder, "next");
  const descriptor = openSync(path, "w");
  context.after(() => closeSync(descriptor));
  assert.equal(await end, "lost");
  assert.equal(readFileSync(path).length, 0);
  assert.equal(frames.send(new Uint8Array(1)), false);
});

test("frames over an encrypted socket go through its stream", { timeout: 60_000 }, async (context) => {
  const secret = { psk: Buffer.alloc(16, 7), identity: "pair" };
  const options = { ciphers: "PSK-AES128-GCM-SHA256", minVersion: "TLSv1.2", maxVersion: "TLSv1.2" } as const;
  const server = createEncryptedServer({ ...options, pskCallback: () => secret.psk }).listen(0, "127.0.0.1");
  context.after(() => server.close());
  await once(server, "listening");
  const connection = once(server, "secureConnection");
  const near = connectEncrypted({ ...options, host: "127.0.0.1", port: (server.address() as AddressInfo).port, pskCallback: () => secret, checkServerIdentity: () => undefined });
  const [far] = (await connection) as [TLSSocket];
  context.after(() => [near, far].forEach((socket) => socket.destroy()));
  const received: Buffer[] = [];
  const reading = (socket: Socket): ReadingSocket => {
    const made = { socket, onBytes: null as ((bytes: Uint8Array) => void) | null };
    socket.on("data", (bytes: Uint8Array) => made.onBytes?.(bytes));
    return made as unknown as ReadingSocket;
  };
  const frames = new FrameSocket(reading(near), FRAME_BYTES_MAX);
  const others = new FrameSocket(reading(far), FRAME_BYTES_MAX);
  const arrived = new Promise<void>((resolve, reject) => {
    others.events = { frame: (frame) => { if (received.push(Buffer.from(frame)) === 2) resolve(); }, end: (reason, cause) => reject(cause ?? new Error(reason)) };
  });
  frames.send(Buffer.from("one"));
  await new Promise((resolve) => setImmediate(resolve));
  frames.send(Buffer.from("two"));
  await arrived;
  assert.deepEqual(received.map(String), ["one", "two"]);
});

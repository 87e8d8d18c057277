import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer, type AddressInfo, type Socket } from "node:net";
import { test, type TestContext } from "node:test";
import { ReadingSocket } from "./reading-socket.ts";

const BYTES = 3 * 1024 * 1024;

/** A connection, with both sides reading into memory of their own; `accept` makes one of what the server accepts. */
async function connected(context: TestContext, accept: (socket: Socket) => ReadingSocket): Promise<{ near: ReadingSocket; far: ReadingSocket; serverClosed: () => Promise<unknown> }> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const accepting = new Promise<ReadingSocket>((resolve) => server.once("connection", (socket) => resolve(accept(socket))));
  const near = ReadingSocket.connect({ host: "127.0.0.1", port: (server.address() as AddressInfo).port });
  const far = await accepting;
  context.after(() => {
    server.close();
    for (const { socket } of [near, far]) socket.destroy();
  });
  const serverClosed = async (): Promise<unknown> => once(server.close(), "close");
  return { near, far, serverClosed };
}

/** Without its handle for the time of the call, as if Node had none. */
function acceptedAsStream(socket: Socket): ReadingSocket {
  Object.defineProperty(socket, "_handle", { configurable: true, value: undefined });
  const reading = ReadingSocket.accepted(socket);
  delete (socket as unknown as { _handle?: unknown })._handle;
  assert.equal(reading.socket, socket);
  return reading;
}

function received(reading: ReadingSocket): { readonly bytes: Buffer; readonly memories: ReadonlySet<ArrayBufferLike>; readonly ended: Promise<unknown> } {
  const bytes = Buffer.alloc(BYTES);
  const memories = new Set<ArrayBufferLike>();
  let length = 0;
  reading.onBytes = (read) => {
    memories.add(read.buffer);
    bytes.set(read, length);
    length += read.byteLength;
  };
  return { bytes, memories, ended: once(reading.socket, "end").then(() => assert.equal(length, BYTES)) };
}

const numbers = Buffer.from(Uint32Array.from({ length: BYTES / 4 }, (_, index) => index * 2_654_435_761).buffer);

for (const [name, accept] of [["that takes over its handle", ReadingSocket.accepted], ["that stays a stream", acceptedAsStream]] as const) {
  test(`an accepted socket ${name} reads all bytes and the end, in one memory, and its server hears that it is over`, { timeout: 60_000 }, async (context) => {
    const { near, far, serverClosed } = await connected(context, accept);
    const there = received(far);
    const here = received(near);
    near.socket.end(numbers);
    far.socket.end(numbers);
    await Promise.all([there.ended, here.ended]);
    assert.ok(there.bytes.equals(numbers));
    assert.ok(here.bytes.equals(numbers));
    assert.equal(there.memories.size, 1);
    assert.equal(here.memories.size, 1);
    // A server closes when it has no connections left.
    await serverClosed();
  });
}

test("an accepted socket takes over its handle in this version of Node", { timeout: 60_000 }, async (context) => {
  let newcomer: Socket | undefined;
  const { far } = await connected(context, (socket) => ReadingSocket.accepted((newcomer = socket)));
  assert.notEqual(far.socket, newcomer);
  assert.equal(newcomer?.destroyed, true);
  assert.equal(far.socket.destroyed, false);
});

import assert from "node:assert/strict";
import { createServer, connect as connectNet, type Socket } from "node:net";
import { describe, test, type TestContext } from "node:test";
import { type Clock, SeededRandom } from "../base/mod.ts";
import { testChannelConformance } from "./channel-conformance.ts";
import type { Channel, ChannelCloseReason } from "./channel.ts";
import { QuickClock } from "./fixtures/quick-clock.ts";
import { connectLasting, LastingChannels, openLasting } from "./lasting-channel.ts";
import { createSimulatedLink } from "./simulated-channel.ts";
import { connectSocket, listenSocket, type SocketAddress } from "./socket-channel.ts";
import { TransportError } from "./transport-error.ts";

const TOKEN = "a secret of the session";
const clock: Clock = {
  nowMs: () => performance.now(),
  after(delayMs, callback) {
    const timer = setTimeout(callback, delayMs);
    return { cancel: () => clearTimeout(timer) };
  },
};

async function listen(context: TestContext): Promise<{ readonly where: SocketAddress; readonly accepted: Promise<Channel>; close(): void }> {
  let channels: LastingChannels | null = null;
  const accepted = new Promise<Channel>((resolve) => { channels = new LastingChannels(clock, resolve); });
  const hold = setInterval(() => undefined, 60_000);
  const listener = await listenSocket({ host: "127.0.0.1", port: 0 }, { workerId: "listener", token: TOKEN, onChannel: (connection) => channels?.accept(connection) });
  context.after(() => { clearInterval(hold); listener.close(); });
  return { where: listener.address, accepted, close: () => listener.close() };
}

testChannelConformance("lasting", {
  async openPair(context) {
    const { where, accepted } = await listen(context);
    const near = await connectLasting(where, { workerId: "connector", token: TOKEN }, clock);
    near.ref();
    const far = await accepted;
    assert.deepEqual([near.peerId, far.peerId], ["listener", "connector"]);
    context.after(() => [near, far].forEach((channel) => channel.close()));
    return [near, far];
  },
});

/** A network that can be cut, on the way to somebody who listens. */
async function network(context: TestContext, to: SocketAddress): Promise<{ readonly where: SocketAddress; cut(): number; refuse(): void; fall(): void }> {
  const sockets = new Set<Socket>();
  let isFallen = false;
  const server = createServer((near) => {
    if (isFallen) return void near.resetAndDestroy();
    const far = connectNet(to as { port: number });
    for (const socket of [near, far]) {
      sockets.add(socket);
      socket.on("error", () => undefined);
      socket.on("close", () => sockets.delete(socket));
    }
    near.pipe(far);
    far.pipe(near);
  });
  await new Promise<void>((resolve) => { server.listen(0, "127.0.0.1", resolve); });
  const cut = (): number => {
    const count = sockets.size;
    for (const socket of sockets) socket.resetAndDestroy();
    return count;
  };
  const refuse = (): void => void server.close();
  context.after(() => { refuse(); cut(); });
  return { where: { host: "127.0.0.1", port: (server.address() as { port: number }).port }, cut, refuse, fall: () => { isFallen = true; cut(); } };
}

function closing(channel: Channel): Promise<ChannelCloseReason> {
  return new Promise((resolve) => channel.onClose(resolve));
}

function wholeAndInOrder(channel: Channel, count: number, arrived: (index: number) => void): Promise<void> {
  return new Promise((resolve) => {
    let next = 0;
    channel.onFrame((frame) => {
      assert.equal(new DataView(frame.buffer, frame.byteOffset).getUint32(0), next);
      assert.ok(frame.byteLength === bytesOf(next) && frame.subarray(4).every((byte) => byte === (next & 0xff)));
      arrived(next);
      if (++next === count) resolve();
    });
  });
}

const bytesOf = (index: number): number => (index % 37 === 0 ? 150_000 : 4 + (index % 300));
function numbered(index: number): Uint8Array {
  const frame = new Uint8Array(bytesOf(index)).fill(index & 0xff);
  new DataView(frame.buffer).setUint32(0, index);
  return frame;
}

describe("a channel whose connections break", { timeout: 100_000 }, () => {
  test("delivers each frame once, whole and in order, in both directions", async (context) => {
    const { where, accepted } = await listen(context);
    const { where: byWay, cut } = await network(context, where);
    const near = await connectLasting(byWay, { workerId: "connector", token: TOKEN }, clock);
    const far = await accepted;
    const count = 2_000;
    let cuts = 0;
    const cutNowAndThen = (index: number): void => { if (index % 211 === 50) cuts += cut() / 4; };
    const done = [wholeAndInOrder(near, count, cutNowAndThen), wholeAndInOrder(far, count, cutNowAndThen)];
    for (let index = 0; index < count; index++) {
      near.send(numbered(index));
      far.sendParts([numbered(index).subarray(0, 3), numbered(index).subarray(3)]);
      if (index % 20 === 0) await new Promise((resolve) => setImmediate(resolve));
    }
    await Promise.all(done);
    assert.ok(cuts >= 5, `${cuts} cuts`);
    for (const channel of [near, far]) channel.close();
  });

  test("says whether all has arrived", async (context) => {
    const { where, accepted, close } = await listen(context);
    const { where: byWay, cut } = await network(context, where);
    const near = await connectLasting(byWay, { workerId: "connector", token: TOKEN }, clock);
    const far = await accepted;
    const delivered = async (channel: Channel): Promise<void> => {
      while (channel.hasUndelivered === true) await new Promise((resolve) => setImmediate(resolve));
    };
    near.onFrame(() => undefined);
    const arrived = new Promise<void>((resolve) => far.onFrame(() => resolve()));
    near.send(numbered(1));
    assert.equal(near.hasUndelivered, true);
    await arrived;
    await delivered(near);
    // It cannot be made again now.
    close();
    cut();
    far.send(numbered(2));
    await new Promise((resolve) => setImmediate(resolve));
    assert.deepEqual([near.hasUndelivered, far.hasUndelivered], [false, true]);
    for (const channel of [near, far]) channel.close();
  });

  test("does so whenever they break, also during greetings", async () => {
    for (let seed = 1; seed <= 40; seed++) {
      const quick = new QuickClock();
      const random = new SeededRandom(seed);
      const cuts: (() => void)[] = [];
      const [nearGot, farGot] = [[] as number[], [] as number[]];
      let accepted = 0;
      const channels = new LastingChannels(quick, (far) => {
        accepted++;
        far.onFrame((frame) => { farGot.push(frame[0] as number); far.send(frame); });
      });
      const near = await openLasting(quick, async (reached) => {
        reached();
        const { ends, cut } = createSimulatedLink({ clock: quick, random, delayMsMin: 0, delayMsMax: 20, peerIds: ["first", "second"] });
        channels.accept(ends[0]);
        cuts.push(cut);
        return ends[1];
      });
      for (let count = 0; count < 10; count++) quick.after(random.below(400), () => cuts.at(-1)?.());
      near.onFrame((frame) => nearGot.push(frame[0] as number));
      for (let index = 0; index < 200; index++) {
        near.send(Uint8Array.of(index));
        if (index % 3 === 0) await new Promise((resolve) => quick.after(random.below(5), () => resolve(null)));
      }
      for (let turn = 0; turn < 5_000 && nearGot.length < 200; turn++) await new Promise((resolve) => setImmediate(resolve));
      const all = Array.from({ length: 200 }, (_, index) => index);
      assert.deepEqual([farGot, nearGot, accepted], [all, all, 1], `seed ${seed}`);
      near.close();
    }
  });

  test("is lost at once when nobody listens there any more, and on the other side when it is said that this one has ended", async (context) => {
    const { where, accepted, close } = await listen(context);
    const { where: byWay, fall, refuse } = await network(context, where);
    const near = await connectLasting(byWay, { workerId: "connector", token: TOKEN }, clock);
    const far = await accepted;
    const ends = [closing(near), closing(far)];
    refuse();
    close();
    fall();
    assert.equal(await ends[0], "lost");
    assert.deepEqual([near.isClosed, near.send(Uint8Array.of(1))], [true, false]);
    assert.equal(far.send(Uint8Array.of(1)), true, "it may come back");
    far.peerEnded?.();
    assert.equal(await ends[1], "lost");
  });

  test("is lost after a while without a way to the other side, and not while that is only busy", async () => {
    const quick = new QuickClock();
    const { ends, cut } = createSimulatedLink({ clock: quick, random: new SeededRandom(1), delayMsMin: 0, delayMsMax: 1, peerIds: ["first", "second"] });
    new LastingChannels(quick, () => undefined).accept(ends[0]);
    let attempts = 0;
    const near = await openLasting(quick, async (reached) => {
      if (attempts++ === 0) return ends[1];
      if (attempts < 500) reached();
      throw new TransportError("ERR_MANTARAY_CONNECT_TIMEOUT", "busy, or not there");
    });
    const end = closing(near);
    cut();
    assert.equal(await end, "lost");
    assert.ok(attempts > 500 && attempts < 600, `${attempts} attempts`);
  });

  test("takes nobody for a session that it does not know", async (context) => {
    const { where } = await listen(context);
    const stranger = await connectSocket(where, { workerId: "stranger", token: TOKEN });
    const end = closing(stranger);
    stranger.onFrame(() => assert.fail("answered"));
    stranger.send(Uint8Array.of(1, 2, 3));
    assert.equal(await end, "peer");
  });
});

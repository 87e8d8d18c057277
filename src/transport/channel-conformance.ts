import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { TestContext } from "node:test";
import { describe, test } from "node:test";
import type { Channel, ChannelCloseReason } from "./channel.ts";
import { BLOCK_UNTIL_FILE, ECHO, FLOOD_AND_DIE, FLOOD_FRAMES, HANG, LAST_FRAME_BYTES, SEND_AND_EXIT, UNREF } from "./fixtures/echo-peer.ts";

export interface ConformanceHarness {
  /** Both ends of a channel in this thread. */
  openPair(context: TestContext): Promise<readonly [Channel, Channel]>;
  /** A channel to `fixtures/echo-peer.ts` in a thread or process of its own, where there is such a thing. */
  openEcho?(context: TestContext): Promise<{ channel: Channel; ended: Promise<unknown>; kill: () => void }>;
}

/** Of all of it: long, as a machine may be slow. */
const TIMEOUT_MS = 300_000;
/** From nothing to past every threshold at which a frame takes another way. */
const LENGTHS = [0, 1, 3, 64, 65, 1000, 32 * 1024, 32 * 1024 + 1, 64 * 1024 - 4, 64 * 1024, 300_000, 7, 2_000_000, 5];

/** What every Channel promises. */
export function testChannelConformance(name: string, harness: ConformanceHarness): void {
  describe(`channel conformance: ${name}`, { timeout: TIMEOUT_MS }, () => {
    test("frames of all lengths arrive in order and whole, in both directions, by send and by sendParts", async (context) => {
      const [near, far] = await harness.openPair(context);
      const arrivals = [collect(near, 60), collect(far, 60)];
      for (let index = 0; index < 60; index++) {
        const frame = frameOf(index, LENGTHS[index % LENGTHS.length] as number);
        for (const end of [near, far]) {
          if (index % 3 === 0) assert.equal(end.sendParts([frame.subarray(0, index), new Uint8Array(0), frame.subarray(index)]), true);
          else assert.equal(end.send(frame), true);
        }
        frame.fill(0xee); // The sender may use its memory again.
      }
      for (const frames of await Promise.all(arrivals)) {
        frames.forEach((frame, index) => assert.ok(Buffer.compare(frame, frameOf(index, LENGTHS[index % LENGTHS.length] as number)) === 0, `frame ${index}`));
      }
    });

    test("what arrives before there is a handler waits for it, and is not delivered within onFrame", async (context) => {
      const [near, far] = await harness.openPair(context);
      for (let index = 0; index < 20; index++) near.send(frameOf(index, index * 5000));
      await turns(20);
      let isWithinCall = true;
      const received = new Promise<number[]>((resolve) => {
        const lengths: number[] = [];
        far.onFrame((frame) => {
          assert.equal(isWithinCall, false);
          if (lengths.push(frame.byteLength) === 21) resolve(lengths);
        });
      });
      isWithinCall = false;
      near.send(new Uint8Array(3));
      assert.deepEqual(await received, [...Array.from({ length: 20 }, (_, index) => index * 5000), 3]);
    });

    test("a handler may send, and may open and use other channels", async (context) => {
      const [near, far] = await harness.openPair(context);
      const [other, otherFar] = await harness.openPair(context);
      const answers = collect(near, 200);
      const others = collect(otherFar, 100);
      let count = 0;
      far.onFrame((frame) => {
        assert.equal(frame[0], count++ & 0xff);
        far.send(frame);
        far.send(Uint8Array.of(0xff));
        other.send(frame);
      });
      for (let index = 0; index < 100; index++) near.send(Uint8Array.of(index));
      assert.deepEqual((await answers).map((frame) => frame[0]), Array.from({ length: 200 }, (_, index) => (index % 2 === 0 ? index / 2 : 0xff)));
      assert.deepEqual((await others).map((frame) => frame[0]), Array.from({ length: 100 }, (_, index) => index));
    });

    test("an orderly close delivers everything first, then says peer; here it says local", async (context) => {
      const [near, far] = await harness.openPair(context);
      const lengths: number[] = [];
      far.onFrame((frame) => lengths.push(frame.byteLength));
      near.onFrame(() => undefined);
      const reasons = [closing(near), closing(far)];
      for (let index = 0; index < 300; index++) near.send(new Uint8Array(LENGTHS[index % 8] as number));
      near.close();
      near.close();
      assert.equal(near.isClosed, true);
      assert.equal(near.send(new Uint8Array(1)), false);
      assert.equal(near.sendParts([new Uint8Array(1)]), false);
      assert.deepEqual(await Promise.all(reasons), ["local", "peer"]);
      assert.deepEqual(lengths, Array.from({ length: 300 }, (_, index) => LENGTHS[index % 8]));
      assert.equal(far.isClosed, true);
      assert.equal(far.send(new Uint8Array(1)), false);
    });

    test("what arrived before the end is delivered before the end is told, even if the handler comes later", async (context) => {
      const [near, far] = await harness.openPair(context);
      const reason = closing(far);
      for (let index = 0; index < 100; index++) near.send(new Uint8Array(LENGTHS[index % LENGTHS.length] as number));
      near.close();
      await turns(20);
      const lengths: number[] = [];
      far.onFrame((frame) => lengths.push(frame.byteLength));
      assert.equal(await reason, "peer");
      assert.deepEqual(lengths, Array.from({ length: 100 }, (_, index) => LENGTHS[index % LENGTHS.length]));
    });

    test("a close in a handler ends the deliveries there", async (context) => {
      const [near, far] = await harness.openPair(context);
      let count = 0;
      far.onFrame(() => {
        if (++count === 5) far.close();
      });
      near.onFrame(() => undefined);
      const reasons = [closing(near), closing(far)];
      for (let index = 0; index < 100; index++) near.send(new Uint8Array(10));
      assert.deepEqual(await Promise.all(reasons), ["peer", "local"]);
      assert.equal(count, 5);
    });

    test("100,000 frames in each direction at once", async (context) => {
      const [near, far] = await harness.openPair(context);
      const total = 100_000;
      const done = [near, far].map(
        (end) =>
          new Promise<void>((resolve) => {
            let next = 0;
            end.onFrame((frame) => {
              const value = (frame[0] as number) | ((frame[1] as number) << 8) | ((frame[2] as number) << 16);
              if (value !== next || frame.byteLength !== 3 + (next % 50)) assert.fail(`frame ${next} came as ${value} with ${frame.byteLength} bytes`);
              if (++next === total) resolve();
            });
          }),
      );
      const scratch = new Uint8Array(53);
      for (let index = 0; index < total; index++) {
        scratch[0] = index;
        scratch[1] = index >>> 8;
        scratch[2] = index >>> 16;
        const frame = scratch.subarray(0, 3 + (index % 50));
        near.send(frame);
        far.send(frame);
        if (index % 20_000 === 0) await turns(1);
      }
      await Promise.all(done);
    });

    const { openEcho } = harness;
    if (openEcho === undefined) return;

    test("round trips to a peer, one at a time", async (context) => {
      const { channel } = await openEcho(context);
      let answered: (frame: Uint8Array) => void = () => undefined;
      channel.onFrame((frame) => answered(frame));
      for (let index = 0; index < 2000; index++) {
        const answer = new Promise<number | undefined>((resolve) => {
          answered = (frame) => resolve(frame[1]);
        });
        channel.send(Uint8Array.of(ECHO, index));
        assert.equal(await answer, index & 0xff);
      }
    });

    test("sends to a busy peer neither block nor drop", async (context) => {
      const { channel } = await openEcho(context);
      const directory = mkdtempSync(join(tmpdir(), "mantaray-"));
      context.after(() => rmSync(directory, { recursive: true }));
      const total = 40_000;
      const answers = collect(channel, total);
      const release = join(directory, "release");
      channel.send(Buffer.concat([Uint8Array.of(BLOCK_UNTIL_FILE), Buffer.from(release)]));
      for (let index = 0; index < total; index++) channel.send(Buffer.concat([Uint8Array.of(ECHO), frameOf(index, index % 5000 === 4999 ? 100_000 : index % 100)]));
      await turns(3);
      writeFileSync(release, "");
      (await answers).forEach((frame, index) => {
        assert.ok(Buffer.compare(frame.subarray(1), frameOf(index, index % 5000 === 4999 ? 100_000 : index % 100)) === 0, `frame ${index}`);
      });
    });

    test("a peer that is killed while it hangs is lost", async (context) => {
      const { channel, kill } = await openEcho(context);
      const reason = closing(channel);
      channel.onFrame(() => {
        channel.send(Uint8Array.of(HANG));
        setImmediate(kill);
      });
      channel.send(Uint8Array.of(ECHO));
      assert.equal(await reason, "lost");
      assert.equal(channel.isClosed, true);
      assert.equal(channel.send(Uint8Array.of(ECHO)), false);
    });

    test("what a peer sent before it died is delivered before its loss is told", async (context) => {
      const { channel } = await openEcho(context);
      const reason = closing(channel);
      let count = 0;
      channel.onFrame((frame) => {
        assert.equal((frame[1] as number) | ((frame[2] as number) << 8), count++);
      });
      channel.send(Uint8Array.of(FLOOD_AND_DIE));
      assert.equal(await reason, "lost");
      assert.equal(count, FLOOD_FRAMES);
    });

    test("what a peer sent before it called process.exit() is delivered, also what had no room on the way", async (context) => {
      const { channel } = await openEcho(context);
      const reason = closing(channel);
      const lengths: number[] = [];
      channel.onFrame((frame) => {
        assert.ok(frame.every((byte) => byte === lengths.length % 251));
        lengths.push(frame.byteLength);
      });
      channel.send(Uint8Array.of(SEND_AND_EXIT));
      assert.equal(await reason, "lost");
      assert.deepEqual(lengths, LAST_FRAME_BYTES);
    });

    test("a channel that is not referenced does not keep its side alive", async (context) => {
      const { channel, ended } = await openEcho(context);
      const reason = closing(channel);
      channel.onFrame(() => undefined);
      channel.send(Uint8Array.of(UNREF));
      await ended;
      assert.equal(await reason, "lost");
    });
  });
}

function frameOf(seed: number, byteLength: number): Uint8Array {
  const frame = new Uint8Array(byteLength);
  for (let index = 0; index < byteLength; index++) frame[index] = seed + index * 7 + (index >>> 8);
  return frame;
}

function collect(channel: Channel, count: number): Promise<Uint8Array[]> {
  return new Promise((resolve) => {
    const frames: Uint8Array[] = [];
    channel.onFrame((frame, owned) => {
      if (frames.push(owned ? frame : frame.slice()) === count) resolve(frames);
    });
  });
}

function closing(channel: Channel): Promise<ChannelCloseReason> {
  return new Promise((resolve, reject) => {
    let isClosed = false;
    channel.onClose((reason) => {
      if (isClosed) reject(new Error("the close handler was called twice"));
      isClosed = true;
      setImmediate(resolve, reason);
    });
  });
}

async function turns(count: number): Promise<void> {
  for (let turn = 0; turn < count; turn++) await new Promise((resolve) => setImmediate(resolve));
}

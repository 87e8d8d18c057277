import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { FrameParser, GOODBYE } from "./frame-parser.ts";

const FRAME_BYTES_MAX = 200_000;

interface Seen {
  readonly frames: Uint8Array[];
  readonly owned: boolean[];
  readonly malformed: number[];
  goodbyes: number;
}

function parserWith(seen: Seen, afterFrame: (parser: FrameParser) => void = () => undefined): FrameParser {
  const parser = new FrameParser(
    {
      frame: (frame, owned) => {
        seen.frames.push(frame.slice());
        seen.owned.push(owned);
        afterFrame(parser);
      },
      goodbye: () => seen.goodbyes++,
      malformed: (frameBytes) => seen.malformed.push(frameBytes),
    },
    FRAME_BYTES_MAX,
  );
  return parser;
}

const nothingSeen = (): Seen => ({ frames: [], owned: [], malformed: [], goodbyes: 0 });

function prefixed(frame: Uint8Array): Buffer {
  const prefix = Buffer.alloc(4);
  prefix.writeUInt32LE(frame.byteLength);
  return Buffer.concat([prefix, frame]);
}

function goodbye(): Buffer {
  const mark = Buffer.alloc(4);
  mark.writeUInt32LE(GOODBYE);
  return mark;
}

test("frames come out whole however the stream is cut", () => {
  const length = fc.oneof({ weight: 4, arbitrary: fc.nat(50) }, fc.constantFrom(0, 32 * 1024, 32 * 1024 + 1, 150_000, FRAME_BYTES_MAX));
  fc.assert(
    fc.property(fc.array(length, { maxLength: 12 }), fc.array(fc.integer({ min: 1, max: 60_000 }), { minLength: 1 }), (lengths, cuts) => {
      const frames = lengths.map((byteLength, index) => Buffer.alloc(byteLength, index + 1));
      const stream = Buffer.concat([...frames.map(prefixed), goodbye(), Buffer.from("after the end")]);
      const seen = nothingSeen();
      const parser = parserWith(seen);
      // The receive buffer is used again, as a socket may do.
      const chunk = Buffer.alloc(60_000);
      for (let offset = 0, turn = 0; offset < stream.byteLength; turn++) {
        const size = turn < 40 ? (cuts[turn % cuts.length] as number) % (turn % 2 === 0 ? 7 : 60_000) || 1 : 60_000;
        const copied = stream.copy(chunk, 0, offset, offset + size);
        parser.push(chunk.subarray(0, copied));
        chunk.fill(0xee);
        offset += copied;
      }
      assert.equal(seen.frames.length, frames.length);
      frames.forEach((frame, index) => assert.ok(frame.equals(seen.frames[index] as Uint8Array), `frame ${index}`));
      assert.deepEqual([seen.goodbyes, seen.malformed], [1, []]);
    }),
  );
});

test("a length beyond the limit ends the stream before anything is allocated for it", () => {
  for (const cut of [1, 2, 4, 100]) {
    const seen = nothingSeen();
    const parser = parserWith(seen);
    const stream = Buffer.concat([prefixed(Buffer.from("fine")), Buffer.from("GET / HTTP/1.1\r\n\r\n")]);
    for (let offset = 0; offset < stream.byteLength; offset += cut) parser.push(stream.subarray(offset, offset + cut));
    assert.equal(seen.frames.length, 1);
    assert.deepEqual(seen.malformed, [Buffer.from("GET ").readUInt32LE()]);
  }
});

test("large frames that are split become the receiver's own, others do not", () => {
  const seen = nothingSeen();
  const parser = parserWith(seen);
  const stream = Buffer.concat([prefixed(Buffer.alloc(100_000)), prefixed(Buffer.alloc(10)), prefixed(Buffer.alloc(10_000))]);
  for (let offset = 0; offset < stream.byteLength; offset += 50_000) parser.push(stream.subarray(offset, offset + 50_000));
  assert.deepEqual(seen.owned, [true, false, false]);
});

test("nothing is delivered after a stop from within a frame", () => {
  const seen = nothingSeen();
  const parser = parserWith(seen, (self) => self.stop());
  parser.push(Buffer.concat([prefixed(Buffer.alloc(1)), prefixed(Buffer.alloc(1)), goodbye()]));
  assert.deepEqual([seen.frames.length, seen.goodbyes], [1, 0]);
});

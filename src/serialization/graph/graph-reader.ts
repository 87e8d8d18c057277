import { Deserializer } from "node:v8";
import { readSegments } from "../values/buffer-ledger.ts";
import type { FunctionRecord, Graph, ModuleGroup, Reference, Shape, SharedScope } from "./graph-format.ts";

type Tables = [
  strings: string[],
  bigints: bigint[],
  shapes: Shape[],
  references: Reference[],
  functions?: FunctionRecord[],
  groups?: ModuleGroup[],
  scopes?: SharedScope[],
];

/** The inverse of GraphWriter.finish. */
export function readGraph(header: Uint8Array, outOfBand: readonly Uint8Array[], adoptBuffers: boolean): Graph {
  const deserializer = new Deserializer(header);
  deserializer.readHeader();
  const root = deserializer.readUint32() | 0;
  const nodeCount = deserializer.readUint32();
  const words = new Int32Array(deserializer.readUint32());
  new Uint8Array(words.buffer).set(deserializer.readRawBytes(words.byteLength));
  const doubles = new Float64Array(deserializer.readUint32());
  new Uint8Array(doubles.buffer).set(deserializer.readRawBytes(doubles.byteLength));
  const [strings, bigints, shapes, references, functions, groups, scopes] = deserializer.readValue() as Tables;
  const buffers = readSegments(deserializer, outOfBand, adoptBuffers);
  return {
    root,
    nodeCount,
    words,
    doubles,
    buffers,
    strings,
    bigints,
    shapes,
    references,
    functions: functions ?? [],
    groups: groups ?? [],
    scopes: scopes ?? [],
  };
}

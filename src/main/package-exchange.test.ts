import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { NodeKey } from "../base/mod.ts";
import type { NodeQuestion, PackagePiece } from "../protocol/mod.ts";
import { PackageExchange } from "./package-exchange.ts";

const CONTENT = Buffer.from("the whole package");
const PIECE_BYTES = 5;

/** Nodes that have it, and after how many pieces each stops to answer. */
function exchangeWith(nodes: Readonly<Record<NodeKey, number>>): { readonly exchange: PackageExchange; readonly asked: NodeQuestion[] } {
  const left = new Map(Object.entries(nodes));
  const asked: NodeQuestion[] = [];
  const answer = (node: NodeKey, offset: number | null): PackagePiece => ({ node, totalBytes: CONTENT.length, bytes: offset === null ? new Uint8Array(0) : CONTENT.subarray(offset, offset + PIECE_BYTES) });
  const exchange = new PackageExchange({
    async ask(question, node) {
      asked.push(question);
      const { offset } = question as NodeQuestion & { type: "package" };
      if (node === undefined) return [null, ...Array.from(left.keys(), (key) => answer(key, offset))];
      const pieces = left.get(node) as number;
      left.set(node, pieces - 1);
      return pieces > 0 ? [answer(node, offset)] : [];
    },
  });
  return { exchange, asked };
}

async function fetched(exchange: PackageExchange, signal = new AbortController().signal): Promise<string> {
  const pieces: Uint8Array[] = [];
  for await (const piece of exchange.fetch("name.tar", signal)) pieces.push(piece);
  return Buffer.concat(pieces).toString();
}

describe("packages of other nodes", () => {
  test("come in pieces from one that has them", async () => {
    const { exchange, asked } = exchangeWith({ a: 99, b: 99 });
    assert.equal(await fetched(exchange), String(CONTENT));
    assert.deepEqual(asked.map((question) => (question as NodeQuestion & { type: "package" }).offset), [null, 0, 5, 10, 15]);
  });

  test("go on from another one when the first has gone", async () => {
    assert.equal(await fetched(exchangeWith({ a: 0, b: 2, c: 99 }).exchange), String(CONTENT));
  });

  test("say why they cannot be had", async () => {
    await assert.rejects(fetched(exchangeWith({}).exchange), /package name\.tar could not be fetched: no node has it/);
    await assert.rejects(fetched(exchangeWith({ a: 1 }).exchange), /the nodes that have it did not answer/);
  });

  test("stop coming when nobody waits for them", async () => {
    const controller = new AbortController();
    const { exchange, asked } = exchangeWith({ a: 99 });
    const pieces = exchange.fetch("name.tar", controller.signal)[Symbol.asyncIterator]();
    await pieces.next();
    controller.abort(new Error("given up"));
    await assert.rejects(async () => pieces.next(), /given up/);
    assert.equal(asked.length, 2);
  });
});

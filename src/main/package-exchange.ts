import type { NodeKey } from "../base/mod.ts";
import type { NodeQuestion, PackagePiece } from "../protocol/mod.ts";
import type { PackageSource } from "../runtime-env/mod.ts";

export interface AskNodes {
  /** All other nodes, or one; those that do not answer in time are left out. */
  ask(question: NodeQuestion, node?: NodeKey): Promise<unknown[]>;
}

/** Packages of runtime environments that other nodes have. */
export class PackageExchange implements PackageSource {
  readonly #nodes: AskNodes;

  constructor(nodes: AskNodes) {
    this.#nodes = nodes;
  }

  async *fetch(name: string, signal: AbortSignal): AsyncIterable<Uint8Array> {
    const found = (await this.#nodes.ask({ type: "package", name, offset: null })) as (PackagePiece | null)[];
    const holders = found.filter((piece) => piece !== null);
    let offset = 0;
    for (const { node, totalBytes } of holders) {
      while (offset < totalBytes) {
        signal.throwIfAborted();
        const [piece] = (await this.#nodes.ask({ type: "package", name, offset }, node)) as (PackagePiece | null)[];
        // It has gone, or dropped it: the next goes on, since the content is the same.
        if (!piece || piece.bytes.byteLength === 0) break;
        offset += piece.bytes.byteLength;
        yield piece.bytes;
      }
      if (offset >= totalBytes) return;
    }
    const why = holders.length === 0 ? "no node has it any more; call again with the same folder" : "the nodes that have it did not answer";
    throw new Error(`its package ${name} could not be fetched: ${why}`);
  }
}

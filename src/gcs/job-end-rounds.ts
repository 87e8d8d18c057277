import type { JobId, NodeKey } from "../base/mod.ts";

interface Round {
  readonly awaited: Set<NodeKey>;
  readonly ends: Map<NodeKey, number>;
  /** Of the round before; null for none that counts. */
  before: ReadonlyMap<NodeKey, number> | null;
}

/**
 * When a program that has left has nothing on any node any more. Pure.
 *
 * The end of one worker may be that of others, on other nodes, since each ends with the owner of what it runs. So all nodes are asked in
 * rounds: each answers when nothing is left there that is known to have to go, with how many workers of the program have ended there.
 * It is over after a round in which all these counts are those of the round before: whatever had ended earlier, all nodes had heard of
 * before they were asked, as the news goes the same way as the question.
 */
export class JobEndRounds {
  readonly #rounds = new Map<JobId, Round>();

  /** All of `nodes` are to be asked. False if there is none. */
  begin(jobId: JobId, nodes: Iterable<NodeKey>): boolean {
    const awaited = new Set(nodes);
    const before = this.#rounds.get(jobId)?.ends ?? null;
    if (awaited.size === 0) this.#rounds.delete(jobId);
    else this.#rounds.set(jobId, { awaited, ends: new Map(), before });
    return awaited.size > 0;
  }

  /** `ends` null: it waits no longer. */
  answered(jobId: JobId, node: NodeKey, ends: number | null): "waits" | "again" | "over" {
    const round = this.#rounds.get(jobId);
    if (round === undefined || !round.awaited.delete(node)) return "waits";
    if (ends === null) return this.#over(jobId);
    round.ends.set(node, ends);
    return this.#next(jobId, round);
  }

  /** Its workers have ended with it. Answers with which jobs it goes on. */
  nodeLost(node: NodeKey): JobId[] {
    const again: JobId[] = [];
    for (const [jobId, round] of this.#rounds) {
      round.before = null;
      if (round.awaited.delete(node) && this.#next(jobId, round) === "again") again.push(jobId);
    }
    return again;
  }

  #next(jobId: JobId, { awaited, ends, before }: Round): "waits" | "again" | "over" {
    if (awaited.size > 0) return "waits";
    for (const [node, count] of ends) if (before?.get(node) !== count) return "again";
    return before === null ? "again" : this.#over(jobId);
  }

  #over(jobId: JobId): "over" {
    this.#rounds.delete(jobId);
    return "over";
  }
}

import assert from "node:assert/strict";
import { beforeEach, describe, test } from "node:test";
import { JobEnds } from "./job-ends.ts";
import type { Lease, PoolWorker } from "./worker-pool.ts";

const DRIVER = "aaaaaaaa000000000001";
const OTHER = "aaaaaaaa000000000002";
const turn = (): Promise<void> => new Promise((resolve) => queueMicrotask(resolve));

describe("what a program that has left still has on a node", () => {
  let workers: Pick<PoolWorker, "jobId" | "rootId" | "actorId" | "leases">[];
  let gone: Set<string>;
  let ending: { shared: boolean; bundles: boolean };
  let timers: (() => void)[];
  let answers: (number | null)[];
  let ends: JobEnds;
  beforeEach(() => {
    [workers, gone, ending, timers, answers] = [[], new Set([DRIVER]), { shared: false, bundles: false }, [], []];
    ends = new JobEnds({
      clock: { nowMs: () => 0, after: (_delayMs, callback) => { timers.push(callback); return { cancel: () => void timers.splice(timers.indexOf(callback), 1) }; } },
      workers: () => workers as PoolWorker[], isGone: (rootId) => gone.has(rootId), isSharedHost: (actorId) => actorId === "host", areSharedEnding: () => ending.shared, areBundlesEnding: () => ending.bundles,
    });
  });
  const worker = (details: { jobId?: string; rootId?: string; actorId?: string; leases?: number }): Pick<PoolWorker, "jobId" | "rootId" | "actorId" | "leases"> =>
    ({ jobId: details.jobId ?? "j", rootId: details.rootId ?? DRIVER, actorId: details.actorId ?? null, leases: new Map(Array.from({ length: details.leases ?? 0 }, (_, id) => [id, {} as Lease])) });
  const ask = async (...staying: string[]): Promise<(number | null)[]> => {
    ends.ask("j", staying, (answer) => answers.push(answer));
    await turn();
    return answers;
  };

  test("is nothing where all that is there may stay, or is another's", async () => {
    workers = [worker({}), worker({ actorId: "detached" }), worker({ actorId: "host" }), worker({ rootId: OTHER, leases: 1 }), worker({ jobId: "k", actorId: "a", leases: 1 })];
    assert.deepEqual(await ask("detached"), [0]);
    assert.deepEqual(timers, []);
  });

  test("is waited for: actors, runs for who is gone, bundles, shared actors", async () => {
    workers = [worker({ actorId: "a" }), worker({ leases: 2 })];
    ending = { shared: true, bundles: true };
    assert.deepEqual(await ask(), []);
    for (const isOver of [() => workers.shift(), () => { ending.shared = false; }, () => { ending.bundles = false; }, () => gone.delete(DRIVER)]) {
      assert.deepEqual(answers, []);
      isOver();
      ends.look();
      await turn();
    }
    assert.deepEqual(answers, [0]);
  });

  test("is answered with how many workers have ended since the first question, of this program", async () => {
    ends.workerEnded("j");
    await ask();
    for (const jobId of ["j", "k", null, "j"]) ends.workerEnded(jobId);
    assert.deepEqual(await ask(), [0, 2]);
  });

  test("is not waited for without end", async () => {
    workers = [worker({ actorId: "a" })];
    await ask();
    timers[0]?.();
    assert.deepEqual(answers, [null]);
    workers = [];
    ends.look();
    await turn();
    assert.deepEqual(answers, [null]);
  });
});

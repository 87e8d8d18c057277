import { after, before, describe } from "node:test";
import * as ray from "mantaray";

export type WorkerIsolation = "thread" | "process";
export const ISOLATIONS: readonly WorkerIsolation[] = ["thread", "process"];

/**
 * Runs a suite once with worker threads and once with worker processes, each with a runtime of its own. The suite must
 * leave nothing: every processor is free again at its end, and `shutdown` resolves.
 */
export function underBothIsolations(name: string, options: Omit<ray.InitOptions, "isolation">, suite: (isolation: WorkerIsolation) => void): void {
  for (const isolation of ISOLATIONS) {
    describe(`${name} (${isolation})`, () => {
      before(() => ray.init({ numCpus: 2, ...options, isolation }));
      after(async () => {
        await everythingFree();
        await ray.shutdown();
      });
      suite(isolation);
    });
  }
}

/** Resolves when no task holds anything any more; idle leases take a moment to come back. */
export async function everythingFree(): Promise<void> {
  const total = await ray.clusterResources();
  await eventually(`all of ${JSON.stringify(total)} to be free`, async () => {
    const available = await ray.availableResources();
    return Object.keys(total).every((resource) => available[resource] === total[resource]);
  });
}

const EVENTUALLY_MS_MAX = 20_000;
const EVENTUALLY_EVERY_MS = 10;

/** Polls until the condition holds. Only for what nothing announces; fails with `what` when it never comes. */
export async function eventually(what: string, condition: () => boolean | Promise<boolean>): Promise<void> {
  const deadlineMs = performance.now() + EVENTUALLY_MS_MAX;
  while (!(await condition())) {
    if (performance.now() > deadlineMs) throw new Error(`waited in vain for ${what}`);
    await new Promise((resolve) => setTimeout(resolve, EVENTUALLY_EVERY_MS));
  }
}

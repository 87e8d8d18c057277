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

export type ActorIsolation = WorkerIsolation | "shared";
type Remote = typeof ray.remote;

/**
 * As above, and once more with actors that share workers: `remote` makes them so, unless their options ask for what shared
 * actors cannot have.
 */
export function underEveryActorIsolation(name: string, options: Omit<ray.InitOptions, "isolation">, suite: (isolation: ActorIsolation, remote: Remote) => void): void {
  underBothIsolations(name, options, (isolation) => suite(isolation, ray.remote));
  describe(`${name} (shared)`, () => {
    before(() => ray.init({ numCpus: 2, ...options, isolation: "thread" }));
    after(async () => {
      await everythingFree();
      await ray.shutdown();
    });
    suite("shared", remoteShared);
  });
}

/** Also inside of tasks and actors, where it arrives in their closures. */
const remoteShared = ((target: ray.Class, options: ray.ActorOptions = {}) => {
  const isClass = /^class\b/.test(Function.prototype.toString.call(target));
  const needsItsOwn = options.isolation !== undefined || options.numCpus !== undefined || options.resources !== undefined;
  return ray.remote(target, !isClass || needsItsOwn ? options : { ...options, isolation: "shared" });
}) as Remote;

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

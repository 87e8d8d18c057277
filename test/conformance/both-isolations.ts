import { after, before, describe } from "node:test";
import * as ray from "mantaray";
import { startCluster, type TestCluster } from "mantaray/testing";

export type WorkerIsolation = "thread" | "process";
export const ISOLATIONS: readonly WorkerIsolation[] = ["thread", "process"];

/**
 * Runs a suite once with worker threads and once with worker processes, each with a runtime of its own. The suite must
 * leave nothing: every processor is free again at its end, and `shutdown` resolves.
 */
export function underBothIsolations(name: string, options: Omit<ray.InitOptions, "isolation">, suite: (isolation: WorkerIsolation) => void): void {
  for (const isolation of ISOLATIONS) {
    describe(`${name} (${isolation})`, () => {
      const runtime = runtimeFor({ numCpus: 2, ...options, isolation });
      before(runtime.start);
      after(runtime.stop);
      suite(isolation);
    });
  }
}

/** Suites that are run on so many nodes; 0: in the runtime of the test's own process. */
export const NODES = Number(process.env["MANTARAY_TEST_NODES"] ?? 0);

const STORE_BYTES_DEFAULT = 512 * 1024 ** 2;

/** On several nodes each of them has what the suite asks for, but the resources of its own: these the last one has. */
function runtimeFor(options: ray.InitOptions): { start(): Promise<void>; stop(): Promise<void> } {
  let cluster: TestCluster | null = null;
  return {
    start: async () => {
      if (NODES === 0) return void (await ray.init(options));
      const { numCpus = 2, numGpus = 0, resources = {}, labels = {}, objectStoreMemory = STORE_BYTES_DEFAULT, isolation = "thread", namespace } = options;
      cluster = await startCluster({ nodes: Array.from({ length: NODES }, (_, index) => ({ numCpus, numGpus, labels, objectStoreMemory, ...(index === NODES - 1 ? { resources } : {}) })) });
      await ray.init({ address: cluster.address, isolation, ...(namespace === undefined ? {} : { namespace }) });
    },
    stop: async () => {
      await everythingFree();
      await ray.shutdown();
      await cluster?.stop();
    },
  };
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
    const runtime = runtimeFor({ numCpus: 2, ...options, isolation: "thread" });
    before(runtime.start);
    after(runtime.stop);
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

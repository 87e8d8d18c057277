import assert from "node:assert/strict";
import { after, before, describe } from "node:test";
import * as ray from "mantaray";
import { startCluster, type TestCluster, type TestNodeOptions } from "mantaray/testing";

export type WorkerIsolation = "thread" | "process";
/** Both, unless one is asked for. */
export const ISOLATIONS = (["thread", "process"] as const).filter((isolation) => (process.env["MANTARAY_TEST_ISOLATION"] ?? isolation) === isolation);

/** Suites that are run on so many nodes; 0: in the runtime of the test's own process. */
export const NODES = Number(process.env["MANTARAY_TEST_NODES"] ?? 0);

/** For tests with a runtime of their own, which would be the same again where suites are run on several nodes. */
export const ISOLATIONS_ALONE: readonly WorkerIsolation[] = NODES === 0 ? ISOLATIONS : [];

/** For `skip`: on several nodes, why not there. */
export const onlyOnOneNode = (reason: string): string | false => NODES > 0 && reason;

/** Whether threads of this isolation are in the process of the test; those of node processes are not. */
export const areThreadsHere = (isolation: string): boolean => isolation !== "process" && NODES === 0;

export interface SuiteOptions extends Omit<ray.InitOptions, "isolation"> {
  /** On several nodes: one of them has all of the processors, for tasks that take them all at once. Default: two have half of them each. */
  readonly isOnOneOfThem?: boolean;
  /** Of several nodes: on them nothing has run before. Default: they may be those of the suite before. */
  readonly isOnFreshNodes?: boolean;
}

/**
 * Runs a suite once with worker threads and once with worker processes, each with a runtime of its own. The suite must
 * leave nothing: every processor is free again at its end, and `shutdown` resolves.
 */
export function underBothIsolations(name: string, options: SuiteOptions, suite: (isolation: WorkerIsolation) => void): void {
  for (const isolation of ISOLATIONS) underIsolation(`${name} (${isolation})`, options, isolation, () => suite(isolation));
}

function underIsolation(title: string, options: SuiteOptions, isolation: WorkerIsolation, suite: () => void): void {
  describe(title, () => {
    let runtime: TestRuntime;
    before(async () => { runtime = await startRuntime({ numCpus: 2, ...options, isolation }); });
    after(() => runtime.stop());
    suite();
  });
}

export interface TestRuntime {
  /** Resolves when everything is free again, and all has ended. */
  stop(): Promise<void>;
}

/** What these options say: a runtime of this process, or as much on several nodes. */
export async function startRuntime({ isOnOneOfThem = false, isOnFreshNodes = false, ...options }: SuiteOptions & Pick<ray.InitOptions, "isolation">): Promise<TestRuntime> {
  if (NODES === 0) await ray.init(options);
  else await joinCluster(options, isOnOneOfThem, isOnFreshNodes);
  return {
    stop: async () => {
      try {
        await everythingFree();
      } finally {
        await ray.shutdown();
      }
    },
  };
}

const STORE_BYTES_DEFAULT = 256 * 1024 ** 2;

/** The last one, for as long as suites want the same. */
let cluster: { readonly key: string; readonly nodes: TestCluster } | null = null;
if (NODES > 0) after(() => cluster?.nodes.stop());

async function joinCluster({ isolation = "thread", namespace, ...machine }: ray.InitOptions, isOnOneOfThem: boolean, isOnFreshNodes: boolean): Promise<void> {
  const nodes = nodesFor(machine, isOnOneOfThem);
  const key = JSON.stringify(nodes);
  if (isOnFreshNodes || cluster?.key !== key) {
    await cluster?.nodes.stop();
    cluster = null;
    cluster = { key, nodes: await startCluster({ nodes }) };
  }
  await ray.init({ address: cluster.nodes.address, isolation, ...(namespace === undefined ? {} : { namespace }) });
}

/**
 * Together they have the processors of the one machine. The first, which the program joins, has none of them, so that whatever takes one
 * runs elsewhere, and of what runs at the same time, each half. What else the suite asks for is on one node.
 */
export function nodesFor({ numCpus = 2, numGpus = 0, resources = {}, labels = {}, objectStoreMemory = STORE_BYTES_DEFAULT }: ray.InitOptions, isOnOneOfThem: boolean): TestNodeOptions[] {
  return Array.from({ length: NODES }, (_, index) => {
    const isLast = index === NODES - 1;
    const cpusOfLast = isOnOneOfThem ? numCpus : Math.floor(numCpus / 2);
    return { numCpus: isLast ? cpusOfLast : index === NODES - 2 ? numCpus - cpusOfLast : 0, numGpus: isLast ? numGpus : 0, resources: isLast ? resources : {}, labels, objectStoreMemory };
  });
}

export type ActorIsolation = WorkerIsolation | "shared";
type Remote = typeof ray.remote;

/**
 * As above, and once more with actors that share workers: `remote` makes them so, unless their options ask for what shared
 * actors cannot have.
 */
export function underEveryActorIsolation(name: string, options: SuiteOptions, suite: (isolation: ActorIsolation, remote: Remote) => void): void {
  underBothIsolations(name, options, (isolation) => suite(isolation, ray.remote));
  underIsolation(`${name} (shared)`, options, "thread", () => suite("shared", remoteShared));
}

/** Also inside of tasks and actors, where it arrives in their closures. */
const remoteShared = ((target: ray.Class, options: ray.ActorOptions = {}) => {
  const isClass = /^class\b/.test(Function.prototype.toString.call(target));
  const needsItsOwn = options.isolation !== undefined || options.numCpus !== undefined || options.resources !== undefined;
  return ray.remote(target, !isClass || needsItsOwn ? options : { ...options, isolation: "shared" });
}) as Remote;

/** Resolves when so much is free of these: word of other nodes takes a moment, and so do leases that are idle. */
export async function freeBecomes(wanted: Readonly<Record<string, number>>): Promise<void> {
  let available: Record<string, number> = {};
  const areFree = async (): Promise<boolean> => {
    available = await ray.availableResources();
    return Object.keys(wanted).every((resource) => available[resource] === wanted[resource]);
  };
  await eventually("so much to be free", areFree).catch(() => assert.deepEqual(available, wanted));
}

/** Resolves when no task holds anything any more. */
export async function everythingFree(): Promise<void> {
  await freeBecomes(await ray.clusterResources());
}

const EVENTUALLY_MS_MAX = 60_000;
const EVENTUALLY_EVERY_MS = 10;

/** Polls until the condition holds. Only for what nothing announces; fails with `what` when it never comes. */
export async function eventually(what: string, condition: () => boolean | Promise<boolean>): Promise<void> {
  const deadlineMs = performance.now() + EVENTUALLY_MS_MAX;
  while (!(await condition())) {
    if (performance.now() > deadlineMs) throw new Error(`waited in vain for ${what}`);
    await new Promise((resolve) => setTimeout(resolve, EVENTUALLY_EVERY_MS));
  }
}

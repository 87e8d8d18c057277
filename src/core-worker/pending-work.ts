import type { ObjectId, WorkerId } from "../base/mod.ts";
import type { AwaitRecord, PendingRecord, RunRecord, WorkerWaits } from "../protocol/mod.ts";
import type { ActorHost } from "./actor-host.ts";
import type { ActorManager } from "./actor-manager.ts";
import { callSiteOf, takenFrom } from "./call-sites.ts";
import type { Execution } from "./execution.ts";
import { ObjectEntry, PENDING } from "./object-entry.ts";
import type { Peers } from "./peers.ts";
import type { PlacementGroups } from "./placement-groups.ts";
import type { Awaited } from "./run-scope.ts";
import type { SchedulingQueue } from "./scheduling-queue.ts";
import type { Submission } from "./submission.ts";
import type { TaskExecutor } from "./task-executor.ts";
import { clientOf, NO_SLOT, type PendingTask } from "./task.ts";
import { RECALLED, type TaskSubmitter } from "./task-submitter.ts";
import type { TasksBetweenRuns } from "./tasks-between-runs.ts";
import { RefGenerator } from "./value-stream.ts";
import { actorKey, groupKey, taskKey } from "./wait-graph.ts";

/** Tasks and calls without an outcome that one worker tells of, of each kind of waiting. */
const PENDING_TOLD_MAX = 1_000;
/** Tasks and calls in one worker that it tells of. */
const RUNS_TOLD_MAX = 2_000;
/** Missing objects that are named of one call, or one `get`. */
const MISSING_TOLD_MAX = 16;

export interface PendingWorkSources {
  readonly workerId: WorkerId;
  readonly submission: Submission;
  readonly submitter: TaskSubmitter;
  readonly actors: ActorManager;
  readonly betweenRuns: TasksBetweenRuns;
  readonly peers: Peers;
  readonly executor: TaskExecutor;
  readonly actorHost: ActorHost;
  readonly groups: PlacementGroups;
  readonly running: ReadonlySet<Execution>;
}

/** What has no outcome yet, of this worker's own and of what it runs. Found when somebody asks: nothing is kept for it. */
export class PendingWork {
  readonly #from: PendingWorkSources;

  constructor(sources: PendingWorkSources) {
    this.#from = sources;
  }

  /** Every task and call of this worker's that has no outcome; some may come twice. */
  *[Symbol.iterator](): Iterator<PendingTask> {
    for (const tasks of this.#byKind()) yield* tasks;
  }

  #byKind(): Iterable<PendingTask>[] {
    const { submission, submitter, betweenRuns, actors } = this.#from;
    return [submission.waiting, submitter.queued(), betweenRuns, actors.waiting(), this.#sent()];
  }

  *#sent(): Iterable<PendingTask> {
    for (const peer of this.#from.peers) for (const task of peer.tasksInFlight()) if (task !== RECALLED) yield task;
  }

  /** Keys of what is pending, or of the first of it, as in `WaitGraph`: what is not among them any more after a while has made progress. */
  *sample(): Iterable<string> {
    for (const sequence of this.#told(PENDING_TOLD_MAX, null).keys()) yield taskKey(this.#from.workerId, sequence);
    for (const actorId of this.#from.actors.awaited()) yield actorKey(actorId);
    for (const groupId of this.#from.groups.awaited()) yield groupKey(groupId);
  }

  /** `objectId`: what makes it is told in any case. */
  report(objectId: ObjectId | null): WorkerWaits {
    const sites = new Map<string, string | null>();
    const pending = Array.from(this.#told(PENDING_TOLD_MAX, objectId).values(), (task) => this.#recordOf(task, sites));
    const runs: RunRecord[] = [];
    for (const [execution, isStarted] of this.#here()) if (runs.push(runRecordOf(execution, isStarted)) >= RUNS_TOLD_MAX) break;
    return { workerId: this.#from.workerId, pending, runs };
  }

  #told(countMax: number, objectId: ObjectId | null): Map<number, PendingTask> {
    const told = new Map<number, PendingTask>();
    for (const tasks of this.#byKind()) {
      let count = 0;
      for (const task of tasks) {
        if (task.isDone || (count >= countMax && (objectId === null || !entriesOf(task).some(({ id }) => id === objectId)))) continue;
        count++;
        told.set(task.sequence, task);
        if (count >= countMax && objectId === null) break;
      }
    }
    return told;
  }

  #recordOf(task: PendingTask, sites: Map<string, string | null>): PendingRecord {
    const entries = entriesOf(task);
    const site = entries[0]?.site ?? null;
    const client = task.queue === null ? clientOf(task) : null;
    const isSent = task.slot !== NO_SLOT;
    const queue = task.queue as SchedulingQueue | null;
    const first = client === null || isSent ? undefined : client.waiting.peek();
    return {
      taskSequence: task.sequence, name: task.name, callSite: site === null ? null : callSiteOf(takenFrom(site), sites),
      makes: entries.map(({ id }) => id), missing: missingIn(task.args), actorId: client?.actorId ?? null,
      workerId: isSent ? (task.lease?.workerId ?? client?.workerId ?? null) : null,
      isBetweenRuns: this.#from.betweenRuns.has(task),
      behind: first === undefined || first === task || first.unresolvedCount === 0 || task.unresolvedCount > 0 ? null : first.sequence,
      demand: isSent || queue === null ? null : { key: queue.key, resources: queue.shape.resources, groupId: queue.shape.bundle?.groupId ?? null, wasTold: queue.isToldHeldUp },
    };
  }

  /** What has arrived here, and whether it has started. */
  *#here(): Iterable<readonly [Execution, boolean]> {
    for (const execution of this.#from.running) yield [execution, true];
    for (const execution of this.#from.executor.waiting()) yield [execution, false];
    for (const execution of this.#from.actorHost.waiting()) yield [execution, false];
  }
}

function entriesOf({ entries }: PendingTask): readonly ObjectEntry[] {
  return entries === null ? [] : Array.isArray(entries) ? entries : [entries];
}

function runRecordOf(execution: Execution, isStarted: boolean): RunRecord {
  const { peer, sequence, name, actor, callable, stream, scope } = execution;
  const awaits: AwaitRecord[] = [];
  for (const one of scope?.awaited ?? []) awaits.push(awaitRecordOf(one));
  return {
    ownerId: peer.workerId, taskSequence: sequence, name, actorId: actor?.actorId ?? null, group: callable.kind === "method" ? callable.group : null,
    isStarted, isPaused: stream !== null && !stream.hasRoom, awaits,
  };
}

function awaitRecordOf(awaited: Awaited | null): AwaitRecord {
  if (awaited === null) return { missing: [], missingCount: 0, needed: 0, endsByItself: true };
  const { things, needed, endsByItself } = awaited;
  const missingCount = countOf(things, isMissing);
  return { missing: missingIn(things), missingCount, needed: Math.max(0, needed - (things.length - missingCount)), endsByItself };
}

function isMissing(thing: unknown): boolean {
  return thing instanceof ObjectEntry ? thing.status === PENDING : thing instanceof RefGenerator && !thing.isReady();
}

function missingIn(things: readonly unknown[]): ObjectId[] {
  const missing: ObjectId[] = [];
  for (const thing of things) {
    if (missing.length === MISSING_TOLD_MAX) break;
    if (!isMissing(thing)) continue;
    missing.push(thing instanceof ObjectEntry ? thing.id : (RefGenerator.endOf(thing) as ObjectEntry).id);
  }
  return missing;
}

function countOf(things: readonly unknown[], isCounted: (thing: unknown) => boolean): number {
  let count = 0;
  for (const thing of things) if (isCounted(thing)) count++;
  return count;
}

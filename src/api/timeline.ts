import { writeFile } from "node:fs/promises";
import { InvalidArgumentError } from "../base/mod.ts";
import { describe } from "../core-worker/mod.ts";
import type { ClusterStateRecord, TimelineRecord } from "../protocol/mod.ts";
import { currentRuntime } from "./runtime.ts";
import { traceEventsOf } from "./trace-events.ts";

/** A worker that is busy with one computation for longer is left out with its newest runs. */
const ANSWER_MS_MAX = 2_000;
const EVENTS_WRITTEN_AT_ONCE = 1_000;

/**
 * What has run: tasks, calls and constructions of actors that have ended, as events of Chrome's Trace Event Format, which
 * ui.perfetto.dev and chrome://tracing show. Each has the name, start, length, process and worker, and the id of the task; where code
 * or arguments had to be brought first, phases too. The newest 100,000 are kept, also of workers that have ended; how many are
 * missing stands in an event at the start.
 *
 * @param file - Where to write the events as JSON.
 * @throws InvalidArgumentError when `file` is no path; what the file system says when it cannot be written.
 */
export async function timeline(file?: string): Promise<object[]> {
  if (file !== undefined && (typeof file !== "string" || file === "")) throw new InvalidArgumentError(`timeline() takes the path of a file, but got ${describe(file)}`);
  const { requests } = currentRuntime().core;
  const { nodes } = await requests.ask<ClusterStateRecord>((requestId) => ({ type: "clusterState", requestId }));
  const record = await requests.ask<TimelineRecord>((requestId) => ({ type: "timeline", requestId, timeoutMs: ANSWER_MS_MAX }));
  const events = traceEventsOf(record, nodes[0] as ClusterStateRecord["nodes"][number]);
  if (file !== undefined) await writeFile(file, textsOf(events));
  return events;
}

/** One event a line, and not all in one text: a timeline may be longer than the longest string. */
function* textsOf(events: readonly object[]): Generator<string> {
  yield "[\n";
  for (let first = 0; first < events.length; first += EVENTS_WRITTEN_AT_ONCE) {
    const lines = events.slice(first, first + EVENTS_WRITTEN_AT_ONCE).map((event) => JSON.stringify(event));
    yield (first === 0 ? "" : ",\n") + lines.join(",\n");
  }
  yield "\n]\n";
}

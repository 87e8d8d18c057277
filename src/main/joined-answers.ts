import type { ObjectSurveyRecord, StoreListing, TimelineRecord } from "../protocol/mod.ts";

/** The answers of all nodes as one. The first is the own node's. */
export function joinedTimelines(parts: readonly TimelineRecord[]): TimelineRecord {
  return {
    reports: parts.flatMap(({ reports }) => reports),
    dropped: parts.reduce((sum, { dropped }) => sum + dropped, 0),
    unansweredWorkerIds: parts.flatMap(({ unansweredWorkerIds }) => unansweredWorkerIds),
  };
}

/** As above; at most `limit` objects, the largest. */
export function joinedSurveys(parts: readonly ObjectSurveyRecord[], limit: number): ObjectSurveyRecord {
  const [only] = parts;
  if (only !== undefined && parts.length === 1) return only;
  const stores = parts.map(({ store }) => store);
  const sum = (amount: (store: StoreListing) => number): number => stores.reduce((total, store) => total + amount(store), 0);
  return {
    store: {
      isAvailable: stores.some(({ isAvailable }) => isAvailable),
      capacityBytes: sum(({ capacityBytes }) => capacityBytes), usedBytes: sum(({ usedBytes }) => usedBytes), spilledBytes: sum(({ spilledBytes }) => spilledBytes),
      objectCount: sum(({ objectCount }) => objectCount),
      objects: stores.flatMap(({ objects }) => objects).sort((a, b) => b.byteLength - a.byteLength).slice(0, limit),
    },
    workers: parts.flatMap(({ workers }) => workers),
    unansweredWorkerIds: parts.flatMap(({ unansweredWorkerIds }) => unansweredWorkerIds),
  };
}

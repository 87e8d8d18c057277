import { listObjects, type ListObjectsOptions, type ObjectListing, type ObjectReference, type ObjectState } from "./object-listing.ts";

/** Of the objects that were made at one place. */
const OBJECTS_SHOWN_MAX = 10;

/**
 * What `listObjects` finds, as a text to read: by the place in the program that made the objects, where most memory was used first.
 *
 * @throws InvalidArgumentError for wrong options.
 */
export async function memorySummary(options: ListObjectsOptions = {}): Promise<string> {
  return summaryOf(await listObjects(options));
}

export function summaryOf({ objects, total, store, unansweredWorkers }: ObjectListing): string {
  if (!store.isAvailable) return "There is no shared memory here: values are copied between workers, and live in the memory of their owners.\n";
  const inMemory = objects.filter(({ isInMemory }) => isInMemory);
  const pinned = inMemory.filter(({ references }) => references.some(({ referenceType }) => referenceType === "PINNED_IN_MEMORY"));
  const lines = [
    `Object store: ${size(store.usedBytes)} of ${size(store.capacityBytes)} in use, ${size(store.spilledBytes)} on disk`,
    `${count(total, "object")}: ${size(bytesOf(objects))}, of it ${size(bytesOf(inMemory))} in memory, ${size(bytesOf(pinned))} of that pinned by views`,
  ];
  if (total > objects.length) lines.push(`These are sums of the ${objects.length} largest objects.`);
  for (const group of groupsOf(objects)) lines.push("", ...linesOf(group));
  if (unansweredWorkers.length > 0) lines.push("", `${count(unansweredWorkers.length, "worker")} did not answer in time, busy with one computation: ${unansweredWorkers.join(", ")}`);
  return `${lines.join("\n")}\n`;
}

interface Group {
  readonly title: string;
  readonly objects: readonly ObjectState[];
}

function groupsOf(objects: readonly ObjectState[]): Group[] {
  const byTitle = new Map<string, ObjectState[]>();
  for (const object of objects) {
    const title = titleOf(object);
    const group = byTitle.get(title);
    if (group === undefined) byTitle.set(title, [object]);
    else group.push(object);
  }
  return Array.from(byTitle, ([title, ofTitle]) => ({ title, objects: ofTitle })).sort((a, b) => bytesOf(b.objects) - bytesOf(a.objects));
}

function titleOf({ createdBy, callSite }: ObjectState): string {
  if (createdBy === undefined) return "made at a place that nobody told";
  return callSite === undefined ? createdBy : `${createdBy} at ${callSite}`;
}

function linesOf({ title, objects }: Group): string[] {
  const shown = objects.slice(0, OBJECTS_SHOWN_MAX);
  const hidden = objects.slice(OBJECTS_SHOWN_MAX);
  const lines = [`${size(bytesOf(objects))} in ${count(objects.length, "object")}: ${title}`];
  for (const object of shown) {
    lines.push(`  ${size(object.objectSize)}  ${placeOf(object)}  ${object.objectId ?? "(without a ref)"}`);
    for (const reference of object.references) lines.push(`    ${reference.referenceType} in ${holderOf(reference)}`);
  }
  if (hidden.length > 0) lines.push(`  and ${count(hidden.length, "more object")}, ${size(bytesOf(hidden))}`);
  return lines;
}

function placeOf({ isInMemory, isSpilled, isFreed, isCopy }: ObjectState): string {
  const place = [...(isInMemory ? ["in memory"] : []), ...(isSpilled ? ["on disk"] : [])].join(" and ");
  if (isCopy) return `copy ${place}`;
  return isFreed ? `${place}, freed` : place;
}

function holderOf({ workerId, pid, type, actorClassName }: ObjectReference): string {
  if (pid === undefined) return `worker ${workerId}`;
  return `${actorClassName ?? (type === "DRIVER" ? "the driver" : "a worker")} (${type === "DRIVER" ? "" : `worker ${workerId}, `}pid ${pid})`;
}

function bytesOf(objects: readonly ObjectState[]): number {
  return objects.reduce((sum, { objectSize }) => sum + objectSize, 0);
}

const UNITS = ["B", "KB", "MB", "GB", "TB"];

function size(bytes: number): string {
  let value = bytes;
  let unit = 0;
  for (; value >= 1024 && unit < UNITS.length - 1; unit++) value /= 1024;
  return `${unit === 0 ? value : value.toFixed(1)} ${UNITS[unit]}`;
}

function count(number: number, what: string): string {
  return `${number} ${what}${number === 1 ? "" : "s"}`;
}

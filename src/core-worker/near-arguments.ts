import type { NodeKey } from "../base/mod.ts";
import type { ArgumentRecord, EncodedValueRecord, LeaseShape, StoredRecord } from "../protocol/mod.ts";
import { ENCODED, ObjectEntry } from "./object-entry.ts";
import type { SchedulingQueue } from "./scheduling-queue.ts";
import { type CallTemplate, EncodedArg, type PendingTask } from "./task.ts";

/** Arguments with fewer bytes in all are fetched by the task that needs them: to give it a lease of its own would take as long. */
const FETCHED_BEFORE_BYTES_MIN = 1024 ** 2;

/**
 * On several nodes: tasks with large arguments go to the node that has most of them, if that has room. Where any are to be fetched, the
 * node does that before it gives a lease for the task: tasks for such leases are in queues of their own (`ArgumentsRecord`).
 */
export class NearArguments {
  readonly #ownNode: NodeKey;
  readonly #queueFor: (shape: LeaseShape) => SchedulingQueue;
  readonly #templates = new WeakMap<CallTemplate, Map<string, CallTemplate>>();

  constructor(ownNode: NodeKey, queueFor: (shape: LeaseShape) => SchedulingQueue) {
    this.#ownNode = ownNode;
    this.#queueFor = queueFor;
  }

  /** Its arguments are there. Whoever says where it should run is not overruled. */
  direct(task: PendingTask): void {
    const bytes = bytesByNode(task.args);
    if (bytes === null) return;
    const { shape } = task.template.queue as SchedulingQueue;
    // It is sent again; or its resources are set aside for it and others of its placement group, and nobody else could use them meanwhile.
    if (shape.near !== undefined || shape.arguments !== undefined || shape.bundle !== null) return;
    const near = shape.strategy === null ? this.#nodeWithMost(bytes) : null;
    let total = 0;
    for (const count of bytes.values()) total += count;
    if (total >= FETCHED_BEFORE_BYTES_MIN) task.template = this.#withArguments(task.template, shape, near, near !== null && bytes.size === 1);
    else if (near !== null && near !== this.#ownNode) task.template = this.#variant(task.template, near, { ...shape, near });
  }

  /** The own node if it has as many as any. */
  #nodeWithMost(bytes: ReadonlyMap<NodeKey, number>): NodeKey {
    let most = this.#ownNode;
    for (const [node, count] of bytes) if (count > (bytes.get(most) ?? 0)) most = node;
    return most;
  }

  #withArguments(template: CallTemplate, shape: LeaseShape, near: NodeKey | null, areNear: boolean): CallTemplate {
    return this.#variant(template, `${near ?? ""} ${areNear}`, { ...shape, ...(near === null ? {} : { near }), arguments: { type: "unnamed", areNear } });
  }

  #variant(template: CallTemplate, name: string, shape: LeaseShape): CallTemplate {
    let variants = this.#templates.get(template);
    if (variants === undefined) this.#templates.set(template, (variants = new Map()));
    let variant = variants.get(name);
    if (variant === undefined) variants.set(name, (variant = { ...template, queue: this.#queueFor(shape) }));
    return variant;
  }
}

function bytesByNode(args: readonly unknown[]): Map<NodeKey, number> | null {
  let bytes: Map<NodeKey, number> | null = null;
  for (const arg of args) {
    const stored = storedOf(arg);
    if (stored !== undefined) (bytes ??= new Map()).set(stored.node, (bytes.get(stored.node) ?? 0) + stored.byteLength);
  }
  return bytes;
}

/** Those that lie in the object store of a node, each once. */
export function namedArguments(args: readonly unknown[]): ArgumentRecord[] {
  const named = new Map<string, ArgumentRecord>();
  for (const arg of args) {
    const stored = storedOf(arg);
    if (stored !== undefined) named.set(`${stored.node}/${stored.id}`, { node: stored.node, id: stored.id, byteLength: stored.byteLength });
  }
  return [...named.values()];
}

function storedOf(arg: unknown): StoredRecord | undefined {
  if (arg instanceof EncodedArg) return arg.value.stored;
  return arg instanceof ObjectEntry && arg.status === ENCODED ? (arg.content as EncodedValueRecord).stored : undefined;
}

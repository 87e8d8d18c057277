import type { NodeKey } from "../base/mod.ts";
import type { EncodedValueRecord, LeaseShape } from "../protocol/mod.ts";
import { ENCODED, ObjectEntry } from "./object-entry.ts";
import type { SchedulingQueue } from "./scheduling-queue.ts";
import { type CallTemplate, EncodedArg, type PendingTask } from "./task.ts";

/** On several nodes: tasks whose large arguments lie on another than this one are wanted there, if there is room. */
export class NearArguments {
  readonly #ownNode: NodeKey;
  readonly #queueFor: (shape: LeaseShape) => SchedulingQueue;
  readonly #templates = new WeakMap<CallTemplate, Map<NodeKey, CallTemplate>>();

  constructor(ownNode: NodeKey, queueFor: (shape: LeaseShape) => SchedulingQueue) {
    this.#ownNode = ownNode;
    this.#queueFor = queueFor;
  }

  /** Its arguments are there. Whoever says where it should run is not overruled. */
  direct(task: PendingTask): void {
    const { template } = task;
    const { shape } = template.queue as SchedulingQueue;
    if (shape.strategy !== null || shape.bundle !== null || shape.near !== undefined) return;
    const node = this.#nodeWithMost(task.args);
    if (node !== null && node !== this.#ownNode) task.template = this.#near(template, shape, node);
  }

  /** Where most bytes of them lie; the own node if it has as many. */
  #nodeWithMost(args: readonly unknown[]): NodeKey | null {
    let bytes: Map<NodeKey, number> | null = null;
    for (const arg of args) {
      const stored = arg instanceof EncodedArg ? arg.value.stored : arg instanceof ObjectEntry && arg.status === ENCODED ? (arg.content as EncodedValueRecord).stored : undefined;
      if (stored !== undefined) (bytes ??= new Map()).set(stored.node, (bytes.get(stored.node) ?? 0) + stored.byteLength);
    }
    if (bytes === null) return null;
    let most = this.#ownNode;
    for (const [node, count] of bytes) if (count > (bytes.get(most) ?? 0)) most = node;
    return most;
  }

  #near(template: CallTemplate, shape: LeaseShape, node: NodeKey): CallTemplate {
    let byNode = this.#templates.get(template);
    if (byNode === undefined) this.#templates.set(template, (byNode = new Map()));
    let near = byNode.get(node);
    if (near === undefined) byNode.set(node, (near = { ...template, queue: this.#queueFor({ ...shape, near: node }) }));
    return near;
  }
}

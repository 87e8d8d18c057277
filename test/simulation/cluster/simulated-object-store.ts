import { nodeKeyOf, type NodeKey, type SystemErrorRecord, type WorkerId } from "../../../src/base/mod.ts";
import type { HandedObject } from "../../../src/object-store/mod.ts";
import { nodeLostRecord } from "../../../src/object-store/pull-instructions.ts";
import type { ArgumentRecord, EncodedValueRecord, FromNode, HandOverRefusal, StoredRecord, RoomWaitRecord, StoreListing, ToStore } from "../../../src/protocol/mod.ts";
import type { SimulatedProcess } from "../world/simulated-process.ts";
import type { SimulatedDisk } from "./simulated-disk.ts";

/** Results of a worker that has ended wait so long for the message that tells their owners. */
const ADOPTION_MS_MAX = 10_000;
/** As in the real store. */
const UNREACHABLE_MS_MAX = 30_000;
/** Of a copy between two machines. */
const COPY_STEP_BYTES = 1_024;
const COPY_STEP_MS = 0.01;

export interface ObjectParts {
  readonly header: Uint8Array;
  readonly buffers: readonly Uint8Array[];
}

interface KeptObject {
  readonly parts: ObjectParts;
  readonly byteLength: number;
  readonly producerId: WorkerId;
  ownerId: WorkerId | null;
  isAdopted: boolean;
  isOnDisk: boolean;
}

type EndReason = "freed" | "ownerDied" | "damaged";

export interface ObjectStoreSetting {
  readonly process: SimulatedProcess;
  readonly node: NodeKey;
  readonly capacityBytes: number;
  /** Null: what finds no room in memory finds none. */
  readonly disk: SimulatedDisk | null;
  /** Of another node; undefined if there is none any more. */
  storeOf(node: NodeKey): SimulatedObjectStore | undefined;
  /** When a message that is sent now arrives there. */
  arrivalMs(to: SimulatedProcess): number;
  send(workerId: WorkerId, message: FromNode): void;
  /** An object of a node that drains is here. */
  taken(): void;
}

/**
 * The object store of one machine, as whoever uses it sees it: objects in the order of their lives (made, adopted, read, freed), copies
 * brought from other nodes, room that may be full, a disk that may fail. What the real one does inside has simulations of its own beside it.
 */
export class SimulatedObjectStore {
  readonly #setting: ObjectStoreSetting;
  readonly #objects = new Map<number, KeptObject>();
  readonly #ended = new Map<number, EndReason>();
  /** What owners said before the object was known. */
  readonly #lostNodes = new Map<NodeKey, string>();
  readonly #pulls = new Map<NodeKey, Set<(reason: string) => void>>();
  #usedBytes = 0;
  #nextId = 1;

  constructor(setting: ObjectStoreSetting) {
    this.#setting = setting;
  }

  get process(): SimulatedProcess {
    return this.#setting.process;
  }

  get objectCount(): number {
    return this.#objects.size;
  }

  get fileCount(): number {
    return this.#setting.disk?.fileCount ?? 0;
  }

  /** By a worker of this machine; if there is no room: what is full. */
  make(producerId: WorkerId, ownerId: WorkerId, { header, buffers }: EncodedValueRecord, byteLength: number): StoredRecord | "memory" | "disk" {
    if (!this.#makeRoom(byteLength)) return this.#setting.disk === null || byteLength > this.#setting.capacityBytes ? "memory" : "disk";
    return this.#add({ header, buffers }, byteLength, producerId, ownerId);
  }

  #add({ header, buffers }: ObjectParts, byteLength: number, producerId: WorkerId, ownerId: WorkerId): StoredRecord {
    const id = this.#nextId++;
    this.#usedBytes += byteLength;
    this.#objects.set(id, { parts: { header: header.slice(), buffers: buffers.map((buffer) => buffer.slice()) }, byteLength, producerId, ownerId, isAdopted: producerId === ownerId, isOnDisk: false });
    return { node: this.#setting.node, id, row: id, byteLength };
  }

  /** The oldest go to disk. Whoever needs the room waits for that. */
  #makeRoom(byteLength: number): boolean {
    const { capacityBytes, disk } = this.#setting;
    if (disk === null || byteLength > capacityBytes) return this.#usedBytes + byteLength <= capacityBytes;
    for (const [id, object] of this.#objects) {
      if (this.#usedBytes + byteLength <= capacityBytes) break;
      if (object.isOnDisk || !object.isAdopted) continue;
      this.process.world.current?.spend(disk.accessMs());
      if (!disk.write(id, object.byteLength)) break;
      object.isOnDisk = true;
      this.#usedBytes -= object.byteLength;
    }
    return this.#usedBytes + byteLength <= capacityBytes;
  }

  /** From memory, as workers of this machine do. */
  read(id: number): ObjectParts | undefined {
    const object = this.#objects.get(id);
    return object?.isOnDisk === false ? object.parts : undefined;
  }

  /** From memory or disk. */
  #fetch(id: number, answer: (parts: ObjectParts | null, error: SystemErrorRecord | null) => void): void {
    const { disk } = this.#setting;
    const parts = this.read(id);
    if (parts !== undefined) return answer(parts, null);
    if (disk === null || !this.#objects.has(id)) return answer(null, this.#lossOf(id));
    this.process.world.schedule(this.process, disk.accessMs(), "disk read", () => {
      const object = this.#objects.get(id);
      if (object === undefined) return answer(null, this.#lossOf(id));
      const found = object.isOnDisk ? disk.read() : "intact";
      if (found === "intact") return answer(object.parts, null);
      if (found === "unreadable") return answer(null, { kind: "ObjectLostError", message: "the copy of this object on the simulated disk could not be read now", subjectId: String(id) });
      this.#end(id, "damaged");
      answer(null, this.#lossOf(id));
    });
  }

  onMessage(workerId: WorkerId, message: ToStore): void {
    switch (message.type) {
      case "storeAdopted":
        return this.#adopted(workerId, message.id);
      case "storeFreed":
        return this.#end(message.id, "freed");
      case "storeFetch":
        return this.#fetch(message.id, (result, error) => this.#setting.send(workerId, { type: "reply", requestId: message.requestId, result, error }));
      default:
        return undefined;
    }
  }

  #adopted(ownerId: WorkerId, id: number): void {
    const object = this.#objects.get(id);
    if (object === undefined) return;
    object.ownerId = ownerId;
    object.isAdopted = true;
  }

  #end(id: number, reason: EndReason): void {
    const object = this.#objects.get(id);
    if (object === undefined) return;
    this.#objects.delete(id);
    if (object.isOnDisk) this.#setting.disk?.remove(id);
    else this.#usedBytes -= object.byteLength;
    this.#ended.set(id, reason);
  }

  #lossOf(id: number): SystemErrorRecord {
    if (this.#ended.get(id) === "damaged") return { kind: "ObjectLostError", message: "the copy of this object on the simulated disk is damaged or gone", subjectId: String(id) };
    if (this.#ended.get(id) === "ownerDied") return { kind: "OwnerDiedError", message: "the worker that owned this object has ended, and the object with it", subjectId: String(id) };
    return { kind: "ObjectFreedError", message: "this object was freed: no reference to it was counted any more", subjectId: String(id) };
  }

  workerLost(workerId: WorkerId): void {
    const orphans: number[] = [];
    for (const [id, { ownerId, producerId, isAdopted }] of this.#objects) {
      if (ownerId === workerId) this.#end(id, "ownerDied");
      else if (producerId === workerId && !isAdopted) orphans.push(id);
    }
    if (orphans.length === 0) return;
    this.process.clock.after(ADOPTION_MS_MAX, () => {
      for (const id of orphans) if (this.#objects.get(id)?.isAdopted === false) this.#end(id, "freed");
    });
  }

  nodeLost(node: NodeKey, reason: string): void {
    this.#lostNodes.set(node, reason);
    for (const [id, { ownerId }] of this.#objects) if (ownerId !== null && nodeKeyOf(ownerId) === node) this.#end(id, "ownerDied");
    const pulls = this.#pulls.get(node);
    this.#pulls.delete(node);
    for (const fail of pulls ?? []) fail(reason);
  }

  /** A worker here wants an object of another node: it is copied. */
  onPull(workerId: WorkerId, message: ToStore & { readonly type: "storePull" }): void {
    this.#copy(message, (result, error) => this.#setting.send(workerId, { type: "reply", requestId: message.requestId, result, error }));
  }

  /** For tasks that are to come here. It takes its time, and is not kept: whoever reads it has it copied again. */
  fetch(object: ArgumentRecord, signal: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      signal.addEventListener("abort", () => reject(signal.reason as Error));
      this.#copy(object, (_parts, error) => {
        if (error === null) resolve();
        else reject(new Error(error.message));
      });
    });
  }

  #copy({ node, id, byteLength }: ArgumentRecord, answer: (parts: ObjectParts | null, error: SystemErrorRecord | null) => void): void {
    const other = this.#setting.storeOf(node);
    const lost = this.#lostNodes.get(node);
    if (lost !== undefined) return answer(null, nodeLostRecord(id, lost));
    const pulls = this.#pulls.get(node) ?? new Set();
    this.#pulls.set(node, pulls);
    const failed = (reason: string): void => answer(null, nodeLostRecord(id, reason));
    pulls.add(failed);
    const { world, clock } = this.process;
    // A node of which nobody has said yet that it is gone does not answer.
    if (other === undefined) {
      clock.after(UNREACHABLE_MS_MAX, () => { if (pulls.delete(failed)) failed("could not be reached"); });
      return;
    }
    world.schedule(other.process, this.#setting.arrivalMs(other.process) - clock.nowMs(), "object asked for", () => {
      other.#fetch(id, (parts, error) => {
        const delayMs = other.#setting.arrivalMs(this.process) - other.process.clock.nowMs() + Math.round(byteLength / COPY_STEP_BYTES) * COPY_STEP_MS;
        world.schedule(this.process, delayMs, "object copied", () => {
          if (pulls.delete(failed)) answer(parts, error);
        });
      });
    });
  }

  /** Those of owners on other nodes. */
  objectsOfOthers(): HandedObject[] {
    const primaries = Array.from(this.#objects, ([id, { byteLength, ownerId, isAdopted }]) => ({ id, byteLength, ownerId, isAdopted }));
    return primaries.filter(({ ownerId }) => ownerId === null || nodeKeyOf(ownerId) !== this.#setting.node);
  }

  /** It is copied, and its owner's from now on. */
  keep({ node, id, byteLength }: ArgumentRecord, ownerId: WorkerId): Promise<StoredRecord | HandOverRefusal> {
    return new Promise((resolve) => this.#copy({ node, id, byteLength }, (parts) => {
      if (parts === null) return resolve("failed");
      if (!this.#makeRoom(byteLength)) return resolve("full");
      this.#setting.taken();
      resolve(this.#add(parts, byteLength, this.#setting.node, ownerId));
    }));
  }

  /** The answer comes all the same. */
  onPrefetch(): void {}

  pullCancelled(): void {}

  /** There is always room. */
  roomWaits(): RoomWaitRecord[] {
    return [];
  }

  list(): StoreListing {
    const { capacityBytes } = this.#setting;
    return { isAvailable: true, capacityBytes, usedBytes: this.#usedBytes, spilledBytes: 0, objectCount: this.#objects.size, objects: [] };
  }
}

import { closeSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { nodeKeyOf, OutOfDiskError, type Clock, type NodeKey, type SystemErrorRecord, type Timer, type WorkerId } from "../base/mod.ts";
import type { FromNode, RoomWaitRecord, StoreListing, ToStore } from "../protocol/mod.ts";
import { ArenaState, PAGE_BYTES } from "./arena-state.ts";
import { loadNativeMemory, type NativeMemory } from "./native-memory.ts";
import { makeOwnedFolder, removeStaleFolders, SHARED_MEMORY_ROOT } from "./owned-folders.ts";
import { chooseArenaFolder, createSegmentFile } from "./segment-files.ts";
import { RoomWaits } from "./room-waits.ts";
import { SpillDamagedError, SpillFiles, type SpillFileSystem } from "./spill-files.ts";
import { controlPath, type StoreConfig } from "./store-config.ts";
import { ANSWER_GRANTED, SEGMENTS_MAX, StoreControl } from "./store-control.ts";
import { StoreDoor } from "./store-door.ts";
import { NodeObjects } from "./node-objects.ts";
import type { LossReason } from "./store-instructions.ts";
import { StoreState } from "./store-state.ts";
import type { HandedObject } from "./stored-object.ts";

/** One view must cover a segment, and a view beyond 4 GiB ends Node 20. */
const SEGMENT_BYTES_MAX = 2 * 1024 ** 3;
/** Memory is reserved from the file system in such steps, so that none is lacking when somebody writes. */
const RESERVE_STEP_BYTES = 16 * 1024 ** 2;
/** One row of the table for so many bytes of capacity: objects are larger, see INLINE_BYTES_MAX. */
const BYTES_PER_ROW = 64 * 1024;
const ROWS_MIN = 1024;
const ROWS_MAX = 1 << 18;
/** Of the space that the file system has; the rest is for others. */
const SPACE_FRACTION_MAX = 0.95;
/** Workers that were asked to collect garbage and are busy do not hold up others for longer. */
const COLLECT_MS_MAX = 50;
/** While somebody waits and all is being looked at, workers are asked so often whether that is still so. */
const COLLECT_AGAIN_MS = 250;
/** An object is brought back from disk within this time, or whoever waits is told that the store is full. */
const RESTORE_MS_MAX = 10_000;
/** Results of a worker that has ended wait so long for the message that tells their owners. */
const ADOPTION_MS_MAX = 10_000;

export interface StoreServiceEnvironment {
  readonly clock: Clock;
  readonly config: StoreConfig;
  readonly door: SharedArrayBuffer;
  readonly pid: number;
  readonly node: NodeKey;
  /** The driver in this process, which may keep views when all else has ended; null if there is none. */
  readonly driverId: WorkerId | null;
  send(workerId: WorkerId, message: FromNode): void;
  /** Said once to the driver. */
  warn(message: string): void;
  /** Node's own unless a test says otherwise. */
  readonly spillFileSystem?: SpillFileSystem;
}

interface Running {
  readonly native: NativeMemory;
  readonly folder: string;
  readonly controlAddress: bigint;
  readonly controlBytes: number;
  readonly control: StoreControl;
  readonly state: StoreState;
  readonly segments: readonly Segment[];
  readonly spill: SpillFiles;
}

interface Segment {
  readonly descriptor: number;
  readonly address: bigint;
  readonly byteLength: number;
  reservedBytes: number;
  /** All of it, made when the service itself first reads or writes there. One view: V8 collects garbage for each that is made. */
  bytes: Uint8Array | null;
}

/** The object store of one machine: carries out what StoreState says. Starts with the first worker that needs it. */
export class StoreService {
  readonly #env: StoreServiceEnvironment;
  #running: Running | null = null;
  #nodeId: WorkerId | null = null;
  #nodeObjects: NodeObjects | null = null;
  #hasFailed = false;
  readonly #timers = new Set<Timer>();
  readonly #roomWaits = new RoomWaits();
  #collectTimer: Timer | null = null;
  #collectAgainTimer: Timer | null = null;

  constructor(environment: StoreServiceEnvironment) {
    this.#env = environment;
  }

  onMessage(workerId: WorkerId, message: ToStore): void {
    if (message.type === "storeAttach") return this.#attach(workerId, message.nonce);
    const running = this.#running;
    if (running === null) {
      if ("requestId" in message) this.#reply(workerId, message.requestId, null, lossOf(0, "freed"));
      return;
    }
    const { state } = running;
    switch (message.type) {
      case "storeRequest":
        if (message.mayWait) this.#roomWaits.begin(workerId, message.pages, message.origin, this.#env.clock.nowMs());
        state.request(workerId, message.sequence, message.pages, message.count, message.mayWait);
        break;
      case "storeRequestCancelled":
        this.#roomWaits.end(workerId);
        state.requestCancelled(workerId, message.sequence);
        break;
      case "storeSealed":
        state.sealed(workerId, message.row, message.id, message.byteLength, message.ownerId);
        break;
      case "storeAdopted":
        state.adopted(workerId, message.id);
        break;
      case "storeFreed":
        state.freed(workerId, message.id, message.isReused);
        break;
      case "storeUnpinned":
        state.unpinned(message.row);
        break;
      case "storeFetch":
        state.fetch(workerId, message.requestId, message.id);
        break;
      case "storeRead":
        this.#read(running, workerId, message.requestId, message.id);
        break;
      case "storeCollected":
        state.collected(workerId);
        break;
    }
    this.#carryOut(running);
  }

  /** All workers of a node that is gone: what they own here ends. */
  ownersLost(isLost: (ownerId: WorkerId) => boolean): void {
    const owners = new Set(this.list(Infinity).objects.map(({ ownerId }) => ownerId));
    for (const ownerId of owners) if (ownerId !== null && isLost(ownerId)) this.workerLost(ownerId);
  }

  workerLost(workerId: WorkerId): void {
    const running = this.#running;
    if (running === null) return;
    const slot = running.state.slots.of(workerId);
    if (slot !== undefined) running.control.clearSlot(slot);
    running.state.workerLost(workerId);
    this.#roomWaits.end(workerId);
    this.#carryOut(running);
  }

  /** The primary copies, in memory or on disk, of owners on other nodes; also those of which their makers have not said yet whose they are. */
  objectsOfOthers(): HandedObject[] {
    return this.#running === null ? [] : this.#running.state.primaries().filter(({ ownerId }) => ownerId === null || nodeKeyOf(ownerId) !== this.#env.node);
  }

  /** Who waits for room now. */
  roomWaits(): RoomWaitRecord[] {
    return this.#running === null ? [] : this.#roomWaits.list(this.#env.clock.nowMs(), this.#running.state.usage());
  }

  // ------------------------------------------------------------------ start

  #attach(workerId: WorkerId, nonce: number | null): void {
    const running = (this.#running ??= this.#start());
    if (running === null) return;
    if (nonce === null) return this.#withoutMemory(running, workerId);
    const slot = running.state.slots.attach(workerId);
    if (slot === undefined) running.control.refuseSlot(nonce);
    else running.control.assignSlot(slot, nonce);
    running.native.wake(running.controlAddress + BigInt(StoreControl.attachWordOffset));
  }

  /** It cannot see the memory after all, and has used nothing of it: from now on it gets copies. */
  #withoutMemory({ state, control }: Running, workerId: WorkerId): void {
    const slot = state.slots.of(workerId);
    if (slot === undefined) return;
    control.clearSlot(slot);
    state.slots.release(workerId, slot);
  }

  #start(): Running | null {
    if (this.#hasFailed) return null;
    const { config } = this.#env;
    makeOwnedFolder(config.sessionDir);
    try {
      const loaded = loadNativeMemory();
      if (loaded.memory === null) throw new Error(loaded.reason);
      return this.#open(loaded.memory);
    } catch (error) {
      this.#hasFailed = true;
      this.#env.warn(`large objects are copied between workers: ${(error as Error).message}`);
      this.#publish(StoreControl.unavailable());
      new StoreDoor(this.#env.door).noStore();
      return null;
    }
  }

  #open(native: NativeMemory): Running {
    const { config } = this.#env;
    const spillsElsewhere = dirname(config.spillFolder) !== config.sessionDir;
    if (spillsElsewhere) makeOwnedFolder(config.spillFolder);
    removeStaleFolders([SHARED_MEMORY_ROOT, dirname(config.sessionDir), ...(spillsElsewhere ? [dirname(config.spillFolder)] : [])]);
    const { folder, note, bytesAvailable } = chooseArenaFolder(config.sessionName, config.sessionDir, config.capacityBytes);
    const capacityPages = Math.floor(Math.min(config.capacityBytes, bytesAvailable * SPACE_FRACTION_MAX) / PAGE_BYTES);
    if (note !== null) this.#env.warn(note);
    const arena = new ArenaState({ capacityPages, segmentPagesMax: SEGMENT_BYTES_MAX / PAGE_BYTES });
    const segments: Segment[] = [];
    for (let pagesLeft = capacityPages; pagesLeft > 0 && segments.length < SEGMENTS_MAX; pagesLeft -= SEGMENT_BYTES_MAX / PAGE_BYTES) {
      const byteLength = Math.min(pagesLeft * PAGE_BYTES, SEGMENT_BYTES_MAX);
      const descriptor = createSegmentFile(join(folder, `segment-${segments.length}`), byteLength);
      segments.push({ descriptor, address: native.map(descriptor, byteLength), byteLength, reservedBytes: 0, bytes: null });
    }
    const rows = Math.min(Math.max(Math.ceil(config.capacityBytes / BYTES_PER_ROW), ROWS_MIN), ROWS_MAX);
    const controlBytes = StoreControl.bytesFor(rows);
    const unfinished = `${controlPath(config)}.unfinished`;
    rmSync(unfinished, { force: true });
    const descriptor = createSegmentFile(unfinished, controlBytes);
    // A write to a page for which a full disk has no room would end the process.
    if (!native.reserve(descriptor, 0, controlBytes)) throw new Error(`there is no room for ${controlBytes} bytes in ${config.sessionDir}`);
    const controlAddress = native.map(descriptor, controlBytes);
    closeSync(descriptor);
    const control = new StoreControl(native.view(controlAddress, controlBytes));
    control.describe({ servicePid: this.#env.pid, capacityPages, segmentPages: segments.map(({ byteLength }) => byteLength / PAGE_BYTES), addresses: segments.map(({ address }) => address), folder });
    renameSync(unfinished, controlPath(config));
    new StoreDoor(this.#env.door).open(controlAddress, controlBytes);
    const state = new StoreState(arena, control.table, (segment, pages) => reserve(native, segments[segment] as Segment, pages * PAGE_BYTES) / PAGE_BYTES);
    return { native, folder, controlAddress, controlBytes, control, state, segments, spill: new SpillFiles({ folder: config.spillFolder, fileSystem: this.#env.spillFileSystem }) };
  }

  #publish(contents: Uint8Array): void {
    const path = controlPath(this.#env.config);
    writeFileSync(`${path}.unfinished`, contents, { mode: 0o600 });
    renameSync(`${path}.unfinished`, path);
  }

  // ------------------------------------------------------------------ what the state says

  #carryOut(running: Running): void {
    if (this.#running !== running) return;
    const { state, control } = running;
    for (let instructions = state.takeInstructions(); instructions.length > 0; instructions = state.takeInstructions()) {
      for (const instruction of instructions) {
        switch (instruction.type) {
          case "answer": {
            const { slot, sequence, answer, rows } = instruction;
            const answeredId = state.slots.holders[slot];
            if (answeredId != null) this.#roomWaits.end(answeredId);
            if (!control.respond(slot, sequence, answer, rows) && answer === ANSWER_GRANTED) state.answerRefused(rows);
            running.native.wake(running.controlAddress + BigInt(StoreControl.answerWordOffset(slot)));
            break;
          }
          case "fetched":
            if (instruction.workerId === this.#nodeId) this.#nodeObjects?.fetched(instruction.requestId, instruction.row);
            else this.#reply(instruction.workerId, instruction.requestId, instruction.row, null);
            break;
          case "fetchFailed": {
            const loss = lossOf(instruction.id, instruction.reason);
            if (instruction.workerId === this.#nodeId) this.#nodeObjects?.fetchFailed(instruction.requestId, loss);
            else this.#reply(instruction.workerId, instruction.requestId, null, loss);
            break;
          }
          case "copyRefused":
            this.#nodeObjects?.copyRefused(instruction.id, lossOf(instruction.id, instruction.reason));
            break;
          case "copyDropped":
            this.#nodeObjects?.copyDropped(instruction.id);
            break;
          case "watchedGone":
            this.#nodeObjects?.gone(instruction.id, lossOf(instruction.id, instruction.reason));
            break;
          case "spill":
            void this.#spill(running, instruction.objects);
            break;
          case "restore":
            if (this.#nodeObjects?.isRoomForCopy(instruction.id, instruction.row) !== true) void this.#restore(running, instruction.id, instruction.row);
            break;
          case "expectRoom":
            this.#after(RESTORE_MS_MAX, () => { state.roomExpired(instruction.id, instruction.attempt); this.#carryOut(running); });
            break;
          case "forgetSpilled":
            running.spill.forget(String(instruction.id));
            break;
          case "collect":
            for (const workerId of instruction.workerIds) {
              if (workerId === this.#nodeId) state.collected(workerId);
              else this.#env.send(workerId, { type: "storeCollect" });
            }
            this.#cancelTimer(this.#collectTimer);
            this.#collectTimer = this.#after(COLLECT_MS_MAX, () => { state.collectionExpired(); this.#carryOut(running); });
            break;
          case "collectLater":
            if (this.#collectAgainTimer !== null) break;
            this.#collectAgainTimer = this.#after(COLLECT_AGAIN_MS, () => {
              this.#collectAgainTimer = null;
              state.collectAgain();
              this.#carryOut(running);
            });
            break;
          case "expectAdoption":
            this.#after(ADOPTION_MS_MAX, () => { state.adoptionExpired(instruction.producerId); this.#carryOut(running); });
            break;
        }
      }
    }
    control.setPressed(state.isPressed);
    control.noteProgress(state.progress, state.isSpilling);
    const { usedPages, capacityPages } = state.usage();
    control.noteUsage(usedPages, capacityPages);
    this.#nodeObjects?.flush();
  }

  /** For the node itself, under this name; always the same. */
  objectsOfNode(nodeId: WorkerId): NodeObjects {
    this.#nodeId = nodeId;
    return (this.#nodeObjects ??= new NodeObjects({
      nodeId, capacityBytes: this.#env.config.capacityBytes,
      running: () => {
        const running = (this.#running ??= this.#start());
        if (running === null) return null;
        return {
          state: running.state, table: running.control.table, segmentPagesMax: Math.max(...running.segments.map(({ byteLength }) => byteLength / PAGE_BYTES)),
          bytes: (row, byteLength) => this.#bytes(running, row, byteLength),
          settle: () => this.#carryOut(running),
        };
      },
      reply: (workerId, requestId, result, error) => this.#reply(workerId, requestId, result, error),
    }));
  }

  async #spill(running: Running, objects: readonly { readonly id: number; readonly row: number }[]): Promise<void> {
    const ids = objects.map(({ id }) => id);
    const items = objects.map(({ id, row }) => ({ key: String(id), bytes: this.#bytes(running, row, running.control.table.byteLength(row)) }));
    const failure = await running.spill.write(items).then(() => null, (error: Error) => error);
    // The memory may be gone.
    if (this.#running !== running) return;
    if (failure === null) {
      running.state.spilled(ids);
    } else {
      running.state.spillFailed(ids, failure instanceof OutOfDiskError);
      this.#env.warn(`objects could not be written to disk: ${failure.message}`);
    }
    this.#carryOut(running);
  }

  async #restore(running: Running, id: number, row: number): Promise<void> {
    const key = String(id);
    const failure = await running.spill.read(key, this.#bytes(running, row, running.spill.byteLengthOf(key) ?? 0)).then(() => null, (error: Error) => error);
    if (this.#running !== running) return;
    if (failure === null) {
      running.state.restored(id);
    } else {
      running.state.restoreFailed(id, failure instanceof SpillDamagedError);
      this.#env.warn(failure.message);
    }
    this.#carryOut(running);
  }

  #bytes(running: Running, row: number, byteLength: number): Uint8Array {
    const place = running.control.table.place(row);
    const segment = running.segments[place.segment] as Segment;
    segment.bytes ??= new Uint8Array(running.native.view(segment.address, segment.byteLength));
    return segment.bytes.subarray(place.offset * PAGE_BYTES, place.offset * PAGE_BYTES + byteLength);
  }

  /** A copy, for a worker without shared memory. */
  #read(running: Running, workerId: WorkerId, requestId: number, id: number): void {
    const copy = running.state.beginCopy(id);
    if (typeof copy === "string") return this.#reply(workerId, requestId, null, lossOf(id, copy));
    if (copy.row !== null) {
      const bytes = new Uint8Array(this.#bytes(running, copy.row, copy.byteLength));
      running.state.copied(copy.row);
      return this.#reply(workerId, requestId, bytes, null);
    }
    const bytes = new Uint8Array(copy.byteLength);
    running.spill.read(String(id), bytes).then(
      () => this.#reply(workerId, requestId, bytes, null),
      (error: Error) => this.#reply(workerId, requestId, null, lossOf(id, error instanceof SpillDamagedError ? "damaged" : "unreadable")),
    );
  }

  #reply(workerId: WorkerId, requestId: number, result: unknown, error: SystemErrorRecord | null): void {
    this.#env.send(workerId, { type: "reply", requestId, result, error });
  }

  #after(delayMs: number, act: () => void): Timer {
    const timer = this.#env.clock.after(delayMs, () => {
      this.#timers.delete(timer);
      act();
    });
    this.#timers.add(timer);
    return timer;
  }

  #cancelTimer(timer: Timer | null): void {
    if (timer === null) return;
    timer.cancel();
    this.#timers.delete(timer);
  }

  /** How full it is, and its largest objects. */
  list(objectsMax: number): StoreListing {
    const running = this.#running;
    if (running === null) {
      const isAvailable = !this.#hasFailed && loadNativeMemory().memory !== null;
      return { isAvailable, capacityBytes: isAvailable ? this.#env.config.capacityBytes : 0, usedBytes: 0, spilledBytes: 0, objectCount: 0, objects: [] };
    }
    const { usedPages, capacityPages } = running.state.usage();
    const objects = running.state.list(this.#env.node).sort((a, b) => b.byteLength - a.byteLength || a.id - b.id);
    return {
      isAvailable: true, capacityBytes: capacityPages * PAGE_BYTES, usedBytes: usedPages * PAGE_BYTES, spilledBytes: running.spill.spilledBytes,
      objectCount: objects.length, objects: objects.slice(0, objectsMax),
    };
  }

  // ------------------------------------------------------------------ end

  /** After all workers have ended. Removes all files. The driver unmaps the memory itself if it still has views of it. */
  async close(): Promise<void> {
    for (const timer of this.#timers) timer.cancel();
    const running = this.#running;
    if (running === null) return;
    this.#running = null;
    this.#hasFailed = true;
    running.control.close();
    for (const { descriptor } of running.segments) closeSync(descriptor);
    rmSync(running.folder, { recursive: true, force: true });
    rmSync(controlPath(this.#env.config), { force: true });
    try {
      await running.spill.close();
    } finally {
      rmSync(this.#env.config.spillFolder, { recursive: true, force: true });
      const { driverId } = this.#env;
      const isDriverAttached = driverId !== null && running.state.slots.of(driverId) !== undefined;
      if (!isDriverAttached || running.control.leave()) {
        for (const { address, byteLength } of running.segments) running.native.unmap(address, byteLength);
        running.native.unmap(running.controlAddress, running.controlBytes);
      }
    }
  }
}

/** Answers how many bytes from the beginning of the segment are backed by memory now: as many as wanted, unless there are no more. */
function reserve(native: NativeMemory, segment: Segment, bytesWanted: number): number {
  const missing = bytesWanted - segment.reservedBytes;
  if (missing <= 0) return segment.reservedBytes;
  const roomy = Math.min(Math.max(RESERVE_STEP_BYTES, missing), segment.byteLength - segment.reservedBytes);
  for (const step of [roomy, missing]) {
    if (!native.reserve(segment.descriptor, segment.reservedBytes, step)) continue;
    segment.reservedBytes += step;
    break;
  }
  return segment.reservedBytes;
}

function lossOf(id: number, reason: LossReason): SystemErrorRecord {
  switch (reason) {
    case "ownerDied": return { kind: "OwnerDiedError", message: "the worker that owned this object has ended, and the object with it", subjectId: String(id) };
    case "damaged": return { kind: "ObjectLostError", message: "the copy of this object on disk is damaged or gone (its checksum does not match)", subjectId: String(id) };
    case "unreadable": return { kind: "ObjectLostError", message: "the copy of this object on disk could not be read now; another attempt may succeed", subjectId: String(id) };
    case "full": return { kind: "ObjectStoreFullError", message: "this object is on disk, and there was no room in the object store to bring it back: release objects, drop views of them, or raise objectStoreMemory", subjectId: null };
    case "diskFull": return { kind: "OutOfDiskError", message: "the object store is full and so is the disk that it spills to: free disk space or set objectSpillingDirectory", subjectId: null };
    case "freed": return { kind: "ObjectFreedError", message: "this object was freed: no reference to it was counted any more", subjectId: String(id) };
  }
}

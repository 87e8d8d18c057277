import type { AcceleratorIds, Clock, JobId, NodeId, RandomSource, ResourceAmounts, WorkerId } from "../base/mod.ts";
import type { StoreClient } from "../clients/mod.ts";
import type { CodeOrigin, ToNode } from "../protocol/mod.ts";
import type { ModuleServices } from "./module-exchange.ts";

/** What a core worker is given by whoever composes the process. */
export interface CoreWorkerEnvironment {
  readonly workerId: WorkerId;
  readonly jobId: JobId;
  readonly namespace: string;
  readonly nodeId: NodeId;
  readonly isDriver: boolean;
  readonly pid: number;
  readonly clock: Clock;
  readonly random: RandomSource;
  /** How many leases are worth asking for; null where other nodes may grant some too. */
  readonly totals: ResourceAmounts | null;
  readonly labels: Readonly<Record<string, string>>;
  readonly store: StoreClient;
  sendToNode(message: ToNode): void;
  /** With others of this turn in one frame. */
  sendToNodeSoon(message: ToNode): void;
  /** What was sent to the node leaves this thread at once. */
  flushToNode(): void;
  /** Whether something is awaited that must keep the process alive. */
  keepAlive(isNeeded: boolean): void;
  /** What user code runs on from now on, as far as libraries ask the environment for it; null: whatever the program itself may use. */
  useAccelerators(ids: AcceleratorIds | null): void;
  /** Ends this worker after its last words have left. */
  exit(reason: string): void;
  warn(message: string): void;
  /** Of a program: a worker of its has waited too long for these, see `StuckWatch`. */
  stuckElsewhere?(keys: readonly string[]): void;
  /** Memory for BEGUN_TABLE_BYTES that whoever started this worker reads when it has ended; null, or no such function, if there is none. */
  readonly begunTable?: (ownerId: WorkerId) => Float64Array | null;
  /** How many bytes may be kept to make lost objects again; default 1 GiB. */
  readonly lineageBytesMax?: number;
  /** The program's entry module, which must never be imported a second time. */
  readonly entryUrl?: string;
  /** Whose files the modules of code are that is captured here; null where nobody can be asked for them. */
  readonly codeOrigin: CodeOrigin | null;
  readonly modules: ModuleServices;
  /** Loads what the program's modules need to be loaded (tsx), once, before the first of them. */
  readonly prepareImports?: () => Promise<void>;
}

import { recordOf, RuntimeStateError, SerializationError, systemErrorOf, type WorkerId } from "../base/mod.ts";
import type { CodeOrigin, ModuleAnswer, ModuleQuestion, ModuleRequest, PeerMessage } from "../protocol/mod.ts";
import type { Peer } from "./peer.ts";

/** What the composing process knows of files: see `program-modules/`. */
export interface ModuleServices {
  compare(origin: CodeOrigin): "same" | "maybe" | "other";
  /** Of the files of this process. */
  answer(question: ModuleQuestion): Promise<ModuleAnswer>;
  place(origin: CodeOrigin, requests: readonly ModuleRequest[], loadsTypeScript: boolean, ask: AskModules): Promise<{
    readonly targets: readonly (ModuleRequest | null)[];
    readonly sources: ReadonlyMap<string, string>;
    readonly root: string;
  }>;
}

export type AskModules = <T extends ModuleQuestion["type"]>(driverId: WorkerId, question: ModuleQuestion & { readonly type: T }) => Promise<ModuleAnswer & { readonly type: T }>;

interface Waiting {
  readonly driverId: WorkerId;
  resolve(answer: ModuleAnswer): void;
  reject(error: Error): void;
}

/** Questions about the modules of programs whose files are elsewhere, and the answers about those of this one. */
export class ModuleExchange {
  readonly #services: ModuleServices;
  readonly #peer: (workerId: WorkerId) => Peer;
  readonly #recall: (driverId: WorkerId) => Promise<boolean>;
  readonly #waiting = new Map<number, Waiting>();
  #next = 1;

  /** `recall`: brings here what was kept of the modules of a program that has ended; false for nothing. */
  constructor(services: ModuleServices, peer: (workerId: WorkerId) => Peer, recall: (driverId: WorkerId) => Promise<boolean>) {
    this.#services = services;
    this.#peer = peer;
    this.#recall = recall;
  }

  compare(origin: CodeOrigin): "same" | "maybe" | "other" {
    return this.#services.compare(origin);
  }

  async place(origin: CodeOrigin, requests: readonly ModuleRequest[], loadsTypeScript: boolean): ReturnType<ModuleServices["place"]> {
    const place = (): ReturnType<ModuleServices["place"]> => this.#services.place(origin, requests, loadsTypeScript, this.#ask);
    try {
      return await place();
    } catch (error) {
      if (!(error instanceof ProgramGoneError) || !(await this.#recall(origin.driverId))) throw error;
      return place();
    }
  }

  readonly #ask = ((driverId, question) => {
    const requestId = this.#next++;
    return new Promise<ModuleAnswer>((resolve, reject) => {
      this.#waiting.set(requestId, { driverId, resolve, reject });
      if (!this.#peer(driverId).sendMessage({ type: "askModules", requestId, question })) this.#end(requestId, gone(driverId));
    });
  }) as AskModules;

  async asked(peer: Peer, { requestId, question }: PeerMessage & { readonly type: "askModules" }): Promise<void> {
    try {
      peer.sendMessage({ type: "modulesAnswered", requestId, answer: await this.#services.answer(question), error: null });
    } catch (error) {
      peer.sendMessage({ type: "modulesAnswered", requestId, answer: null, error: recordOf(error) ?? { kind: "SerializationError", message: `The modules of the program cannot be read: ${String(error)}`, subjectId: null } });
    }
  }

  answered({ requestId, answer, error }: PeerMessage & { readonly type: "modulesAnswered" }): void {
    const waiting = this.#waiting.get(requestId);
    this.#waiting.delete(requestId);
    if (error !== null) waiting?.reject(systemErrorOf(error));
    else waiting?.resolve(answer as ModuleAnswer);
  }

  workerLost(workerId: WorkerId): void {
    for (const [requestId, { driverId }] of this.#waiting) if (driverId === workerId) this.#end(requestId, gone(driverId));
  }

  shutDown(): void {
    for (const requestId of this.#waiting.keys()) this.#end(requestId, new RuntimeStateError("the runtime was shut down before the modules of a function were there"));
  }

  #end(requestId: number, error: Error): void {
    this.#waiting.get(requestId)?.reject(error);
    this.#waiting.delete(requestId);
  }
}

class ProgramGoneError extends SerializationError {}

function gone(driverId: WorkerId): SerializationError {
  return new ProgramGoneError(`Modules that code needs are not on the machine of this worker, and the program that has them (driver ${driverId}) has ended. Give the files of what outlives its program with runtimeEnv: { workingDir }, packages with npm.`);
}

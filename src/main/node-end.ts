import type { Clock } from "../base/mod.ts";
import { STOP_MS_MAX } from "./driver-core.ts";

/** What a node consists of that ends in turn. */
export interface NodeEndEnvironment {
  readonly clock: Clock;
  readonly connections: { close(): void; leave(reason: string): void };
  readonly node: { stop(): Promise<void> };
  readonly threads: { stop(): Promise<void> };
  readonly caretaker: { stop(): Promise<void> };
  note(text: string): void;
  exit(exitCode: number): void;
}

/** `told`: what the others hear; it follows "the node …". */
export type NodeEnd = (reason: string, told: string, exitCode: number) => void;

/**
 * Ends a node in good order: its workers first. Only when nothing of them runs any more does it say that it leaves, for then its actors start
 * elsewhere, and none may live twice.
 */
export function nodeEnd({ clock, connections, node, threads, caretaker, note, exit }: NodeEndEnvironment): NodeEnd {
  let isEnding = false;
  const end = async (reason: string, told: string, exitCode: number): Promise<void> => {
    if (isEnding) return;
    isEnding = true;
    note(`ends: ${reason}`);
    // What is left then is killed on the way out.
    clock.after(STOP_MS_MAX, () => exit(1));
    connections.close();
    await node.stop();
    await threads.stop();
    connections.leave(told);
    await caretaker.stop();
    exit(exitCode);
  };
  return (reason, told, exitCode) => void end(reason, told, exitCode);
}

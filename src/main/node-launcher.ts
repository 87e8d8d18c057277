import { spawn } from "node:child_process";
import { closeSync, openSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { RuntimeStateError } from "../base/mod.ts";
import type { NodeOptions, NodeReport } from "./node-process.ts";
import { realRandom } from "./real-random.ts";

const ENTRY = fileURLToPath(new URL("./cluster-node.js", import.meta.url));
export const NODE_ENVIRONMENT_VARIABLE = "MANTARAY_NODE";
const PRIVATE_FILE_MODE = 0o600;

/** A node process's, in the environment variable MANTARAY_NODE. */
export interface NodeProcessData {
  readonly options: NodeOptions;
  /** What it is told to write to. */
  readonly logFile: string;
}

/** What it says first. */
export type NodeStartMessage =
  | { readonly type: "ready"; readonly report: NodeReport }
  | { readonly type: "failed"; readonly message: string; readonly stack: string; readonly code: string | null };

/** Starts a node that outlives this process, unless it is for a test; resolves when it can be joined. @throws RuntimeStateError with what it says when it cannot start. */
export async function launchNode(options: NodeOptions, environment: Readonly<Record<string, string>> = {}): Promise<NodeReport> {
  const logFile = join(tmpdir(), `mantaray-node-${realRandom.hex(8)}.log`);
  const log = openSync(logFile, "wx", PRIVATE_FILE_MODE);
  try {
    const data: NodeProcessData = { options, logFile };
    const child = spawn(process.execPath, [ENTRY], { detached: true, stdio: ["ignore", log, log, "ipc"], env: { ...process.env, ...environment, [NODE_ENVIRONMENT_VARIABLE]: JSON.stringify(data) } });
    return await new Promise<NodeReport>((resolve, reject) => {
      const failed = (why: string): void => reject(new RuntimeStateError(`the node could not be started: ${why}`));
      child.once("message", (message: NodeStartMessage) => {
        if (message.type === "failed") return failed(message.code === null ? message.stack : message.message);
        child.unref();
        // It lets go of it itself unless it ends with this process.
        child.channel?.unref();
        resolve(message.report);
      });
      child.once("error", (error) => failed(error.message));
      child.once("exit", (code, signal) => failed(`it ended by ${signal ?? `exit code ${String(code)}`}; it wrote:\n${writtenTo(logFile)}`));
    });
  } finally {
    closeSync(log);
    // A node that is there has moved it to its folder.
    rmSync(logFile, { force: true });
  }
}

function writtenTo(logFile: string): string {
  try {
    return readFileSync(logFile, "utf8");
  } catch {
    return "";
  }
}

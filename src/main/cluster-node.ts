import { NODE_ENVIRONMENT_VARIABLE, type NodeStartMessage, type NodeProcessData } from "./node-launcher.ts";
import { startNode } from "./node-process.ts";

/** The entry of a node that is a process of its own; says to whoever has started it that it is there, or why not. */
const { options, logFile } = JSON.parse(process.env[NODE_ENVIRONMENT_VARIABLE] as string) as NodeProcessData;
// What its workers start are no nodes.
delete process.env[NODE_ENVIRONMENT_VARIABLE];

// Whoever wanted it has gone before it was there.
const abandoned = (): void => process.exit(1);
process.once("disconnect", abandoned);

function tell(message: NodeStartMessage, then: () => void): void {
  if (process.send === undefined) then();
  else process.send(message, then);
}

function endWithParent(): void {
  const end = (): void => void process.kill(process.pid, "SIGTERM");
  if (process.connected) process.once("disconnect", end);
  else end();
}

startNode(options, logFile).then(
  (report) => tell({ type: "ready", report }, () => {
    process.off("disconnect", abandoned);
    if (options.isForTest) endWithParent();
    else if (process.connected) process.disconnect();
  }),
  (error: Error) => tell({ type: "failed", message: error.message, stack: String(error.stack), code: (error as { code?: string }).code ?? null }, () => process.exit(1)),
);

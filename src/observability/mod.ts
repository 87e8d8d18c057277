export { LogFolding, type PrintedLine } from "./log-folding.ts";
export { RunLog } from "./run-log.ts";
export { OutputLines } from "./output-lines.ts";
export { captureOutput, type OutputSink } from "./output-capture.ts";

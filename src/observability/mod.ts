export { LogFolding, type PrintedLine } from "./log-folding.ts";
export { captureOutput, type OutputSink } from "./output-capture.ts";

import { compileDeclarations } from "../typing/compile.ts";
import type { Row } from "./row.ts";

const DECLARATIONS = 1_000;

export const TYPING_ROWS: readonly Row[] = [
  {
    key: "types_1000_declarations",
    group: "typing",
    title: `TypeScript checks a program of ${DECLARATIONS.toLocaleString("en-US")} remote functions and classes, with their calls (in a quick run: ${DECLARATIONS / 10})`,
    figures: [
      { key: "checkSeconds", title: "checking", unit: "s", better: "lower" },
      { key: "totalSeconds", title: "the whole run of tsc", unit: "s", better: "lower" },
      { key: "memoryMib", title: "memory", unit: "MiB", better: "lower" },
    ],
    contestants: ["mantaray-thread", "one-thread"],
    labels: { "mantaray-thread": "Mantaray", "one-thread": "the same functions and classes, called" },
    baseline: "mantaray-thread",
    measure: (peer, bench) => compileDeclarations(bench.isQuick ? DECLARATIONS / 10 : DECLARATIONS, peer === "one-thread" ? "nothing" : "mantaray"),
  },
];

import { runOnThreeNodes } from "./suites.ts";

await runOnThreeNodes("actors");

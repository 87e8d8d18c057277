import { fileURLToPath } from "node:url";
import type { ModuleServices } from "../core-worker/mod.ts";
import { answerAboutModules, compareFileSystem, fileSystemIdentity, placeModules } from "../program-modules/mod.ts";
import type { WorkerId } from "../base/mod.ts";
import type { CodeOrigin, PreparedEnvironment } from "../protocol/mod.ts";

/** Of a program that runs in this process. */
export function codeOrigin(driverId: WorkerId): CodeOrigin {
  return { driverId, fileSystem: fileSystemIdentity() };
}

/** Modules of programs on machines without their files. */
export function moduleServices(sessionDir: string, environment: PreparedEnvironment | null): ModuleServices {
  return {
    compare: ({ fileSystem }) => compareFileSystem(fileSystem),
    answer: answerAboutModules,
    place: (origin, requests, loadsTypeScript, ask) =>
      placeModules({ sessionDir, environment, ask, ownFolder: fileURLToPath(new URL("..", import.meta.url)), wallClockMs: () => Date.now() }, origin, requests, loadsTypeScript),
  };
}

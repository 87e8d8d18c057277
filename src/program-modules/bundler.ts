import { createRequire } from "node:module";
import { SerializationError } from "../base/mod.ts";

type Esbuild = typeof import("esbuild");
let loaded: Esbuild | undefined;

/** Loaded when a worker first lacks a file: nobody else pays for it. @throws SerializationError where it is not installed. */
export function bundler(): Esbuild {
  if (loaded !== undefined) return loaded;
  try {
    loaded = createRequire(import.meta.url)("esbuild") as Esbuild;
  } catch (error) {
    throw new SerializationError(
      "Modules of this program are not there on the machine of a worker, and cannot be sent: the package 'esbuild', an optional " +
        "dependency of mantaray, is not installed here. Install it (npm install esbuild), or give the files with runtimeEnv: { workingDir }.",
      { cause: error },
    );
  }
  return loaded;
}

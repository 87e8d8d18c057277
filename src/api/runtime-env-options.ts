import { InvalidArgumentError } from "../base/mod.ts";
import { aDurationMs, aString, anyObject, type Check, checkOptions, recordOf } from "./option-checks.ts";
import type { RuntimeEnv } from "./types.ts";

const text: Check = (value) => (typeof value === "string" && !value.includes("\0") ? undefined : "a string");

const RUNTIME_ENV: Readonly<Record<string, Check>> = { workingDir: aString, excludes: strings, envVars: recordOf(text), npm: anyObject, config: anyObject };
const CONFIG: Readonly<Record<string, Check>> = { setupTimeoutMs: aDurationMs };
const NPM: Readonly<Record<string, Check>> = { packages: strings };

/** Throws InvalidArgumentError for an unknown field or a wrong value. */
export function checkRuntimeEnv(given: RuntimeEnv, label: string): void {
  const what = `runtimeEnv of ${label}`;
  checkOptions(given, RUNTIME_ENV, what);
  if (given.config !== undefined) checkOptions(given.config, CONFIG, `config in the ${what}`);
  checkNames(given.envVars ?? {}, what);
  const { npm } = given;
  if (npm !== undefined) checkOptions(Array.isArray(npm) ? { packages: npm } : npm, NPM, `npm in the ${what}`);
  if (given.excludes !== undefined && given.workingDir === undefined) throw new InvalidArgumentError(`'excludes' in the ${what} says what of 'workingDir' is left out, but there is none beside it`);
}

function checkNames(envVars: Readonly<Record<string, string>>, what: string): void {
  for (const name of Object.keys(envVars)) if (name === "" || name.includes("=") || name.includes("\0")) throw new InvalidArgumentError(`envVars in the ${what} has the name ${JSON.stringify(name)}, which cannot be that of an environment variable`);
}

function strings(value: unknown): string | undefined {
  return Array.isArray(value) && value.every((item) => aString(item) === undefined) ? undefined : "an array of strings that are not empty";
}

import type { RuntimeEnvRecord } from "../protocol/mod.ts";

/** How long the set-up of an environment may take, unless `config.setupTimeoutMs` says otherwise; the same as Ray. */
export const SETUP_TIMEOUT_MS_DEFAULT = 600_000;
const HASH_HEX_DIGITS = 32;

/** What a user gives, checked. */
export interface GivenEnvironment {
  readonly workingDir?: string;
  readonly excludes?: readonly string[];
  readonly envVars?: Readonly<Record<string, string>>;
  readonly npm?: readonly string[] | { readonly packages: readonly string[] };
  readonly config?: { readonly setupTimeoutMs?: number };
}

/** The same where it means the same on every machine: files are packages of the session. */
export interface PortableEnvironment {
  /** The URI of a package. */
  workingDir?: string;
  npm?: string[];
  envVars?: Record<string, string>;
  config?: { setupTimeoutMs?: number };
}

/** What was given on top of what is inherited; null when that asks for nothing. */
export function mergeEnvironment(inherited: RuntimeEnvRecord | null, given: PortableEnvironment): RuntimeEnvRecord | null {
  const envVars = { ...inherited?.envVars, ...given.envVars };
  const workingDir = given.workingDir ?? inherited?.workingDir ?? null;
  const npm = given.npm ?? inherited?.npm ?? [];
  if (Object.keys(envVars).length === 0 && workingDir === null && npm.length === 0) return null;
  const config = { setupTimeoutMs: given.config?.setupTimeoutMs ?? inherited?.config.setupTimeoutMs ?? SETUP_TIMEOUT_MS_DEFAULT };
  return { hash: hashOf([sortedEntries(envVars), workingDir, npm]), envVars, workingDir, npm, config, failure: null };
}

/** Stands for one that cannot be: whatever is to run in it fails with this. */
export function failedEnvironment(failure: string): RuntimeEnvRecord {
  return { hash: hashOf([failure]), envVars: {}, workingDir: null, npm: [], config: { setupTimeoutMs: SETUP_TIMEOUT_MS_DEFAULT }, failure };
}

/** As users see it. */
export function describeEnvironment(record: RuntimeEnvRecord | null): { envVars?: Record<string, string>; workingDir?: string; npm?: string[]; config?: { setupTimeoutMs: number } } {
  if (record === null) return {};
  const { envVars, workingDir, npm, config } = record;
  return {
    ...(Object.keys(envVars).length === 0 ? {} : { envVars: { ...envVars } }),
    ...(workingDir === null ? {} : { workingDir }),
    ...(npm.length === 0 ? {} : { npm: [...npm] }),
    ...(config.setupTimeoutMs === SETUP_TIMEOUT_MS_DEFAULT ? {} : { config: { ...config } }),
  };
}

function sortedEntries(record: Readonly<Record<string, string>>): [string, string][] {
  return Object.entries(record).sort(([a], [b]) => (a < b ? -1 : 1));
}

/** Loaded when it is needed: node:crypto takes 7 ms of every thread's start. */
function hashOf(content: unknown): string {
  return process.getBuiltinModule("node:crypto").createHash("sha256").update(JSON.stringify(content)).digest("hex").slice(0, HASH_HEX_DIGITS);
}

import type { RuntimeEnvRecord } from "../protocol/mod.ts";

/** How long the set-up of an environment may take, unless `config.setupTimeoutMs` says otherwise; the same as Ray. */
export const SETUP_TIMEOUT_MS_DEFAULT = 600_000;
const HASH_HEX_DIGITS = 32;

/** What a user gives, checked. */
export interface GivenEnvironment {
  readonly envVars?: Readonly<Record<string, string>>;
  readonly config?: { readonly setupTimeoutMs?: number };
}

/** What was given on top of what is inherited; null when that asks for nothing. */
export function mergeEnvironment(inherited: RuntimeEnvRecord | null, given: GivenEnvironment): RuntimeEnvRecord | null {
  const envVars = { ...inherited?.envVars, ...given.envVars };
  if (Object.keys(envVars).length === 0) return null;
  const config = { setupTimeoutMs: given.config?.setupTimeoutMs ?? inherited?.config.setupTimeoutMs ?? SETUP_TIMEOUT_MS_DEFAULT };
  return { hash: hashOf([sortedEntries(envVars)]), envVars, config };
}

/** As users see it. */
export function describeEnvironment(record: RuntimeEnvRecord | null): { envVars?: Record<string, string>; config?: { setupTimeoutMs: number } } {
  if (record === null) return {};
  const { envVars, config } = record;
  return {
    ...(Object.keys(envVars).length === 0 ? {} : { envVars: { ...envVars } }),
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

import type { SystemErrorRecord } from "../base/mod.ts";

/** A runtime environment as it travels: merged with what it inherits, and of use on every machine of the cluster. Plain data. */
export interface RuntimeEnvRecord {
  /** Of everything below that makes workers different. */
  readonly hash: string;
  readonly envVars: Readonly<Record<string, string>>;
  readonly config: { readonly setupTimeoutMs: number };
}

/** What workers of an environment find on their machine. */
export interface PreparedEnvironment {
  readonly record: RuntimeEnvRecord;
}

/** No worker can be had, and there is no use in trying again now. */
export type RefusalRecord = SystemErrorRecord & { readonly kind: "RuntimeEnvSetupError" };

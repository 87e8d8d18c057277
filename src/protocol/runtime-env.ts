import type { SystemErrorRecord } from "../base/mod.ts";

/** A runtime environment as it travels: merged with what it inherits, and of use on every machine of the cluster. Plain data. */
export interface RuntimeEnvRecord {
  /** Of everything below that makes workers different. */
  readonly hash: string;
  readonly envVars: Readonly<Record<string, string>>;
  /** The URI of a package, or null. */
  readonly workingDir: string | null;
  /** As npm takes them, or URIs of packages. */
  readonly npm: readonly string[];
  readonly config: { readonly setupTimeoutMs: number };
  /** There can be no such environment: what whatever is to run in it fails with. */
  readonly failure: string | null;
}

/** What workers of an environment find on their machine. */
export interface PreparedEnvironment {
  readonly record: RuntimeEnvRecord;
  /** The folder that they work in, or null. */
  readonly workingDir: string | null;
  /** Where its npm packages are, or null. */
  readonly npm: InstalledPackages | null;
}

export interface InstalledPackages {
  /** With the `node_modules` in it. */
  readonly folder: string;
  /** The packages that were asked for. */
  readonly names: readonly string[];
}

/** No worker can be had, and there is no use in trying again now. */
export type RefusalRecord = SystemErrorRecord & { readonly kind: "RuntimeEnvSetupError" };

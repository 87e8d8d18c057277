/** A runtime environment as it travels: merged with what it inherits, complete, and named by its content. Plain data. */
export interface RuntimeEnvRecord {
  /** Of everything below that makes workers different. */
  readonly hash: string;
  readonly envVars: Readonly<Record<string, string>>;
}

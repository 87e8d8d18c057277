import type { RuntimeEnvRecord } from "../protocol/mod.ts";
import { describeEnvironment, type GivenEnvironment, mergeEnvironment } from "./environment-record.ts";

/** The environments that a program, or a worker, gives to its tasks and actors. */
export class EnvironmentResolver {
  /** Of the program, as given to `init`; of a worker, its own. Tasks and actors inherit it. */
  readonly inherited: RuntimeEnvRecord | null;

  constructor(inherited: RuntimeEnvRecord | null) {
    this.inherited = inherited;
  }

  /** What a task or actor with this option runs in. */
  resolve(given: GivenEnvironment | undefined): RuntimeEnvRecord | null {
    return given === undefined ? this.inherited : mergeEnvironment(this.inherited, given);
  }

  describe(): ReturnType<typeof describeEnvironment> {
    return describeEnvironment(this.inherited);
  }
}

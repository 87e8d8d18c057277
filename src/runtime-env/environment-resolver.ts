import { RuntimeEnvSetupError } from "../base/mod.ts";
import type { RuntimeEnvRecord } from "../protocol/mod.ts";
import { describeEnvironment, failedEnvironment, type GivenEnvironment, mergeEnvironment, type PortableEnvironment } from "./environment-record.ts";
import { type PackageListener, PackageMaker } from "./package-maker.ts";

/** The environments that a program, or a worker, gives to its tasks and actors. */
export class EnvironmentResolver {
  /** Of the program, as given to `init`; of a worker, its own. Tasks and actors inherit it. */
  readonly inherited: RuntimeEnvRecord | null;
  readonly #packages: PackageMaker;

  /** `onPackage`: where the session's folder is not that of a node, somebody who brings packages there. */
  constructor(inherited: RuntimeEnvRecord | null, sessionDir: string, onPackage: PackageListener | null = null) {
    this.inherited = inherited;
    this.#packages = new PackageMaker(sessionDir, onPackage);
  }

  /** For a program with this option of `init`. @throws RuntimeEnvSetupError for files that cannot be packed. */
  static forProgram(given: GivenEnvironment | undefined, sessionDir: string, onPackage: PackageListener | null = null): EnvironmentResolver {
    const resolver = new EnvironmentResolver(null, sessionDir, onPackage);
    return given === undefined ? resolver : new EnvironmentResolver(mergeEnvironment(null, resolver.portable(given)), sessionDir, onPackage);
  }

  /** What a task or actor with this option runs in. Files that cannot be packed are the failure of whatever runs in it. */
  resolve(given: GivenEnvironment | undefined): RuntimeEnvRecord | null {
    if (given === undefined) return this.inherited;
    try {
      return mergeEnvironment(this.inherited, this.portable(given));
    } catch (error) {
      if (error instanceof RuntimeEnvSetupError) return failedEnvironment(error.message);
      throw error;
    }
  }

  /** The same for others, who have not the files that it names. @throws RuntimeEnvSetupError for files that cannot be packed. */
  portable({ workingDir, excludes = [], npm, envVars, config }: GivenEnvironment): PortableEnvironment {
    return {
      ...(workingDir === undefined ? {} : { workingDir: this.#packages.workingDir(workingDir, excludes) }),
      ...(npm === undefined ? {} : { npm: this.#portablePackages("packages" in npm ? npm.packages : npm) }),
      ...(envVars === undefined ? {} : { envVars: { ...envVars } }),
      ...(config === undefined ? {} : { config: { ...config } }),
    };
  }

  #portablePackages(packages: readonly string[]): string[] {
    const portable = packages.map((spec) => {
      // `name@file:…` too; what npm calls the package stands in the package itself.
      const local = /^(?:(?:@[^@/]+\/)?[^@/]+@)?((?:file:|\.{1,2}\/|\/).*)$/.exec(spec);
      return local === null ? spec : this.#packages.npmPackage(local[1] as string);
    });
    return [...new Set(portable)].sort();
  }

  describe(): ReturnType<typeof describeEnvironment> {
    return describeEnvironment(this.inherited);
  }
}

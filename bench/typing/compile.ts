import { execFile } from "node:child_process";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { Figures } from "../measure.ts";
import { type DeclaredWith, programWith } from "./declarations.ts";

/** Inside the repository, so that `mantaray` is the package as built, and `@types/node` is found. */
const CACHE = fileURLToPath(new URL("../../.cache/", import.meta.url));
const COMPILER = createRequire(import.meta.url).resolve("typescript/bin/tsc");
const COMPILE_MS_MAX = 120_000;
const KIB_PER_MIB = 1024;
const OPTIONS = {
  ...{ target: "es2023", lib: ["es2023", "esnext.disposable"], module: "nodenext", types: ["node"] },
  ...{ strict: true, noUncheckedIndexedAccess: true, skipLibCheck: true, noEmit: true },
};

/** Checks a program with so many declarations in a compiler's process of its own, from start to end. */
export async function compileDeclarations(count: number, declaredWith: DeclaredWith): Promise<Figures> {
  await mkdir(CACHE, { recursive: true });
  const folder = await mkdtemp(join(CACHE, "bench-types-"));
  try {
    await writeFile(join(folder, "main.mts"), programWith(count, declaredWith));
    await writeFile(join(folder, "tsconfig.json"), JSON.stringify({ compilerOptions: OPTIONS, files: ["main.mts"] }));
    const printed = await compile(folder);
    const figure = (name: string): number => {
      const found = new RegExp(`^${name}:\\s+([\\d.]+)`, "m").exec(printed)?.[1];
      if (found === undefined) throw new Error(`the compiler did not tell its ${name}:\n${printed}`);
      return Number(found);
    };
    return { checkSeconds: figure("Check time"), totalSeconds: figure("Total time"), memoryMib: figure("Memory used") / KIB_PER_MIB };
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

function compile(folder: string): Promise<string> {
  return new Promise((resolve, reject) => {
    execFile(process.execPath, [COMPILER, "--project", folder, "--extendedDiagnostics", "--pretty", "false"], { timeout: COMPILE_MS_MAX, killSignal: "SIGKILL" }, (error, stdout, stderr) => {
      if (error === null) resolve(stdout);
      else reject(new Error(`the program has errors: ${stdout.slice(0, 2_000)}${stderr}`));
    });
  });
}

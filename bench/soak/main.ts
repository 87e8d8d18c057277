/** The command line of the soak: random work on large objects for some minutes, after which nothing may be left. */
import { spawnSync } from "node:child_process";
import { mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { Soak } from "./soak.ts";
import type { SoakMemory } from "./soak.ts";

const MIB = 2 ** 20;
const VALUE_BYTES_MAX = 20 * MIB;
const MS_PER_MINUTE = 60_000;
/** After each part all is dropped, and what memory is left is told: it is to stay the same. */
const PARTS = 10;

/**
 * Of glibc: from how many bytes on memory goes back to the system as soon as it is freed. Left to itself it keeps what is smaller than the largest
 * that was ever freed, for each of its arenas: a process with threads grows for minutes then, and a leak would not be seen.
 */
const RETURN_MEMORY_VARIABLE = "MALLOC_MMAP_THRESHOLD_";
const RETURNED_BYTES_MIN = 1_000_000;

const USAGE = `Usage: npm run soak -- [options]

  --minutes N          how long (10)
  --seed N             of what is done, and in which order (1)
  --isolation KIND     thread or process (process)
  --store-mib N        capacity of the object store (128)`;

const { values } = parseArgs({
  options: {
    minutes: { type: "string", default: "10" },
    seed: { type: "string", default: "1" },
    isolation: { type: "string", default: "process" },
    "store-mib": { type: "string", default: "128" },
    help: { type: "boolean", default: false, short: "h" },
  },
});

function positive(name: "minutes" | "seed" | "store-mib"): number {
  const number = Number(values[name]);
  if (!(number > 0)) throw new Error(`--${name} is a number above 0, not "${values[name]}"`);
  return number;
}

function isolationOf(text: string): "thread" | "process" {
  if (text === "thread" || text === "process") return text;
  throw new Error(`--isolation is thread or process, not "${text}"`);
}

async function main(): Promise<void> {
  if (values.help) return console.log(USAGE);
  const partMs = (positive("minutes") * MS_PER_MINUTE) / PARTS;
  const spillFolder = await mkdtemp(join(tmpdir(), "soak-spill-"));
  const soak = await Soak.start({ isolation: isolationOf(values.isolation), seed: positive("seed"), storeBytes: positive("store-mib") * MIB, valueBytesMax: VALUE_BYTES_MAX, spillFolder });
  try {
    for (let part = 1; part <= PARTS; part++) {
      const endsAt = performance.now() + partMs;
      await soak.run(() => performance.now() > endsAt);
      console.log(`${part}/${PARTS}, all dropped, store empty: ${memoryLine(soak.memory())}; ${JSON.stringify(soak.counts)}`);
    }
  } finally {
    await soak.end();
    const left = await readdir(spillFolder);
    await rm(spillFolder, { recursive: true, force: true });
    if (left.length > 0) {
      console.error(`after the end there is ${left.join(", ")} in the folder for what does not fit`);
      process.exitCode = 1;
    }
  }
}

function memoryLine({ totalMib, processes, driverMib, driverHeapMib }: SoakMemory): string {
  const rounded = [totalMib, driverMib, driverHeapMib].map((mib) => `${Math.round(mib)} MiB`);
  return `${rounded[0]} in ${processes} processes, of which the driver's ${rounded[1]}, its heap ${rounded[2]}`;
}

if (process.platform === "linux" && process.env[RETURN_MEMORY_VARIABLE] === undefined) {
  const { status } = spawnSync(process.execPath, [...process.execArgv, ...process.argv.slice(1)], { stdio: "inherit", env: { ...process.env, [RETURN_MEMORY_VARIABLE]: String(RETURNED_BYTES_MIN) } });
  process.exitCode = status ?? 1;
} else {
  await main();
}

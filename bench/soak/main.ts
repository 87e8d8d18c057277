/** The command line of the soak: random work on large objects for some minutes, after which nothing may be left. */
import { mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { Soak } from "./soak.ts";

const MIB = 2 ** 20;
const VALUE_BYTES_MAX = 20 * MIB;
const MS_PER_MINUTE = 60_000;
const PROGRESS_EVERY_MS = 30_000;

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
  const halfMs = (positive("minutes") * MS_PER_MINUTE) / 2;
  const spillFolder = await mkdtemp(join(tmpdir(), "soak-spill-"));
  const soak = await Soak.start({ isolation: isolationOf(values.isolation), seed: positive("seed"), storeBytes: positive("store-mib") * MIB, valueBytesMax: VALUE_BYTES_MAX, spillFolder });
  const progress = setInterval(() => process.stderr.write(`${JSON.stringify(soak.counts)}, ${Math.round(soak.memoryMib())} MiB\n`), PROGRESS_EVERY_MS);
  try {
    const memoryMib: number[] = [];
    for (let half = 0; half < 2; half++) {
      const endsAt = performance.now() + halfMs;
      await soak.run(() => performance.now() > endsAt);
      memoryMib.push(soak.memoryMib());
    }
    console.log(JSON.stringify(soak.counts, null, 2));
    console.log(`all dropped, store empty; memory at half time ${memoryMib[0]!.toFixed(1)} MiB, at the end ${memoryMib[1]!.toFixed(1)} MiB`);
  } finally {
    clearInterval(progress);
    await soak.end();
    const left = await readdir(spillFolder);
    await rm(spillFolder, { recursive: true, force: true });
    if (left.length > 0) {
      console.error(`after the end there is ${left.join(", ")} in the folder for what does not fit`);
      process.exitCode = 1;
    }
  }
}

await main();

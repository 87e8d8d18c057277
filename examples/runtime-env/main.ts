/**
 * Letters to customers, each in a country's way.
 *
 * It teaches what `runtimeEnv` is for: the text and a module beside it travel to the workers as their working directory, what
 * differs between tasks comes in environment variables, nested tasks inherit both, and an actor can have an environment too.
 */
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import * as ray from "mantaray";

const letters = fileURLToPath(new URL("letters", import.meta.url));

/** Runs where the folder is: a relative path is one in there. */
const amount = ray.remote(async (cents: number): Promise<string> => {
  const path = "./amounts.mjs"; // not beside this program, but in the working directory
  const { format } = (await import(path)) as { format(cents: number): string };
  return format(cents);
});

const letter = ray.remote(async (name: string, cents: number): Promise<string> => {
  const { readFile } = await import("node:fs/promises");
  const text = await readFile("letter.txt", "utf8");
  // A nested task, in the same environment.
  return text.trim().replace("NAME", name).replace("AMOUNT", await ray.get(amount.remote(cents)));
});

class Archive {
  readonly #letters: string[] = [];
  file(text: string): string {
    this.#letters.push(text);
    return `${process.env["ARCHIVE"]}: letter ${this.#letters.length}`;
  }
}

const { values } = parseArgs({ options: { isolation: { type: "string" } } });
await ray.init({ isolation: values.isolation as ray.Isolation | undefined });

const inGermany = letter.options({ runtimeEnv: { workingDir: letters, envVars: { LOCALE: "de-DE", CURRENCY: "EUR" } } });
const inAmerica = letter.options({ runtimeEnv: { workingDir: letters, envVars: { LOCALE: "en-US", CURRENCY: "USD" } } });
const archive = ray.remote(Archive).options({ runtimeEnv: { envVars: { ARCHIVE: "cellar" } } }).remote();

for (const written of [inGermany.remote("Emmy", 123450), inAmerica.remote("Grace", 123450)]) {
  console.log(await ray.get(written));
  console.log(await ray.get(archive.file.remote(written)));
}
console.log(`here nothing has changed: ${process.env["LOCALE"] ?? "no locale"}, ${process.env["ARCHIVE"] ?? "no archive"}`);
await ray.shutdown();

import { parseArgs } from "node:util";

/** The command was given wrongly, or what it asks for cannot be: its message is all that the user needs. */
export class CommandError extends Error {}

export interface Option {
  /** What its value is called in the help; null for a switch. */
  readonly value: string | null;
  readonly short?: string;
  readonly help: string;
}

export interface Command {
  readonly summary: string;
  /** What follows the name. */
  readonly usage: string;
  readonly options: Readonly<Record<string, Option>>;
  /** Whether arguments that are no options may follow; the options then end at the first one. */
  readonly takesArguments: boolean;
  /** Answers the exit code. */
  run(given: Given): Promise<number>;
}

export interface Given {
  readonly text: (option: string) => string | undefined;
  readonly isSet: (option: string) => boolean;
  readonly rest: readonly string[];
}

/** What `args` say, for one command. @throws CommandError. */
export function parseCommand(name: string, command: Command, args: readonly string[]): Given {
  const [own, rest] = command.takesArguments ? splitAtFirstArgument(command, args) : [args, []];
  const options = Object.fromEntries(Object.entries(command.options).map(([option, { value, short }]) => [option, { type: value === null ? ("boolean" as const) : ("string" as const), ...(short === undefined ? {} : { short }) }]));
  try {
    const { values } = parseArgs({ args: [...own], options, strict: true, allowPositionals: false });
    return { text: (option) => values[option] as string | undefined, isSet: (option) => values[option] === true, rest };
  } catch (error) {
    throw new CommandError(explained(name, command, error as Error & { code?: string }));
  }
}

/** Where the program of `run` begins: what follows is its own. */
function splitAtFirstArgument({ options }: Command, args: readonly string[]): [readonly string[], readonly string[]] {
  const takesValue = new Set(Object.entries(options).flatMap(([name, { value, short }]) => (value === null ? [] : [`--${name}`, ...(short === undefined ? [] : [`-${short}`])])));
  for (let index = 0; index < args.length; index++) {
    const arg = args[index] as string;
    if (arg === "--") return [args.slice(0, index), args.slice(index + 1)];
    if (!arg.startsWith("-")) return [args.slice(0, index), args.slice(index)];
    if (takesValue.has(arg)) index++;
  }
  return [args, []];
}

function explained(name: string, { options }: Command, error: Error & { readonly code?: string }): string {
  const help = `see \`mantaray ${name} --help\``;
  const quoted = /'(?:-\w, )?(-{1,2}[^' ]+)/.exec(error.message)?.[1] ?? "";
  switch (error.code) {
    case "ERR_PARSE_ARGS_UNKNOWN_OPTION": {
      const near = nearest(quoted.replace(/^-+/, ""), Object.keys(options));
      return `mantaray ${name} has no option ${quoted}${near === null ? "" : `; did you mean --${near}?`} (${help})`;
    }
    case "ERR_PARSE_ARGS_UNEXPECTED_POSITIONAL":
      return `mantaray ${name} takes options only: ${error.message.split(". ")[0]} (${help})`;
    case "ERR_PARSE_ARGS_INVALID_OPTION_VALUE":
      return `${quoted} ${options[quoted.slice(2)]?.value === null ? "takes no value" : "needs a value, as --option VALUE or --option=VALUE"} (${help})`;
    default:
      throw error;
  }
}

/** Of the names that were meant, perhaps; null if none is like it. */
export function nearest(word: string, names: readonly string[]): string | null {
  let best: { readonly name: string; readonly distance: number } | null = null;
  for (const name of names) {
    const distance = editDistance(word, name);
    if (distance <= Math.max(1, Math.floor(name.length / 3)) && (best === null || distance < best.distance)) best = { name, distance };
  }
  return best?.name ?? names.find((name) => word.length > 2 && name.startsWith(word)) ?? null;
}

/** How many letters must be put in, taken out, changed, or swapped with the next one. */
function editDistance(a: string, b: string): number {
  const rows: number[][] = [Array.from({ length: b.length + 1 }, (_, index) => index)];
  for (let i = 1; i <= a.length; i++) {
    const above = rows[i - 1] as number[];
    const row = [i];
    for (let j = 1; j <= b.length; j++) {
      const changed = (above[j - 1] as number) + (a[i - 1] === b[j - 1] ? 0 : 1);
      const isSwapped = i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1];
      const swapped = isSwapped ? ((rows[i - 2] as number[])[j - 2] as number) + 1 : changed;
      row.push(Math.min(changed, swapped, (above[j] as number) + 1, (row[j - 1] as number) + 1));
    }
    rows.push(row);
  }
  return (rows[a.length] as number[])[b.length] as number;
}

export function helpOf(name: string, { summary, usage, options }: Command): string {
  const rows = Object.entries(options).map(([option, { value, short, help }]) => [`${short === undefined ? "    " : `-${short}, `}--${option}${value === null ? "" : ` ${value}`}`, help] as const);
  return `${summary}\n\nUsage: mantaray ${name}${usage === "" ? "" : ` ${usage}`}\n\nOptions:\n${columns(rows)}`;
}

/** Two columns, the second wide enough for what is in the first. */
export function columns(rows: readonly (readonly [string, string])[]): string {
  const width = Math.max(...rows.map(([left]) => left.length));
  return rows.map(([left, right]) => `  ${left.padEnd(width)}  ${right}\n`).join("");
}

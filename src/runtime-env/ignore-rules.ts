interface IgnoreRule {
  readonly matches: RegExp;
  readonly isNegated: boolean;
  readonly isForFoldersOnly: boolean;
}

/** Patterns as in a `.gitignore`. Pure. */
export class IgnoreRules {
  readonly #rules: readonly IgnoreRule[];

  constructor(lines: readonly string[]) {
    this.#rules = lines.map(ruleOf).filter((rule) => rule !== null);
  }

  /** Of a path relative to where the rules are, with `/`; undefined if no rule speaks of it. The last that does decides. */
  ignores(path: string, isFolder: boolean): boolean | undefined {
    let ignored: boolean | undefined;
    for (const { matches, isNegated, isForFoldersOnly } of this.#rules) {
      if ((isFolder || !isForFoldersOnly) && matches.test(path)) ignored = !isNegated;
    }
    return ignored;
  }
}

function ruleOf(line: string): IgnoreRule | null {
  // A blank at the end counts only if it is escaped.
  let pattern = line.replace(/\r$/, "").replace(/(?<!\\) +$/, "");
  if (pattern === "" || pattern.startsWith("#")) return null;
  const isNegated = pattern.startsWith("!");
  if (isNegated) pattern = pattern.slice(1);
  const isForFoldersOnly = pattern.endsWith("/");
  if (isForFoldersOnly) pattern = pattern.slice(0, -1);
  // A slash anywhere else ties the pattern to the folder of its file.
  const isAnchored = pattern.includes("/");
  if (pattern.startsWith("/")) pattern = pattern.slice(1);
  if (pattern === "") return null;
  return { matches: new RegExp(`^${isAnchored ? "" : "(?:.*/)?"}${expressionOf(pattern)}$`, "su"), isNegated, isForFoldersOnly };
}

/** `*` and `?` stay within a folder; `**` between slashes, or more stars, do not. */
function expressionOf(pattern: string): string {
  let expression = "";
  for (let index = 0; index < pattern.length; ) {
    const rest = pattern.slice(index);
    const isAtStart = index === 0 || pattern[index - 1] === "/";
    const stars = /^\*+/.exec(rest)?.[0].length ?? 0;
    if (isAtStart && stars > 1 && rest[stars] === "/") {
      expression += "(?:.*/)?";
      index += stars + 1;
    } else if (isAtStart && stars > 1 && stars === rest.length) {
      expression += ".+";
      index += stars;
    } else if (stars > 0) {
      expression += "[^/]*";
      index += stars;
    } else if (rest.startsWith("?")) {
      expression += "[^/]";
      index++;
    } else {
      const set = /^\[([!^]?)(\]?[^\]/]*)\]/.exec(rest);
      if (set !== null) {
        expression += `(?!/)[${set[1] === "" ? "" : "^"}${set[2]!.replace(/[\\[\]&^]/g, "\\$&")}]`;
        index += set[0].length;
      } else {
        const escaped = rest.startsWith("\\") && rest.length > 1;
        const character = String.fromCodePoint(rest.codePointAt(escaped ? 1 : 0) as number);
        expression += character.replace(/[.*+?^${}()|[\]\\/]/, "\\$&");
        index += character.length + (escaped ? 1 : 0);
      }
    }
  }
  return expression;
}

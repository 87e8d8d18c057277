import { InvalidArgumentError } from "../base/mod.ts";
import type { LabelCondition } from "../protocol/mod.ts";

/** A value, or the name in a key: as Kubernetes has them. */
const LABEL_TEXT = /^[a-zA-Z0-9](?:[a-zA-Z0-9_.-]*[a-zA-Z0-9])?$/;
const LABEL_TEXT_CHARACTERS_MAX = 63;
/** What may stand before the name in a key: a DNS name. */
const KEY_PREFIX = /^[a-z0-9](?:[a-z0-9-]*[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]*[a-z0-9])?)*$/;
const KEY_PREFIX_CHARACTERS_MAX = 253;

const LIST = /^in\((.*)\)$/s;

const TEXT_RULE = `at most ${LABEL_TEXT_CHARACTERS_MAX} letters, digits, '-', '_' and '.', with a letter or digit at both ends`;
const KEY_RULE = `a name of ${TEXT_RULE}, or such a name behind a DNS name and '/'`;

/** Why this cannot be the key of a label; null when it can. */
export function whyNoLabelKey(key: string): string | null {
  const slash = key.indexOf("/");
  const prefix = key.slice(0, Math.max(slash, 0));
  const isRight = isLabelText(key.slice(slash + 1)) && (slash < 0 || (prefix.length <= KEY_PREFIX_CHARACTERS_MAX && KEY_PREFIX.test(prefix)));
  return isRight ? null : `${JSON.stringify(key)} cannot be the key of a label: that is ${KEY_RULE}`;
}

/** Why this cannot be the value of a label; null when it can. */
export function whyNoLabelValue(value: string): string | null {
  return isLabelText(value) ? null : `${JSON.stringify(value)} cannot be the value of a label: that is ${TEXT_RULE}`;
}

/**
 * The conditions that a selector sets on the labels of a node, by their keys: `{ zone: "in(a,b)", disk: "!slow", gpu: "*" }`.
 * A value is `v`, `!v`, `in(a,b)`, `!in(a,b)`, `*` (there is such a label) or `!*` (there is none); a label that is not there is none
 * of the values. `where` names the selector in errors: "option 'labelSelector' of task f()".
 *
 * @throws InvalidArgumentError for anything else.
 */
export function parseLabelSelector(selector: Readonly<Record<string, string>>, where: string): LabelCondition[] {
  const keys = Object.keys(selector).sort();
  return keys.map((key) => {
    const wrongKey = whyNoLabelKey(key);
    if (wrongKey !== null) throw new InvalidArgumentError(`${where}: ${wrongKey}`);
    return parseCondition(key, selector[key] as string, `${where}, label '${key}'`);
  });
}

function parseCondition(key: string, text: string, where: string): LabelCondition {
  const isNegated = text.startsWith("!");
  const wanted = text.slice(isNegated ? 1 : 0).trim();
  if (wanted === "*") return { key, values: null, isNegated };
  const list = LIST.exec(wanted)?.[1];
  const values = list === undefined ? [wanted] : list.split(",").map((value) => value.trim());
  for (const value of values) {
    if (isLabelText(value)) continue;
    const what = list === undefined ? "" : `, in the list at ${JSON.stringify(value)}`;
    throw new InvalidArgumentError(`${where}: ${JSON.stringify(text)} is not understood${what}; write "v", "!v", "in(a,b)", "!in(a,b)", "*" or "!*", where values are ${TEXT_RULE}`);
  }
  return { key, values: [...new Set(values)].sort(), isNegated };
}

function isLabelText(text: string): boolean {
  return text.length <= LABEL_TEXT_CHARACTERS_MAX && LABEL_TEXT.test(text);
}

export function meetsCondition(labels: Readonly<Record<string, string>>, { key, values, isNegated }: LabelCondition): boolean {
  const value = Object.hasOwn(labels, key) ? labels[key] : undefined;
  const isSo = value !== undefined && (values === null || values.includes(value));
  return isSo !== isNegated;
}

/** Without conditions, every node does. */
export function meetsConditions(labels: Readonly<Record<string, string>>, conditions: readonly LabelCondition[]): boolean {
  return conditions.every((condition) => meetsCondition(labels, condition));
}

/** As it was written: `zone: "in(a,b)"`. */
export function describeCondition({ key, values, isNegated }: LabelCondition): string {
  const wanted = values === null ? "*" : values.length === 1 ? values[0] : `in(${values.join(",")})`;
  return `${key}: "${isNegated ? "!" : ""}${wanted}"`;
}

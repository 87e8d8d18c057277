import assert from "node:assert/strict";
import { test } from "node:test";
import { apiReferenceOf } from "../../scripts/api-reference.mjs";

const DECLARATIONS = `/**
 * Adds.
 *
 * @throws RangeError when it is too much.
 */
export declare function add(a: number, b: number): number;

/** Of strings. */
export declare function add(a: string, b: string): string;

export declare class FullError extends Error {
    readonly code: string;
}

export declare interface Options {
    /** How many. Default 1. */
    count?: number;
    nested?: {
        deep: string;
    };
}

export declare const Options: { new (): Options };
`;

test("the API reference has every name once, with docstrings, declarations and overloads", () => {
  const reference = apiReferenceOf(DECLARATIONS);
  assert.deepEqual(reference.match(/^##.*$/gm), ["## Functions", "### add", "## Classes", "## Errors", "### FullError", "## Types", "### Options"]);
  assert.match(reference, /### add\n\nAdds\.\n\nThrows RangeError when it is too much\.\n\n```ts\nfunction add\(a: number, b: number\): number;\n```\n\nOf strings\.\n\n```ts\nfunction add\(a: string/);
  assert.match(reference, /```ts\ninterface Options \{\n  \/\*\* How many\. Default 1\. \*\/\n  count\?: number;\n  nested\?: \{\n    deep: string;\n  \};\n\}\n```/);
});

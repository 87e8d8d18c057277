import assert from "node:assert/strict";
import { AsyncLocalStorage } from "node:async_hooks";
import { execFile } from "node:child_process";
import { test } from "node:test";
import { promisify } from "node:util";
import { afterThis } from "./microtask.ts";

test("what is to come after this runs once, in its turn among other microtasks, in the context of who asked", async () => {
  const storage = new AsyncLocalStorage<string>();
  const order: string[] = [];
  setImmediate(() => order.push("next turn"));
  queueMicrotask(() => order.push("before"));
  storage.run("asker", () => afterThis(() => order.push(`after, for ${storage.getStore()}`)));
  queueMicrotask(() => order.push("behind"));
  order.push("this");
  await new Promise((resolve) => setImmediate(resolve));
  assert.deepEqual(order, ["this", "before", "after, for asker", "behind", "next turn"]);
});

test("an error in what is to come after this is one of the thread's, which no handler of promises hears of, and costs others nothing", async () => {
  const program = `
    import { afterThis } from ${JSON.stringify(new URL("./microtask.ts", import.meta.url).href)};
    process.on("unhandledRejection", (error) => console.log("rejection", error.message));
    process.on("uncaughtException", (error, origin) => console.log(origin, error.message));
    afterThis(() => { throw new Error("first"); });
    afterThis(() => console.log("second"));
  `;
  const { stdout } = await promisify(execFile)(process.execPath, ["--import", "tsx", "--input-type=module", "-e", program]);
  assert.deepEqual(stdout.trim().split("\n").sort(), ["second", "uncaughtException first"]);
});

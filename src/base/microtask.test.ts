import assert from "node:assert/strict";
import { AsyncLocalStorage } from "node:async_hooks";
import { test } from "node:test";
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

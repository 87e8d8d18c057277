import assert from "node:assert/strict";
import { test } from "node:test";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { Finalizer } from "./finalizer.ts";

const TURNS_MAX = 100;

setFlagsFromString("--expose-gc");
const collect = runInNewContext("gc") as () => void;
const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

async function isCalledFor(register: () => void, calls: () => number): Promise<boolean> {
  const before = calls();
  register();
  for (let turns = 0; turns < TURNS_MAX && calls() === before; turns++) {
    collect();
    await turn();
  }
  return calls() > before;
}

test("is called with what was held, once for each object, and not for what was unregistered", async () => {
  const held: number[] = [];
  const finalizer = new Finalizer<number>((value) => void held.push(value));
  const token = {};
  const register = (): void => {
    finalizer.register({}, 1);
    finalizer.register({}, 2);
    finalizer.register({}, 3, token);
    assert.equal(finalizer.unregister(token), true);
    assert.equal(finalizer.unregister(token), false);
  };
  assert.ok(await isCalledFor(register, () => Math.max(0, held.length - 1)));
  assert.deepEqual(held.sort(), [1, 2]);
});

test("the end of a finalizer that is about to be called keeps no other from being called", async () => {
  let calls = 0;
  const lasting = new Finalizer<null>(() => void calls++);
  let brief: Finalizer<null> | null = new Finalizer<null>(() => undefined);
  (() => brief.register({}, null))();
  await turn();
  collect();
  brief = null;
  await null;
  collect();
  collect();
  await turn();
  assert.ok(await isCalledFor(() => lasting.register({}, null), () => calls));
});

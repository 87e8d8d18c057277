import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { Execution } from "./execution.ts";
import { ExecutionContext } from "./execution-context.ts";

const execution = (name: string): Execution => ({ name }) as Execution;

describe("the context of running code", () => {
  test("there is none outside of a task", () => {
    assert.equal(new ExecutionContext().current(), undefined);
  });

  test("synchronous code sees its task, also nested, and nothing stays behind", () => {
    const context = new ExecutionContext();
    const [outer, inner] = [execution("outer"), execution("inner")];
    context.run(outer, false, () => {
      assert.equal(context.current(), outer);
      context.run(inner, false, () => assert.equal(context.current(), inner));
      assert.equal(context.current(), outer);
      assert.throws(() => context.run(inner, false, () => { throw new Error("thrown inside"); }), /thrown inside/);
      assert.equal(context.current(), outer);
    });
    assert.equal(context.current(), undefined);
  });

  test("code that is called outside has none, and its surroundings keep theirs", async () => {
    const context = new ExecutionContext();
    context.run(execution("sync"), false, () => {
      assert.equal(context.outside(() => context.current()), undefined);
      assert.throws(() => context.outside(() => { throw new Error("thrown outside"); }), /thrown outside/);
      assert.equal(context.current()?.name, "sync");
    });
    await context.run(execution("async"), true, async () => {
      await null;
      assert.equal(context.outside(() => context.outside(() => 1) + (context.current() === undefined ? 1 : 0)), 2);
      assert.equal(context.current()?.name, "async");
    });
  });

  test("asynchronous code keeps its task over awaits, while others run in between", async () => {
    const context = new ExecutionContext();
    const open: (() => void)[] = [];
    const seen: string[] = [];
    const body = async (name: string): Promise<void> => {
      seen.push(`${name} starts as ${context.current()?.name}`);
      await new Promise<void>((resolve) => open.push(resolve));
      seen.push(`${name} goes on as ${context.current()?.name}`);
    };
    const running = ["first", "second"].map((name) => context.run(execution(name), true, () => body(name)));
    context.run(execution("third"), false, () => seen.push(`third runs as ${context.current()?.name}`));
    for (const resolve of open.reverse()) resolve();
    await Promise.all(running);
    assert.deepEqual(seen, [
      "first starts as first", "second starts as second", "third runs as third",
      "second goes on as second", "first goes on as first",
    ]);
    assert.equal(context.current(), undefined);
  });

  test("asynchronous code that starts inside synchronous code sees itself, and so does what is around it", async () => {
    const context = new ExecutionContext();
    const [outer, inner] = [execution("outer"), execution("inner")];
    let after: Promise<unknown> = Promise.resolve();
    context.run(outer, false, () => {
      after = context.run(inner, true, async () => {
        assert.equal(context.current(), inner);
        await null;
        return context.current();
      });
      assert.equal(context.current(), outer);
    });
    assert.equal(await after, inner);
    assert.equal(context.current(), undefined);
  });

  test("synchronous code inside an asynchronous task gives the task back", async () => {
    const context = new ExecutionContext();
    const [outer, inner] = [execution("outer"), execution("inner")];
    await context.run(outer, true, async () => {
      await null;
      context.run(inner, false, () => assert.equal(context.current(), inner));
      assert.equal(context.current(), outer);
    });
  });

  test("code that lost its context belongs to the only task that runs, if there is exactly one", () => {
    const context = new ExecutionContext();
    const [first, second] = [execution("first"), execution("second")];
    context.running.add(first);
    assert.equal(context.current(), first);
    context.running.add(second);
    assert.equal(context.current(), undefined);
    context.run(second, false, () => assert.equal(context.current(), second));
    context.running.delete(first);
    assert.equal(context.current(), second);
  });
});

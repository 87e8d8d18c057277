import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { ExecutionContext } from "./execution-context.ts";
import { Execution } from "./execution.ts";
import { IncomingFunction } from "./incoming-callable.ts";
import { Peer } from "./peer.ts";
import { StreamProducer } from "./stream-producer.ts";
import { StreamRunner } from "./stream-runner.ts";
import { STREAMING } from "./task.ts";

/** A runner whose sending, waiting and clock are recorded. */
class Harness {
  readonly context = new ExecutionContext();
  /** What happened, in order. */
  readonly log: string[] = [];
  nowMs = 0;
  unsendable: unknown = Symbol("nothing");
  readonly runner = new StreamRunner({
    context: this.context,
    nowMs: () => this.nowMs,
    block: () => { this.log.push("block"); return () => this.log.push("unblock"); },
    sendItem: (_, value) => { if (value === this.unsendable) return new Error("no room"); this.log.push(`item ${String(value)}`); return null; },
    sendEnd: () => void this.log.push("end"),
    threw: (_, thrown) => { this.log.push(`threw ${(thrown as Error).message}`); return undefined; },
    refused: (_, error) => { this.log.push(`refused ${error.message}`); return undefined; },
  });

  begin(producer: StreamProducer, returned: unknown, sequence = 1, ownerId = "owner"): { execution: Execution; ended: Promise<void> } {
    const execution = new Execution(new Peer(ownerId), 0, sequence, new IncomingFunction("unit", "f", 0), null, STREAMING, [], null, null);
    execution.stream = producer;
    this.runner.arrived(execution);
    this.context.running.add(execution);
    return { execution, ended: this.runner.run(execution, returned) };
  }
}

const nextTurn = (): Promise<void> => new Promise((resolve) => { setImmediate(resolve); });

function fail(message: string): never {
  throw new Error(message);
}

describe("StreamRunner", () => {
  for (const [name, items] of [["an array", () => ["a", "b"]], ["a generator", function* () { yield "a"; yield "b"; }], ["an asynchronous one", async function* () { yield "a"; yield "b"; }], ["a promise of an array", async () => ["a", "b"]], ["promises", function* () { yield Promise.resolve("a"); yield "b"; }]] as [string, () => unknown][]) {
    test(`sends what is in ${name}, then the end`, async () => {
      const harness = new Harness();
      await harness.begin(new StreamProducer(null), items()).ended;
      assert.deepEqual(harness.log, ["item a", "item b", "end"]);
    });
  }

  test("refuses what is not iterable", async () => {
    const harness = new Harness();
    await harness.begin(new StreamProducer(null), 5).ended;
    assert.match(harness.log.join(), /^threw f\(\).*did not return an iterable/);
  });

  test("the body runs as its task, which gives up its slot in a pause", async () => {
    const harness = new Harness();
    const seen: unknown[] = [];
    const items = async function* () { seen.push(harness.context.current()); yield 1; await nextTurn(); seen.push(harness.context.current()); yield 2; };
    const first = harness.begin(new StreamProducer(1), items());
    const second = harness.begin(new StreamProducer(null), [], 2);
    await second.ended;
    await nextTurn();
    assert.deepEqual(harness.log, ["end", "item 1", "block"]);
    harness.runner.consumed("owner", 1, 1);
    await nextTurn();
    await nextTurn();
    harness.runner.consumed("owner", 1, 2);
    await first.ended;
    assert.deepEqual(harness.log.slice(3), ["unblock", "item 2", "block", "unblock", "end"]);
    assert.deepEqual(seen, [first.execution, first.execution]);
  });

  test("one that is closed ends at its next yield or in its pause, after its finally; others of the owner go on", async () => {
    const harness = new Harness();
    const items = function* (name: string) { try { for (let value = 0; ; value++) yield `${name}${value}`; } finally { harness.log.push(`${name} finally`); } };
    const paused = harness.begin(new StreamProducer(1), items("paused"));
    const other = harness.begin(new StreamProducer(1), items("other"), 2);
    await nextTurn();
    harness.runner.closed("owner", 1);
    harness.runner.closed("owner", 99);
    await paused.ended;
    assert.deepEqual(harness.log, ["item paused0", "block", "item other0", "block", "unblock", "paused finally", "end"]);
    harness.runner.ownerLost("another");
    await nextTurn();
    harness.runner.ownerLost("owner");
    await other.ended;
    assert.deepEqual(harness.log.slice(7), ["unblock", "other finally", "end"]);
  });

  test("a value that comes after the close is not sent", async () => {
    const harness = new Harness();
    let produce = (): void => undefined;
    const items = async function* () { await new Promise<void>((resolve) => { produce = resolve; }); yield "late"; };
    const { ended } = harness.begin(new StreamProducer(null), items());
    await nextTurn();
    harness.runner.closed("owner", 1);
    produce();
    await ended;
    assert.deepEqual(harness.log, ["end"]);
  });

  test("after its outcome nothing reaches it", async () => {
    const harness = new Harness();
    const producer = new StreamProducer(1);
    const { execution } = harness.begin(producer, ["a"]);
    harness.runner.ended(execution);
    harness.runner.closed("owner", 1);
    harness.runner.ownerLost("owner");
    assert.equal(producer.isClosed, false);
    producer.close();
  });

  test("lets the event loop turn now and then: what is said meanwhile is heard", async () => {
    const harness = new Harness();
    let value = 0;
    const items = function* () { for (;;) { harness.nowMs += 1; yield value++; } };
    const { ended } = harness.begin(new StreamProducer(null), items());
    setImmediate(() => harness.runner.closed("owner", 1));
    await ended;
    assert.ok(value <= 10, `${value} values in ${value} ms`);
  });

  test("an error of the generator is its outcome; a value that cannot be sent lets it clean up first, and counts", async () => {
    const throwing = new Harness();
    await throwing.begin(new StreamProducer(null), (function* () { yield 1; throw new Error("broken"); })()).ended;
    assert.deepEqual(throwing.log, ["item 1", "threw broken"]);

    const unsendable = new Harness();
    unsendable.unsendable = 2;
    await unsendable.begin(new StreamProducer(null), (function* () { try { yield 1; yield 2; } finally { unsendable.log.push("finally"); fail("and this"); } })()).ended;
    assert.deepEqual(unsendable.log, ["item 1", "finally", "refused no room"]);

    const rejecting = new Harness();
    await rejecting.begin(new StreamProducer(null), (function* () { try { yield Promise.reject(new Error("rejected")); } finally { rejecting.log.push("finally"); } })()).ended;
    assert.deepEqual(rejecting.log, ["finally", "threw rejected"]);

    const closing = new Harness();
    const { ended } = closing.begin(new StreamProducer(1), (function* () { try { yield 1; } finally { fail("cannot clean up"); } })());
    await nextTurn();
    closing.runner.closed("owner", 1);
    await ended;
    assert.deepEqual(closing.log, ["item 1", "block", "unblock", "threw cannot clean up"]);
  });
});

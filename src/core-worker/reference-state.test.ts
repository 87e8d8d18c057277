import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { type ReferenceInstruction, ReferenceState } from "./reference-state.ts";

describe("references: the numbered transitions", () => {
  test("(1) (4) an own object is freed with its last pin", () => {
    const state = new ReferenceState("me");
    assert.deepEqual(state.pin("o", "me"), []);
    assert.deepEqual(state.pin("o", "me"), []);
    assert.deepEqual(state.unpin("o"), []);
    assert.deepEqual(state.unpin("o"), [{ type: "free", id: "o" }]);
    assert.equal(state.has("o"), false);
  });

  test("(2) (3) borrowers keep it after the last pin, until the last of them is gone", () => {
    const state = new ReferenceState("me");
    state.pin("o", "me");
    assert.deepEqual(state.addBorrower("o", "a"), []);
    assert.deepEqual(state.addBorrower("o", "b"), []);
    assert.deepEqual(state.addBorrower("o", "b"), [], "a message that comes twice acts once");
    assert.deepEqual(state.unpin("o"), []);
    assert.deepEqual(state.removeBorrower("o", "a"), []);
    assert.deepEqual(state.removeBorrower("o", "a"), []);
    assert.deepEqual(state.snapshot(), [{ id: "o", ownerId: "me", pins: 0, borrowers: 1 }]);
    assert.deepEqual(state.removeBorrower("o", "b"), [{ type: "free", id: "o" }]);
  });

  test("(3) a borrower that ends borrows nothing any more", () => {
    const state = new ReferenceState("me");
    for (const id of ["o1", "o2"]) {
      state.pin(id, "me");
      state.addBorrower(id, "a");
    }
    state.unpin("o1");
    assert.deepEqual(state.borrowerLost("a"), [{ type: "free", id: "o1" }]);
    assert.equal(state.has("o2"), true);
  });

  test("(5) (6) the first pin of a borrowed object tells its owner, and so does the last", () => {
    const state = new ReferenceState("me");
    assert.deepEqual(state.pin("o", "owner"), [{ type: "register", ownerId: "owner", id: "o" }]);
    assert.deepEqual(state.pin("o", "owner"), []);
    assert.deepEqual(state.unpin("o"), []);
    assert.deepEqual(state.unpin("o"), [{ type: "unregister", ownerId: "owner", id: "o" }]);
    assert.deepEqual(state.pin("o", "owner"), [{ type: "register", ownerId: "owner", id: "o" }], "and again");
  });

  test("what a lost worker owned is orphaned, and known until its last pin is gone", () => {
    const state = new ReferenceState("me");
    state.pin("o", "owner");
    state.pin("mine", "me");
    assert.deepEqual(state.ownerLost("owner"), ["o"]);
    assert.deepEqual(state.pin("o", "owner"), []);
    assert.deepEqual(state.unpin("o"), []);
    assert.deepEqual(state.unpin("o"), [{ type: "unregister", ownerId: "owner", id: "o" }]);
    assert.equal(state.has("o"), false);
    assert.equal(state.has("mine"), true);
  });

  test("the reasons why something is kept, to be shown", () => {
    const state = new ReferenceState("me");
    state.pin("o", "me");
    state.pin("o", "me");
    state.addBorrower("o", "a");
    assert.deepEqual(state.reasons("o"), { pins: 2, borrowerIds: ["a"] });
    assert.deepEqual(state.reasons("gone"), { pins: 0, borrowerIds: [] });
  });

  test("messages about what is gone are ignored", () => {
    const state = new ReferenceState("me");
    assert.deepEqual(state.addBorrower("o", "a"), []);
    assert.deepEqual(state.removeBorrower("o", "a"), []);
    assert.equal(state.has("o"), false);
  });
});

// ------------------------------------------------------------------ several workers

type Message =
  | { readonly type: "ref"; readonly id: string; readonly owner: number; readonly transit: number }
  | { readonly type: "addBorrower"; readonly id: string; readonly ack: number }
  | { readonly type: "borrowerAdded"; readonly ack: number }
  | { readonly type: "removeBorrower"; readonly id: string }
  | { readonly type: "releaseTransit"; readonly transit: number };

interface Handle {
  readonly id: string;
  readonly owner: number;
}

/**
 * Workers with a channel from each to each other, in order but at any speed, that hand refs around as the runtime does: a
 * ref on its way is pinned by its sender until the receiver has confirmed, and the receiver confirms when the owner knows.
 */
class World {
  readonly states: ReferenceState[];
  readonly names: string[];
  readonly channels = new Map<string, Message[]>();
  readonly handles: Handle[][];
  readonly transits = new Map<number, string>();
  readonly whenAdded = new Map<number, () => void>();
  readonly freed = new Set<string>();
  readonly lost = new Set<number>();
  readonly objects: Handle[] = [];
  #next = 1;

  constructor(workers: number) {
    this.names = Array.from({ length: workers }, (_, index) => `w${index}`);
    this.states = this.names.map((name) => new ReferenceState(name));
    this.handles = this.names.map(() => []);
  }

  #send(from: number, to: number, message: Message): void {
    if (this.lost.has(from) || this.lost.has(to)) return;
    const key = `${from}>${to}`;
    const channel = this.channels.get(key) ?? [];
    this.channels.set(key, channel);
    channel.push(message);
  }

  #act(worker: number, instructions: readonly ReferenceInstruction[], registered: (ack: number | null) => void = () => undefined): void {
    for (const instruction of instructions) {
      switch (instruction.type) {
        case "free":
          assert.ok(!this.#isHeld(instruction.id), `${instruction.id} is freed while somebody holds it`);
          assert.ok(!this.freed.has(instruction.id), "once");
          this.freed.add(instruction.id);
          break;
        case "register": {
          const owner = this.names.indexOf(instruction.ownerId);
          const ack = this.#next++;
          registered(this.lost.has(owner) ? null : ack);
          this.#send(worker, owner, { type: "addBorrower", id: instruction.id, ack });
          break;
        }
        case "unregister":
          this.#send(worker, this.names.indexOf(instruction.ownerId), { type: "removeBorrower", id: instruction.id });
          break;
      }
    }
  }

  /** By a handle somewhere, or by a message on its way between workers that live. */
  #isHeld(id: string): boolean {
    if (this.handles.some((handles, worker) => !this.lost.has(worker) && handles.some((handle) => handle.id === id))) return true;
    for (const [key, channel] of this.channels) {
      const [from, to] = key.split(">").map(Number) as [number, number];
      if (this.lost.has(from) || this.lost.has(to)) continue;
      if (channel.some((message) => message.type === "ref" && message.id === id)) return true;
    }
    return false;
  }

  create(worker: number): void {
    if (this.lost.has(worker)) return;
    const handle = { id: `o${this.#next++}`, owner: worker };
    this.objects.push(handle);
    this.handles[worker]?.push(handle);
    this.#act(worker, (this.states[worker] as ReferenceState).pin(handle.id, this.names[worker] as string));
  }

  pass(from: number, to: number, which: number): void {
    const handles = this.handles[from] as Handle[];
    if (from === to || handles.length === 0 || this.lost.has(from) || this.lost.has(to)) return;
    const { id, owner } = handles[which % handles.length] as Handle;
    const transit = this.#next++;
    this.transits.set(transit, id);
    this.#act(from, (this.states[from] as ReferenceState).pin(id, this.names[owner] as string));
    this.#send(from, to, { type: "ref", id, owner, transit });
  }

  drop(worker: number, which: number): void {
    const handles = this.handles[worker] as Handle[];
    if (handles.length === 0 || this.lost.has(worker)) return;
    const [handle] = handles.splice(which % handles.length, 1) as [Handle];
    this.#act(worker, (this.states[worker] as ReferenceState).unpin(handle.id));
  }

  /** Delivers one message of some channel. False when nothing is on its way. */
  deliver(which: number): boolean {
    const busy = [...this.channels].filter(([, channel]) => channel.length > 0);
    if (busy.length === 0) return false;
    const [key, channel] = busy[which % busy.length] as [string, Message[]];
    const [from, to] = key.split(">").map(Number) as [number, number];
    this.#receive(from, to, channel.shift() as Message);
    return true;
  }

  #receive(from: number, to: number, message: Message): void {
    const state = this.states[to] as ReferenceState;
    switch (message.type) {
      case "ref": {
        const { id, owner, transit } = message;
        assert.ok(!this.freed.has(id) || this.lost.has(owner), "a ref that arrives stands for something");
        this.handles[to]?.push({ id, owner });
        const release = (): void => this.#send(to, from, { type: "releaseTransit", transit });
        let awaited: number | null = null;
        this.#act(to, state.pin(id, this.names[owner] as string), (ack) => { awaited = owner === from ? null : ack; });
        if (awaited === null) release();
        else this.whenAdded.set(awaited, release);
        return;
      }
      case "addBorrower":
        assert.ok(state.has(message.id), "the owner still has what somebody registers for");
        this.#act(to, state.addBorrower(message.id, this.names[from] as string));
        return this.#send(to, from, { type: "borrowerAdded", ack: message.ack });
      case "borrowerAdded":
        this.whenAdded.get(message.ack)?.();
        this.whenAdded.delete(message.ack);
        return;
      case "removeBorrower":
        return this.#act(to, state.removeBorrower(message.id, this.names[from] as string));
      case "releaseTransit": {
        const id = this.transits.get(message.transit) as string;
        this.transits.delete(message.transit);
        return this.#act(to, state.unpin(id));
      }
    }
  }

  settle(): void {
    while (this.deliver(0));
    for (const [worker, handles] of this.handles.entries()) {
      if (this.lost.has(worker)) continue;
      for (const { id, owner } of handles) if (!this.lost.has(owner)) assert.ok(!this.freed.has(id), `${id} is held and was freed`);
    }
    for (let worker = 0; worker < this.states.length; worker++) while (!this.lost.has(worker) && (this.handles[worker] as Handle[]).length > 0) this.drop(worker, 0);
    while (this.deliver(0));
  }
}

const WORKERS = 4;
const worker = fc.nat({ max: WORKERS - 1 });
const step = fc.oneof(
  { weight: 2, arbitrary: fc.tuple(fc.constant("create" as const), worker) },
  { weight: 6, arbitrary: fc.tuple(fc.constant("pass" as const), worker, worker, fc.nat({ max: 20 })) },
  { weight: 5, arbitrary: fc.tuple(fc.constant("drop" as const), worker, fc.nat({ max: 20 })) },
  { weight: 8, arbitrary: fc.tuple(fc.constant("deliver" as const), fc.nat({ max: 20 })) },
);

test("references: never freed while somebody holds one, always freed at the end, however they are passed around", () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 150, size: "max" }), (steps) => {
      const world = new World(WORKERS);
      for (const action of steps) {
        switch (action[0]) {
          case "create": world.create(action[1]); break;
          case "pass": world.pass(action[1], action[2], action[3]); break;
          case "drop": world.drop(action[1], action[2]); break;
          case "deliver": world.deliver(action[1]); break;
        }
      }
      world.settle();
      assert.deepEqual(world.states.flatMap((state) => state.snapshot()), [], "nothing is tracked any more");
      assert.deepEqual([...world.freed].sort(), world.objects.map(({ id }) => id).sort());
      assert.equal(world.transits.size + world.whenAdded.size, 0);
    }),
    { numRuns: 500 },
  );
});

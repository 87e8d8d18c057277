import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import type { ArgumentRecord } from "../protocol/mod.ts";
import { ArgumentPullsState, type LeaseRequest } from "./argument-pulls-state.ts";
import { oneCpu } from "./fixtures/lease-instructions.ts";

const OWN = "aaaaaaaa";
const OTHER = "bbbbbbbb";
const OWNER = `${OTHER}000000000001`;
const STORE_BYTES = 1_000;

const object = (id: number, byteLength = 100, node = OTHER): ArgumentRecord => ({ node, id, byteLength });
const request = (key: string, target: number, ...objects: ArgumentRecord[]): LeaseRequest => ({ ownerId: OWNER, key, target, priority: 0, shape: { ...oneCpu, arguments: { type: "named", objects } } });
const brief = (state: ArgumentPullsState): string[] =>
  state.takeInstructions().map((instruction) => (instruction.type === "demand" ? `demand ${instruction.request.key} ${instruction.request.target}` : `${instruction.type} ${instruction.object.id}`));

describe("arguments that are fetched before a lease is given", () => {
  test("the scheduler hears of a lease when its arguments are here", () => {
    const state = new ArgumentPullsState(OWN, STORE_BYTES);
    assert.ok(state.demand(request("k", 1, object(1), object(2))));
    assert.deepEqual(brief(state), ["pull 1", "pull 2"]);
    state.settled(object(2));
    assert.deepEqual(brief(state), []);
    state.settled(object(1));
    assert.deepEqual(brief(state), ["demand k 1"]);
  });

  test("arguments that lie here, or are not named, hold up nothing", () => {
    const state = new ArgumentPullsState(OWN, STORE_BYTES);
    assert.equal(state.demand(request("k", 1, object(1, 100, OWN))), false);
    assert.equal(state.demand({ ...request("l", 1), shape: oneCpu }), false);
    assert.deepEqual(brief(state), []);
  });

  test("what goes elsewhere or is cancelled before is fetched no further, unless another needs it too", () => {
    const state = new ArgumentPullsState(OWN, STORE_BYTES);
    state.demand(request("k", 1, object(1), object(2)));
    state.demand(request("l", 1, object(2), object(3)));
    assert.deepEqual(brief(state), ["pull 1", "pull 2", "pull 3"], "what both have is fetched once");
    state.demand(request("k", 0, object(1), object(2)));
    assert.deepEqual(brief(state), ["demand k 0", "cancelPull 1"]);
    state.settled(object(1));
    state.ownerLost(OWNER);
    assert.deepEqual(brief(state), ["cancelPull 2", "cancelPull 3"]);
  });

  test("no more is fetched ahead than half of the store holds, in the order of the demands; one set may be larger", () => {
    const state = new ArgumentPullsState(OWN, STORE_BYTES);
    state.demand(request("a", 1, object(1, 400)));
    state.demand(request("b", 1, object(2, 200)));
    state.demand(request("c", 1, object(3, 50)));
    assert.deepEqual(brief(state), ["pull 1"], "c does not overtake b, which would wait for ever then");
    state.settled(object(1));
    assert.deepEqual(brief(state), ["demand a 1"]);
    state.granted(OWNER, "a");
    assert.deepEqual(brief(state), ["pull 2", "pull 3"]);
    state.demand(request("d", 1, object(4, 900)));
    assert.deepEqual(brief(state), []);
    state.demand(request("b", 0, object(2, 200)));
    state.demand(request("c", 0, object(3, 50)));
    assert.deepEqual(brief(state), ["demand b 0", "cancelPull 2", "demand c 0", "cancelPull 3", "pull 4"]);
  });

  test("leases that are wanted later are waited for again", () => {
    const state = new ArgumentPullsState(OWN, STORE_BYTES);
    state.demand(request("k", 2, object(1)));
    state.settled(object(1));
    state.granted(OWNER, "k");
    state.demand(request("k", 3, object(1)));
    assert.deepEqual(brief(state), ["pull 1", "demand k 2", "demand k 3"], "while they are here, at once");
    state.granted(OWNER, "k");
    state.granted(OWNER, "k");
    state.demand(request("k", 4, object(1)));
    assert.deepEqual(brief(state), ["pull 1"]);
    state.settled(object(1));
    assert.deepEqual(brief(state), ["demand k 4"]);
  });

  test("whatever happens, every lease that is still wanted is demanded in the end, and what is fetched ahead stays bounded", () => {
    const event = fc.record({ type: fc.constantFrom("demand", "withdraw", "settle", "grant", "lost"), key: fc.nat(4), owner: fc.nat(1), pick: fc.nat(20) });
    fc.assert(fc.property(fc.array(event, { maxLength: 80 }), (events) => {
      const state = new ArgumentPullsState(OWN, STORE_BYTES);
      const pulling = new Map<number, ArgumentRecord>();
      const wanted = new Map<string, { target: number; granted: number; told: number; request: LeaseRequest }>();
      const act = (): void => {
        for (const instruction of state.takeInstructions()) {
          if (instruction.type === "pull") {
            assert.ok(!pulling.has(instruction.object.id), "an object is fetched once at a time");
            pulling.set(instruction.object.id, instruction.object);
          } else if (instruction.type === "cancelPull") {
            assert.ok(pulling.delete(instruction.object.id), "what is cancelled is being fetched");
          } else {
            const wish = wanted.get(instruction.request.ownerId + instruction.request.key);
            if (wish !== undefined) wish.told = instruction.request.target;
          }
        }
        const bytes = [...pulling.values()].reduce((sum, { byteLength }) => sum + byteLength, 0);
        assert.ok(bytes <= STORE_BYTES / 2 || pulling.size <= 2, `${bytes} bytes are on their way`);
      };
      for (const { type, key, owner, pick } of events) {
        const ownerId = `${OTHER}00000000000${owner}`;
        const id = `${ownerId}k${key}`;
        const wish = wanted.get(id);
        const ask = (target: number): LeaseRequest => ({ ...request(`k${key}`, target, object(key, 150), object(key + 1, 150)), ownerId });
        if (type === "demand") {
          const target = (wish?.target ?? 0) + 1;
          wanted.set(id, { target, granted: wish?.granted ?? 0, told: wish?.told ?? 0, request: ask(target) });
          state.demand(ask(target));
        } else if (type === "withdraw" && wish !== undefined) {
          wanted.delete(id);
          state.demand(ask(0));
        } else if (type === "settle") {
          const chosen = [...pulling.values()][pick % Math.max(1, pulling.size)];
          if (chosen !== undefined) {
            pulling.delete(chosen.id);
            state.settled(chosen);
          }
        } else if (type === "grant" && wish !== undefined && wish.granted < wish.told) {
          wish.granted++;
          state.granted(ownerId, `k${key}`);
        } else if (type === "lost") {
          for (const [other, { request: { ownerId: of } }] of [...wanted]) if (of === ownerId) wanted.delete(other);
          state.ownerLost(ownerId);
        }
        act();
      }
      for (let round = 0; round < 200; round++) {
        for (const [id, chosen] of [...pulling]) { pulling.delete(id); state.settled(chosen); }
        act();
        for (const wish of wanted.values()) while (wish.granted < wish.told) { wish.granted++; state.granted(wish.request.ownerId, wish.request.key); }
        act();
      }
      for (const [id, { target, granted }] of wanted) assert.equal(granted, target, `${id} is served`);
      assert.equal(pulling.size, 0);
    }));
  });
});

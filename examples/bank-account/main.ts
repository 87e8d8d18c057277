/**
 * From a plain class to an actor.
 *
 * It teaches that a class needs no change to become an actor, that calls on an actor run one at a time and in
 * order, that what a method throws arrives with its own class as the `cause` of a TaskError and leaves the
 * actor running, that a named actor can be found from anywhere, and that a detached one outlives its handles.
 */
import { parseArgs } from "node:util";
import * as ray from "mantaray";

class InsufficientFunds extends Error {
  readonly missing: number;

  constructor(balance: number, amount: number) {
    super(`the account holds ${balance}, not ${amount}`);
    this.name = "InsufficientFunds";
    this.missing = amount - balance;
  }
}

class BankAccount {
  readonly owner: string;
  #balance: number;

  constructor(owner: string, balance = 0) {
    this.owner = owner;
    this.#balance = balance;
  }

  deposit(amount: number): number {
    this.#balance += amount;
    return this.#balance;
  }

  withdraw(amount: number): number {
    if (amount > this.#balance) throw new InsufficientFunds(this.#balance, amount);
    this.#balance -= amount;
    return this.#balance;
  }

  balance(): number {
    return this.#balance;
  }
}

const { values } = parseArgs({ options: { isolation: { type: "string" } } });
await ray.init({ isolation: values.isolation as ray.Isolation | undefined, namespace: "bank" });

// 1. The plain class, in this process.
const plain = new BankAccount("Ada", 100);
plain.deposit(50);
console.log(`plain object: ${plain.owner} has ${plain.balance()}`);

// 2. The same class as an actor: `.remote` instead of `new`, `.remote` on each call, `get` for a result.
const Account = ray.remote(BankAccount);
const ada = Account.remote("Ada", 100);
console.log(`actor: Ada has ${await ray.get(ada.deposit.remote(50))}`);

// 3. One call at a time, in the order of this caller: nothing is lost, and no lock is needed.
const deposits = Array.from({ length: 1000 }, () => ada.deposit.remote(1));
const balances = await ray.get(deposits);
const inOrder = balances.every((balance, index) => balance === 151 + index);
console.log(`after 1000 deposits at once Ada has ${balances.at(-1)}, each one in order: ${inOrder}`);

// 4. An exception of a method is the `cause` of what `get` throws. The actor goes on.
try {
  await ray.get(ada.withdraw.remote(5000));
} catch (error) {
  if (!(error instanceof ray.TaskError && error.cause instanceof InsufficientFunds)) throw error;
  console.log(`${error.cause.name}: ${error.cause.message}; ${error.cause.missing} are missing`);
}
console.log(`Ada still has ${await ray.get(ada.balance.remote())}`);

// 5. A name, within the namespace given to init: whoever knows it, finds the actor.
const grace = Account.options({ name: "grace" }).remote("Grace", 10);
await ray.get(grace.ready());

const payInterest = ray.remote(async (name: string, percent: number) => {
  const account = await ray.getActor<BankAccount>(name);
  const balance = await ray.get(account.balance.remote());
  return ray.get(account.deposit.remote((balance * percent) / 100));
});
console.log(`with interest, paid by a task that knows the name, Grace has ${await ray.get(payInterest.remote("grace", 10))}`);

// 6. An actor ends with its last handle, unless it is detached: then it stays until it is killed.
const savings = Account.options({ name: "savings", lifetime: "detached", getIfExists: true }).remote("Everybody", 1_000);
await ray.get(savings.deposit.remote(234));
savings.release();

const found = await ray.getActor<BankAccount>("savings");
console.log(`found again without a handle: the savings are ${await ray.get(found.balance.remote())}`);
console.log(`named actors: ${(await ray.listNamedActors()).map((actor) => actor.name).sort().join(", ")}`);

await ray.kill(found);
try {
  await ray.get(found.balance.remote());
} catch (error) {
  if (!(error instanceof ray.ActorDiedError)) throw error;
  console.log("killed: the savings account answers no more");
}

await ray.shutdown();

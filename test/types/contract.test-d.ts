// What the types promise to users, checked by `npm run typecheck` against the sources and by test/package
// against the packed package. Nothing here runs.
import * as ray from 'mantaray';

type Equal<Left, Right> =
  (<T>() => T extends Left ? 1 : 2) extends <T>() => T extends Right ? 1 : 2 ? true : false;
/** Compiles only if `Same` is `true`. */
declare function assertType<Same extends true>(): Same;

class Account {
  private balanceNow: number;
  readonly limit: number;
  constructor(start: number, limit = 0) {
    this.balanceNow = start;
    this.limit = limit;
  }
  deposit(amount: number) {
    return (this.balanceNow += amount);
  }
  async balance(): Promise<number> {
    return this.balanceNow;
  }
  protected audit(): number {
    return this.balanceNow;
  }
  *history(): Generator<string> {
    yield 'opened';
  }
}

export async function tasks() {
  const square = ray.remote((x: number) => x * x);
  const nine = square.remote(3);
  assertType<Equal<typeof nine, ray.ObjectRef<number>>>();
  // A ref stands for its value as an argument.
  const eightyOne = square.remote(nine);
  // @ts-expect-error the argument is a number
  square.remote('a');
  // @ts-expect-error so is the value behind a ref
  square.remote(ray.put('a'));

  const measure = ray.remote(async (text: string, extra?: number) => text.length + (extra ?? 0));
  const length = measure.remote('a');
  assertType<Equal<typeof length, ray.ObjectRef<number>>>();

  const pair = ray
    .remote(() => [1, 'b'] as [number, string])
    .options({ numReturns: 2 })
    .remote();
  assertType<Equal<typeof pair, [ray.ObjectRef<number>, ray.ObjectRef<string>]>>();

  const count = ray.remote(async function* (to: number) {
    for (let n = 0; n < to; n++) yield n;
  });
  const counted = count.remote(3);
  assertType<Equal<typeof counted, ray.ObjectRefGenerator<number>>>();
  for await (const ref of counted) {
    const value = await ref.get();
    assertType<Equal<typeof value, number>>();
  }

  // A ref inside a value stays a ref.
  const howMany = ray.remote((refs: ray.ObjectRef<number>[]) => refs.length).remote([nine, eightyOne]);
  assertType<Equal<typeof howMany, ray.ObjectRef<number>>>();

  // A function that returns `any` gives one plain ref, not a stream.
  const loose = ray.remote((x: any) => x).remote(1);
  assertType<Equal<typeof loose, ray.ObjectRef<any>>>();

  // One ref of several types, not one of several refs.
  const some = ray.remote((x: number) => (x > 1 ? x : x > 0 ? 'a' : undefined)).remote(1);
  assertType<Equal<typeof some, ray.ObjectRef<number | 'a' | undefined>>>();
  const isLarge = ray.remote(async (x: number) => x > 1).remote(1);
  assertType<Equal<typeof isLarge, ray.ObjectRef<boolean>>>();

  // A function that never returns has a ref, of the error.
  const failing = ray.remote(() => {
    throw new Error('always');
  }).remote();
  assertType<Equal<typeof failing, ray.ObjectRef<never>>>();

  // A task may return a ref without its being unwrapped.
  const inner = await ray.get(ray.remote(() => ray.put(1)).remote());
  assertType<Equal<typeof inner, ray.ObjectRef<number>>>();
}

export async function objects() {
  const one = ray.put(1);
  const two = ray.put(2);
  const both = await ray.get([one, two]);
  assertType<Equal<typeof both, [number, number]>>();

  const list: ray.ObjectRef<number>[] = [one, two];
  const values = await ray.get(list);
  assertType<Equal<typeof values, number[]>>();

  const mixed = await ray.get([ray.put('a'), ray.put(1), ray.put(new Map<string, number>())]);
  assertType<Equal<typeof mixed, [string, number, Map<string, number>]>>();

  const samples = await ray.get(ray.put(new Float64Array(3)));
  assertType<Equal<typeof samples, Float64Array<ArrayBuffer>>>();

  const [ready, notReady] = await ray.wait([one, two], { numReturns: 1, timeoutMs: 10 });
  const first = await ready[0]!.get();
  assertType<Equal<typeof first, number>>();
  assertType<Equal<typeof notReady, ray.ObjectRef<number>[]>>();

  using disposed = ray.put(1);
  assertType<Equal<typeof disposed, ray.ObjectRef<number>>>();
}

export async function actors() {
  const RemoteAccount = ray.remote(Account, { maxRestarts: 3 });
  const account = RemoteAccount.options({ name: 'savings' }).remote(100);
  const deposited = account.deposit.remote(5);
  assertType<Equal<typeof deposited, ray.ObjectRef<number>>>();
  const balance = account.balance.remote();
  assertType<Equal<typeof balance, ray.ObjectRef<number>>>();
  const history = account.history.remote();
  assertType<Equal<typeof history, ray.ObjectRefGenerator<string>>>();
  // @ts-expect-error the class has no such method
  account.withdraw.remote();
  // @ts-expect-error private state is not reachable
  void account.balanceNow;
  // @ts-expect-error nor are protected methods
  void account.audit;
  // A method has its own argument types, refs of them included.
  assertType<Equal<typeof account.deposit, ray.ActorMethod<[amount: number], number>>>();
  account.deposit.remote(ray.put(5));
  // @ts-expect-error a ref of something else is none of them
  account.deposit.remote(ray.put('5'));
  // @ts-expect-error nor are fields: only methods are remote
  void account.limit;
  // @ts-expect-error the constructor takes a number
  RemoteAccount.remote('100');

  const named = await ray.getActor<Account>('savings');
  named.deposit.remote(1);

  const pool = new ray.ActorPool([account]);
  for await (const sum of pool.map((actor, amount: number) => actor.deposit.remote(amount), [1, 2])) {
    assertType<Equal<typeof sum, number>>();
  }

  // Handles travel to tasks, and handles of any class can be killed.
  const depositIn = ray.remote(async (target: ray.ActorHandle<Account>) => ray.get(target.deposit.remote(1)));
  depositIn.remote(account);
  await ray.kill(account, { noRestart: false });
}

export async function queues() {
  const queue = new ray.Queue<string>({ maxSize: 10, actorOptions: { numCpus: 0 } });
  await queue.put('a', { timeoutMs: 10, signal: new AbortController().signal });
  // @ts-expect-error items are strings
  await queue.put(1);
  const item = await queue.get();
  assertType<Equal<typeof item, string>>();
  const items = await queue.getBatch(2);
  assertType<Equal<typeof items, string[]>>();
  for await (const each of queue) assertType<Equal<typeof each, string>>();
  ray.remote(async (given: ray.Queue<string>) => given.get()).remote(queue);
  await queue.shutdown({ force: true });
}

export async function pools() {
  await using pool = new ray.Pool({ processes: 2, initializer: (name: string) => name, initArgs: ['a'] });
  const applied = await pool.apply((text: string, count: number) => text.length + count, ['a', 1]);
  assertType<Equal<typeof applied, number>>();
  // @ts-expect-error the second argument is a number
  await pool.apply((text: string, count: number) => text.length + count, ['a', 'b']);
  const mapped = await pool.map(async (value: number) => String(value), [1, 2]);
  assertType<Equal<typeof mapped, string[]>>();
  const starred = pool.starmapAsync((text: string, count: number) => text.length + count, [['a', 1]]);
  assertType<Equal<typeof starred, ray.AsyncResult<number[]>>>();
  for await (const each of pool.imap((value: number) => value > 1, [1, 2], { chunkSize: 2 })) assertType<Equal<typeof each, boolean>>();
}

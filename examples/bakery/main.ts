/**
 * A bakery: bakers fill a shelf, and customers empty it.
 *
 * It teaches `Queue`: producers and consumers that know nothing of each other, a bound that makes quick ones wait for slow ones, items
 * that each go to one reader, iteration until the queue is shut down, batches, and what happens to those who will not wait.
 */
import { parseArgs } from "node:util";
import * as ray from "mantaray";

const BAKERS = ["Ada", "Grace"];
const CUSTOMERS = 3;
const LOAVES_EACH = 60;
const SHELF_MAX = 8;

interface Loaf {
  readonly baker: string;
  readonly number: number;
}

/** Waits at `put` whenever the shelf is full; answers how many loaves were there when it looked. */
const bake = ray.remote(async (baker: string, shelf: ray.Queue<Loaf>): Promise<number> => {
  let most = 0;
  for (let number = 1; number <= LOAVES_EACH; number++) {
    await shelf.put({ baker, number });
    most = Math.max(most, await shelf.size());
  }
  return most;
}, { numCpus: 0 });

/** Comes back until the bakery is closed. */
const buy = ray.remote(async (shelf: ray.Queue<Loaf>, till: ray.Queue<number>): Promise<Loaf[]> => {
  const bought: Loaf[] = [];
  for await (const loaf of shelf) {
    bought.push(loaf);
    await till.put(2);
  }
  return bought;
}, { numCpus: 0 });

const { values } = parseArgs({ options: { isolation: { type: "string" } } });
await ray.init({ isolation: values.isolation as ray.Isolation | undefined });

const shelf = new ray.Queue<Loaf>({ maxSize: SHELF_MAX });
const till = new ray.Queue<number>();

const purchases = Array.from({ length: CUSTOMERS }, () => buy.remote(shelf, till));
const most = Math.max(...(await ray.get(BAKERS.map((baker) => bake.remote(baker, shelf)))));
console.log(`never more than ${SHELF_MAX} loaves on the shelf: ${most <= SHELF_MAX}`);

// A loaf is sold when it is paid for; then nobody holds one that is not in the books, and the bakery may close.
let earned = 0;
for (let sold = 0; sold < BAKERS.length * LOAVES_EACH; sold++) earned += await till.get();
await shelf.shutdown();

const bought = (await ray.get(purchases)).flat();
const distinct = new Set(bought.map(({ baker, number }) => `${baker} ${number}`));
console.log(`${bought.length} loaves sold for ${earned}, each of them once: ${distinct.size === bought.length}`);

// Whoever will not wait is told so at once, or after a while; a batch comes whole or not at all.
await till.putBatch([1, 2, 3]);
await till.getBatch(5).catch((error: Error) => console.log(`${error.name}: ${error.message}`));
console.log(`change from the till: ${(await till.getBatch(3)).join(" + ")}`);
await till.get({ timeoutMs: 10 }).catch((error: Error) => console.log(`${error.name}: ${error.message}`));

await ray.shutdown();

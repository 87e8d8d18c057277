/**
 * Conway's game of life, with an actor for every cell.
 *
 * It teaches that actors may be many and small: with `isolation: "shared"` a thousand of them live in a few workers, each
 * with its own state, and talk to each other directly. A cell looks at its neighbours while they look at theirs: `look` is
 * asynchronous, so calls of one cell interleave at its await, and nobody waits in a circle.
 */
import { parseArgs } from "node:util";
import * as ray from "mantaray";

const WIDTH = 32;
const HEIGHT = 32;
const GENERATIONS = 8;
const GLIDER = [[1, 0], [2, 1], [0, 2], [1, 2], [2, 2]] as const;
/** What is shown of the board. */
const SHOWN = 6;

class Cell {
  #isAlive: boolean;
  #willBeAlive = false;
  #neighbours: readonly CellHandle[] = [];

  constructor(isAlive: boolean) {
    this.#isAlive = isAlive;
  }

  meet(neighbours: readonly CellHandle[]): void {
    this.#neighbours = neighbours;
  }

  isAlive(): boolean {
    return this.#isAlive;
  }

  async look(): Promise<void> {
    const alive = await ray.get(this.#neighbours.map((neighbour) => neighbour.isAlive.remote()));
    const count = alive.filter(Boolean).length;
    this.#willBeAlive = count === 3 || (count === 2 && this.#isAlive);
  }

  step(): boolean {
    return (this.#isAlive = this.#willBeAlive);
  }
}
type CellHandle = ray.ActorHandle<Cell>;

/** The board has no edges: what leaves on one side comes back on the other. */
const indexOf = (x: number, y: number): number => ((y + HEIGHT) % HEIGHT) * WIDTH + ((x + WIDTH) % WIDTH);

function neighboursOf(cells: readonly CellHandle[], index: number): CellHandle[] {
  const [x, y] = [index % WIDTH, Math.floor(index / WIDTH)];
  return [-1, 0, 1].flatMap((dy) => [-1, 0, 1].filter((dx) => dx !== 0 || dy !== 0).map((dx) => cells[indexOf(x + dx, y + dy)]!));
}

function show(alive: readonly boolean[]): void {
  for (let y = 0; y < SHOWN; y++) console.log(Array.from({ length: SHOWN }, (_, x) => (alive[indexOf(x, y)] ? "#" : ".")).join(""));
}

const { values } = parseArgs({ options: { isolation: { type: "string" } } });
await ray.init({ isolation: values.isolation as ray.Isolation | undefined });

const Cells = ray.remote(Cell, { isolation: "shared" });
const first = new Set(GLIDER.map(([x, y]) => indexOf(x, y)));
const cells = Array.from({ length: WIDTH * HEIGHT }, (_, index) => Cells.remote(first.has(index)));
await ray.get(cells.map((cell, index) => cell.meet.remote(neighboursOf(cells, index))));

console.log(`${cells.length} cells, each an actor; a glider in a corner:`);
let alive = await ray.get(cells.map((cell) => cell.isAlive.remote()));
show(alive);
for (let generation = 0; generation < GENERATIONS; generation++) {
  // All look before the first one changes.
  await ray.get(cells.map((cell) => cell.look.remote()));
  alive = await ray.get(cells.map((cell) => cell.step.remote()));
}
console.log(`after ${GENERATIONS} generations:`);
show(alive);

await ray.shutdown();

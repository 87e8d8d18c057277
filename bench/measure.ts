/** Statistics, and the order in which contestants take their turns. */

/** What one turn of one contestant yields: a number for each figure of the row. */
export type Figures = Readonly<Record<string, number>>;

export interface Statistics {
  readonly median: number;
  readonly min: number;
  readonly max: number;
  readonly samples: readonly number[];
}

export function statisticsOf(samples: readonly number[]): Statistics {
  const sorted = [...samples].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  const median = sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
  return { median, min: sorted[0]!, max: sorted.at(-1)!, samples };
}

export interface Turns<C> {
  readonly contestants: readonly C[];
  readonly rounds: number;
  measure(contestant: C): Promise<Figures>;
}

export interface Outcome {
  readonly figures: ReadonlyMap<string, Statistics>;
  /** Why there are no figures, or fewer than rounds. */
  readonly failure: string | undefined;
}

/**
 * Measures in rounds, each contestant once a round, another one first each time: whatever else the
 * machine does meanwhile, it does to all of them. Round 0 warms up and is not counted.
 */
export async function measureInterleaved<C>(turns: Turns<C>): Promise<Map<C, Outcome>> {
  const samples = new Map(turns.contestants.map((contestant) => [contestant, new Map<string, number[]>()]));
  const failures = new Map<C, string>();
  for (let round = 0; round <= turns.rounds; round++) {
    for (const contestant of rotated(turns.contestants, round)) {
      if (failures.has(contestant)) continue;
      try {
        const figures = await turns.measure(contestant);
        if (round > 0) record(samples.get(contestant)!, figures);
      } catch (error) {
        failures.set(contestant, error instanceof Error ? error.message : String(error));
      }
    }
  }
  return new Map(
    turns.contestants.map((contestant) => {
      const figures = [...samples.get(contestant)!].map(([key, values]) => [key, statisticsOf(values)] as const);
      return [contestant, { figures: new Map(figures), failure: failures.get(contestant) }];
    }),
  );
}

function record(samples: Map<string, number[]>, figures: Figures): void {
  for (const [key, value] of Object.entries(figures)) {
    const values = samples.get(key);
    if (values === undefined) samples.set(key, [value]);
    else values.push(value);
  }
}

function rotated<C>(contestants: readonly C[], by: number): C[] {
  return contestants.map((_, index) => contestants[(index + by) % contestants.length]!);
}

const MS_PER_SECOND = 1000;

/** Runs `unit` again and again for about so long. Answers how many times a second. */
export async function perSecond(trialMs: number, unit: () => Promise<unknown>): Promise<number> {
  const startedAt = performance.now();
  const endsAt = startedAt + trialMs;
  let units = 0;
  do {
    await unit();
    units++;
  } while (performance.now() < endsAt);
  return (units * MS_PER_SECOND) / (performance.now() - startedAt);
}

/** The same for units so short that looking at the clock after each would be a part of the figure. */
export async function perSecondInSteps(trialMs: number, stepUnits: number, unit: () => unknown): Promise<number> {
  const steps = await perSecond(trialMs, async () => {
    for (let index = 0; index < stepUnits; index++) await unit();
  });
  return steps * stepUnits;
}

export async function durationMs(work: () => Promise<unknown>): Promise<number> {
  const startedAt = performance.now();
  await work();
  return performance.now() - startedAt;
}

// Loaded before test files with properties: the same commit gives the same verdict. MANTARAY_TEST_SEED=random looks for what nobody has
// found yet, a number repeats what was found, and MANTARAY_TEST_RUNS sets how long some of them look.
import { configureGlobal, readConfigureGlobal } from 'fast-check';

const seedByDefault = 1;

const { MANTARAY_TEST_SEED: wanted = String(seedByDefault) } = process.env;
if (wanted !== 'random') {
  const seed = Number(wanted);
  if (!Number.isInteger(seed)) throw new Error(`MANTARAY_TEST_SEED is an integer or "random", not ${JSON.stringify(wanted)}`);
  configureGlobal({ ...readConfigureGlobal(), seed });
}

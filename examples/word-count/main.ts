/**
 * MapReduce with actors: counts the words of a stream of articles.
 *
 * It teaches how actors hold state (a mapper its stream, a reducer its counts), how handles are passed
 * from actor to actor (each reducer asks every mapper by itself; the driver never touches the data), and
 * how calls overlap (a reducer asks for the next round before it merges this one).
 *
 * The same words are counted again on one thread, with the same code, to compare the result and the time.
 */
import { relative } from "node:path";
import * as ray from "mantaray";
import { countArticles, inspectFiles, readArticles, UnreadableFileError } from "./articles.ts";
import type { TextFile } from "./articles.ts";
import { parseCommandLine, USAGE, UsageError } from "./command-line.ts";
import type { WordCountOptions } from "./command-line.ts";
import { ARTICLES_PER_ROUND, Mapper, Reducer } from "./map-reduce.ts";
import { ProgressBar } from "./progress-bar.ts";
import { countWords, divideKeys, mostFrequent, sumOfCounts } from "./words.ts";
import type { WordCount, WordCounts } from "./words.ts";

/** So many bytes take long enough to be timed; a smaller text is counted several times. */
const BYTES_TO_TIME = 24_000_000;
const PASSES_MAX = 10;
const WHOLE_STREAM = { index: 0, count: 1 };

const number = new Intl.NumberFormat("en-US");
const seconds = (durationMs: number) => `${(durationMs / 1000).toFixed(2)} s`.padStart(8);

interface Outcome {
  readonly words: number;
  readonly distinctWords: number;
  readonly mostFrequent: WordCount[];
  readonly durationMs: number;
  readonly startUpMs: number;
  readonly counts: WordCounts;
}

async function main(): Promise<void> {
  const options = parseCommandLine(process.argv.slice(2));
  if (options === undefined) return console.log(USAGE);

  const files = inspectFiles(options.paths);
  const sizeBytes = files.reduce((sum, file) => sum + file.sizeBytes, 0);
  const passes = options.passes ?? Math.min(PASSES_MAX, Math.max(1, Math.ceil(BYTES_TO_TIME / Math.max(1, sizeBytes))));
  console.log(
    `Counting the words of ${files.length === 1 ? relative("", files[0]!.path) : `${files.length} files`} ` +
      `(${number.format(sizeBytes)} bytes) with ${options.mappers} mappers and ${options.reducers} reducers.`,
  );
  if (passes > 1) console.log(`The text is small: to have times to compare, everything is counted ${passes} times.`);

  const parallel = await countWithActors(files, options, passes);
  const sequential = countOnOneThread(files, passes);

  printWords(parallel);
  const ratio = sequential.durationMs / parallel.durationMs;
  console.log(`\n${number.format(parallel.words)} words, ${number.format(parallel.distinctWords)} of them distinct`);
  const actors = `${options.mappers + options.reducers} actors`;
  console.log(`MapReduce  ${seconds(parallel.durationMs)}, after ${seconds(parallel.startUpMs).trim()} to start ${actors}`);
  console.log(`one thread ${seconds(sequential.durationMs)}, ${ratio.toFixed(2)} times as long`);
  if (sizeBytes * passes < BYTES_TO_TIME) console.log("The text is too small for these times to mean much.");
  reportAgreement(parallel.counts, sequential.counts);
}

async function countWithActors(files: TextFile[], options: WordCountOptions, passes: number): Promise<Outcome> {
  const startedAt = performance.now();
  await ray.init({ isolation: options.isolation });
  try {
    const MapperActor = ray.remote(Mapper);
    const ReducerActor = ray.remote(Reducer);

    const mappers = Array.from({ length: options.mappers }, (_, index) =>
      MapperActor.remote(files, { index, count: options.mappers }, options.reducers),
    );
    const reducers = divideKeys(wordsOfFirstArticle(files), options.reducers).map((range) =>
      ReducerActor.remote(mappers, range),
    );
    await ray.get([...mappers, ...reducers].map((actor) => actor.ready()));
    const readyAt = performance.now();

    const articles = countArticles(files);
    const rounds = Math.ceil(articles / (options.mappers * ARTICLES_PER_ROUND));
    const progress = new ProgressBar(rounds * passes);
    let words = 0;
    for (let pass = 0; pass < passes; pass++) {
      if (pass > 0) {
        await ray.get([...mappers.map((mapper) => mapper.rewind.remote()), ...reducers.map((reducer) => reducer.clear.remote())]);
      }
      for (let round = 0; round < rounds; round++) {
        const reduced = await ray.get(reducers.map((reducer) => reducer.reduce.remote(round, round === rounds - 1)));
        words += reduced.reduce((sum, count) => sum + count, 0);
        progress.update(pass * rounds + round + 1, `${number.format(words)} words`);
      }
    }
    const summaries = await ray.get(reducers.map((reducer) => reducer.summary.remote(options.top)));
    const finishedAt = performance.now();
    progress.finish();

    const counts = await ray.get(reducers.map((reducer) => reducer.counts.remote()));
    return {
      words: summaries.reduce((sum, summary) => sum + summary.words, 0),
      distinctWords: summaries.reduce((sum, summary) => sum + summary.distinctWords, 0),
      mostFrequent: mostFrequent(summaries.flatMap((summary) => summary.mostFrequent), options.top),
      startUpMs: readyAt - startedAt,
      durationMs: finishedAt - readyAt,
      counts: new Map(counts.flatMap((part) => [...part])),
    };
  } finally {
    await ray.shutdown();
  }
}

/** Reducers get ranges of about equal size if the text goes on as it begins, whatever its script. */
function wordsOfFirstArticle(files: TextFile[]): Iterable<string> {
  const counts: WordCounts = new Map();
  for (const article of readArticles(files, WHOLE_STREAM)) {
    countWords(article, counts);
    break;
  }
  return counts.keys();
}

function countOnOneThread(files: TextFile[], passes: number): { counts: WordCounts; durationMs: number } {
  const startedAt = performance.now();
  const counts: WordCounts = new Map();
  for (let pass = 0; pass < passes; pass++) {
    counts.clear();
    for (const article of readArticles(files, WHOLE_STREAM)) countWords(article, counts);
  }
  return { counts, durationMs: performance.now() - startedAt };
}

function printWords(outcome: Outcome): void {
  if (outcome.mostFrequent.length === 0) return;
  console.log("\nThe most frequent words:");
  for (const [word, count] of outcome.mostFrequent) {
    const percent = ((count / outcome.words) * 100).toFixed(1);
    console.log(`${number.format(count).padStart(12)}  ${`${percent} %`.padStart(6)}  ${word}`);
  }
}

function reportAgreement(parallel: WordCounts, sequential: WordCounts): void {
  const differing = [...new Set([...parallel.keys(), ...sequential.keys()])].find(
    (word) => parallel.get(word) !== sequential.get(word),
  );
  if (differing === undefined) {
    console.log(`Both counted the same: ${number.format(sumOfCounts(sequential))} words.`);
    return;
  }
  console.error(`They differ: "${differing}" was counted ${parallel.get(differing)} and ${sequential.get(differing)} times.`);
  process.exitCode = 1;
}

try {
  await main();
} catch (error) {
  if (!(error instanceof UsageError || error instanceof UnreadableFileError)) throw error;
  console.error(`word-count: ${error.message}`);
  if (error instanceof UsageError) console.error(`\n${USAGE}`);
  process.exitCode = 1;
}

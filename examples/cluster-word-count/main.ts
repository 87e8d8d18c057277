/**
 * The word count on three nodes: MapReduce with tasks and objects.
 *
 * It teaches how a program uses a cluster: it joins one, and the rest is as on one machine. Only the driver has the files. It puts
 * the text into the object store in chunks; the node that counts a chunk brings it there, and so it does with the counts that it
 * merges. A table at the end shows what ran where. The nodes are processes of this machine here, started and ended by the program;
 * with `mantaray start` they would be other machines.
 *
 *   npm run start:cluster -- [FILE…]
 */
import { relative } from "node:path";
import { fileURLToPath } from "node:url";
import * as ray from "mantaray";
import { startCluster } from "mantaray/testing";
import { inspectFiles, readArticles, UnreadableFileError } from "../word-count/articles.ts";
import { countWords, divideKeys, isInRange, type KeyRange, mostFrequent, sumOfCounts, type WordCount, type WordCounts } from "../word-count/words.ts";

const NODES = 3;
const REDUCERS = 3;
const ARTICLES_PER_CHUNK = 2;
/** Chunks that are put and not counted yet: the files may be larger than the memory of all nodes together. */
const CHUNKS_AHEAD = 4 * NODES;
const TOP = 10;
const SHIPPED_TEXT = fileURLToPath(new URL("../word-count/data/kjv.txt", import.meta.url));
const number = new Intl.NumberFormat("en-US");

/** Who did some of the work. */
interface Work {
  readonly nodeId: string;
  readonly words: number;
}

/** The words of one chunk: what was done, and the counts for each reducer. */
const mapChunk = ray.remote(
  function mapChunk(chunk: Uint8Array, ranges: readonly KeyRange[]): [Work, ...WordCounts[]] {
    const counts: WordCounts = new Map();
    countWords(new TextDecoder().decode(chunk), counts);
    const parts = ranges.map((range) => new Map([...counts].filter(([word]) => isInRange(word, range))));
    return [{ nodeId: ray.getRuntimeContext().nodeId, words: sumOfCounts(counts) }, ...parts];
  },
  { schedulingStrategy: "SPREAD" },
);

const reduceRange = ray.remote(
  function reduceRange(...parts: WordCounts[]): [Work, WordCounts] {
    const counts: WordCounts = new Map();
    for (const part of parts) for (const [word, count] of part) counts.set(word, (counts.get(word) ?? 0) + count);
    return [{ nodeId: ray.getRuntimeContext().nodeId, words: sumOfCounts(counts) }, counts];
  },
  { schedulingStrategy: "SPREAD" },
);

function* chunksOf(articles: Iterable<string>): Generator<Uint8Array> {
  const encoder = new TextEncoder();
  let chunk: string[] = [];
  for (const article of articles) {
    chunk.push(article);
    if (chunk.length < ARTICLES_PER_CHUNK) continue;
    yield encoder.encode(chunk.join("\n"));
    chunk = [];
  }
  if (chunk.length > 0) yield encoder.encode(chunk.join("\n"));
}

async function countWordsOf(articles: Iterable<string>, ranges: readonly KeyRange[]): Promise<{ mapped: Work[]; reduced: Work[]; words: WordCount[] }> {
  const map = mapChunk.options({ numReturns: REDUCERS + 1 });
  const works: ray.ObjectRef<Work>[] = [];
  const parts: ray.ObjectRef<WordCounts>[][] = ranges.map(() => []);
  let running: ray.ObjectRef<Work>[] = [];
  for (const chunk of chunksOf(articles)) {
    if (running.length >= CHUNKS_AHEAD) [, running] = await ray.wait(running);
    const [work, ...counts] = map.remote(ray.put(chunk), ranges) as [ray.ObjectRef<Work>, ...ray.ObjectRef<WordCounts>[]];
    works.push(work);
    running.push(work);
    counts.forEach((part, index) => parts[index]!.push(part));
  }
  const reductions = await ray.get(parts.map((ofRange) => reduceRange.remote(...ofRange)));
  return { mapped: await ray.get(works), reduced: reductions.map(([work]) => work), words: reductions.flatMap(([, counts]) => [...counts]) };
}

function printTable(nodes: readonly ray.NodeInfo[], mapped: readonly Work[], reduced: readonly Work[]): void {
  console.log("\nnode                    chunks      words   ranges merged");
  for (const { nodeId, address } of nodes) {
    const own = mapped.filter((work) => work.nodeId === nodeId);
    const words = own.reduce((sum, work) => sum + work.words, 0);
    const merged = reduced.filter((work) => work.nodeId === nodeId).length;
    console.log(`${address.padEnd(20)} ${String(own.length).padStart(9)} ${number.format(words).padStart(10)} ${String(merged).padStart(15)}`);
  }
}

async function main(paths: readonly string[]): Promise<void> {
  const files = inspectFiles(paths);
  const cluster = await startCluster({ nodes: Array.from({ length: NODES }, () => ({ numCpus: 1 })) });
  try {
    await ray.init({ address: cluster.address });
    console.log(`Counting the words of ${files.map(({ path }) => relative("", path)).join(", ")} on ${NODES} nodes.`);
    const wholeStream = { index: 0, count: 1 };
    const [sample = ""] = readArticles(files, wholeStream);
    const sampled: WordCounts = new Map();
    countWords(sample, sampled);
    const { mapped, reduced, words } = await countWordsOf(readArticles(files, wholeStream), divideKeys(sampled.keys(), REDUCERS));

    console.log("\nThe most frequent words:");
    for (const [word, times] of mostFrequent(words, TOP)) console.log(`${number.format(times).padStart(12)}  ${word}`);
    printTable(await ray.nodes(), mapped, reduced);
    const here: WordCounts = new Map();
    for (const article of readArticles(files, wholeStream)) countWords(article, here);
    const isSame = words.length === here.size && words.every(([word, times]) => here.get(word) === times);
    console.log(`\n${number.format(sumOfCounts(words))} words, ${number.format(words.length)} of them distinct; counted again here: ${isSame ? "the same" : "NOT THE SAME"}.`);
    if (!isSame) process.exitCode = 1;
  } finally {
    await ray.shutdown();
    await cluster.stop();
  }
}

const paths = process.argv.slice(2);
try {
  await main(paths.length === 0 ? [SHIPPED_TEXT] : paths);
} catch (error) {
  if (!(error instanceof UnreadableFileError)) throw error;
  console.error(error.message);
  process.exitCode = 1;
}

export type WordCounts = Map<string, number>;
export type WordCount = [word: string, count: number];

/** Letters of any script with their accents, and apostrophes inside a word. */
const WORD = /[\p{L}\p{M}]+(?:['’][\p{L}\p{M}]+)*/gu;

/** Adds the words of a text to the counts. Capital letters make no other word. */
export function countWords(text: string, counts: WordCounts): void {
  for (const word of text.toLowerCase().match(WORD) ?? []) {
    counts.set(word, (counts.get(word) ?? 0) + 1);
  }
}

/** The most frequent words, words as frequent as each other in the order of their letters. */
export function mostFrequent(counts: Iterable<WordCount>, limit: number): WordCount[] {
  return [...counts]
    .sort(([word, count], [otherWord, otherCount]) => otherCount - count || (word < otherWord ? -1 : 1))
    .slice(0, limit);
}

export function sumOfCounts(counts: Iterable<WordCount>): number {
  let sum = 0;
  for (const [, count] of counts) sum += count;
  return sum;
}

/** The words from `from` up to, not including, `before`. */
export interface KeyRange {
  readonly from: string;
  readonly before: string | undefined;
}

/** Divides all possible words among `rangeCount` ranges, each with about as many of the sample's words. */
export function divideKeys(sample: Iterable<string>, rangeCount: number): KeyRange[] {
  const words = [...new Set(sample)].sort();
  const starts = Array.from({ length: rangeCount }, (_, index) =>
    index === 0 ? "" : (words[Math.floor((index * words.length) / rangeCount)] ?? ""),
  );
  return starts.map((from, index) => ({ from, before: starts[index + 1] }));
}

export function isInRange(word: string, range: KeyRange): boolean {
  return word >= range.from && (range.before === undefined || word < range.before);
}

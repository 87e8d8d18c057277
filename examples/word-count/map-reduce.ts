import * as ray from "mantaray";
import { readArticles } from "./articles.ts";
import type { Share, TextFile } from "./articles.ts";
import { countWords, isInRange, mostFrequent, sumOfCounts } from "./words.ts";
import type { KeyRange, WordCount, WordCounts } from "./words.ts";

/** A mapper counts so many articles at a time: one answer should be worth the message it comes in. */
export const ARTICLES_PER_ROUND = 16;

/** Holds one share of the stream of articles, and answers how often the words of a range occur in it. */
export class Mapper {
  readonly #files: readonly TextFile[];
  readonly #share: Share;
  readonly #reducerCount: number;
  #articles: Generator<string, void>;
  /** Counted rounds that some reducer has not asked for yet. */
  readonly #rounds = new Map<number, { counts: WordCounts; answers: number }>();

  constructor(files: readonly TextFile[], share: Share, reducerCount: number) {
    this.#files = files;
    this.#share = share;
    this.#reducerCount = reducerCount;
    this.#articles = readArticles(files, share);
  }

  /** Starts the stream from its beginning. */
  rewind(): void {
    this.#articles.return();
    this.#articles = readArticles(this.#files, this.#share);
    this.#rounds.clear();
  }

  /** The counts of one round's articles; nothing after the last article. */
  getRange(round: number, range: KeyRange): WordCounts {
    let counted = this.#rounds.get(round);
    if (counted === undefined) {
      counted = { counts: this.#countNextArticles(), answers: 0 };
      this.#rounds.set(round, counted);
    }
    if (++counted.answers === this.#reducerCount) this.#rounds.delete(round);
    const inRange: WordCounts = new Map();
    for (const [word, count] of counted.counts) if (isInRange(word, range)) inRange.set(word, count);
    return inRange;
  }

  #countNextArticles(): WordCounts {
    const counts: WordCounts = new Map();
    for (let taken = 0; taken < ARTICLES_PER_ROUND; taken++) {
      const article = this.#articles.next();
      if (article.done) break;
      countWords(article.value, counts);
    }
    return counts;
  }
}

/** Owns one range of words: asks every mapper for its counts of them, round after round, and merges. */
export class Reducer {
  readonly #mappers: readonly ray.ActorHandle<Mapper>[];
  readonly #range: KeyRange;
  readonly #counts: WordCounts = new Map();
  #asked: ray.ObjectRef<WordCounts>[] = [];

  constructor(mappers: readonly ray.ActorHandle<Mapper>[], range: KeyRange) {
    this.#mappers = mappers;
    this.#range = range;
  }

  clear(): void {
    this.#counts.clear();
    this.#asked = [];
  }

  /** Merges one round, while the mappers count the next one already. Answers how many words it was. */
  async reduce(round: number, isLast: boolean): Promise<number> {
    const asked = this.#asked.length > 0 ? this.#asked : this.#ask(round);
    this.#asked = isLast ? [] : this.#ask(round + 1);
    let words = 0;
    for (const counts of await ray.get(asked)) {
      for (const [word, count] of counts) {
        this.#counts.set(word, (this.#counts.get(word) ?? 0) + count);
        words += count;
      }
    }
    return words;
  }

  summary(top: number): { words: number; distinctWords: number; mostFrequent: WordCount[] } {
    return {
      words: sumOfCounts(this.#counts),
      distinctWords: this.#counts.size,
      mostFrequent: mostFrequent(this.#counts, top),
    };
  }

  counts(): WordCounts {
    return this.#counts;
  }

  #ask(round: number): ray.ObjectRef<WordCounts>[] {
    return this.#mappers.map((mapper) => mapper.getRange.remote(round, this.#range));
  }
}

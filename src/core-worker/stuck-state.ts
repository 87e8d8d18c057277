import type { RootReason } from "./explanation.ts";

/** Between looks while nothing new is found: each is so much later than the one before, up to so much. */
const SLOWER_EACH_TIME = 2;
const SURVEY_EVERY_MS_MAX = 160_000;
/** Reasons that were told and are not told again. */
const TOLD_MAX = 1_000;

/**
 * When something has been pending for too long, and what is to be said of it. Pure. What is pending here is sampled at each look:
 *
 *   pending ── still there after `afterMs` ──▶ suspicious: all are asked why (1) ── something goes on ──▶ asked again, later and later
 *      ▲                                            └── a reason that has no end of its own ──▶ told, once (2)
 *      └── nothing of it is there any more
 *
 * (1) A long task is pending too, and is none of anybody's business: it runs.
 * (2) If it is the reason of what is pending here, which has waited for so long, or was there at a survey so long ago.
 */
export class StuckState {
  readonly #afterMs: number;
  /** Of what is pending here: when it was first seen. */
  #pendingSinceMs = new Map<string, number>();
  /** Of reasons: when they were first seen. */
  #rootSinceMs = new Map<string, number>();
  readonly #told = new Set<string>();
  #nextSurveyMs = 0;
  #surveyEveryMs: number;

  constructor(afterMs: number) {
    this.#afterMs = afterMs;
    this.#surveyEveryMs = afterMs;
  }

  /** What is pending here for too long, if it is time to ask why. */
  look(nowMs: number, pending: Iterable<string>): string[] {
    const before = this.#pendingSinceMs;
    this.#pendingSinceMs = new Map();
    for (const key of pending) this.#pendingSinceMs.set(key, before.get(key) ?? nowMs);
    const old = [...this.#pendingSinceMs].filter(([, sinceMs]) => nowMs - sinceMs >= this.#afterMs).map(([key]) => key);
    if (old.length === 0) {
      this.#surveyEveryMs = this.#afterMs;
      this.#nextSurveyMs = 0;
      this.#rootSinceMs.clear();
      return [];
    }
    return nowMs >= this.#nextSurveyMs ? old : [];
  }

  /** `own`: what was pending here waits for these, for just as long. `all`: reasons of everything. What is to be told now. */
  surveyed(nowMs: number, own: readonly Pick<RootReason, "key">[], all: readonly RootReason[]): string[] {
    const before = this.#rootSinceMs;
    this.#rootSinceMs = new Map();
    const ownKeys = new Set(own.map(({ key }) => key));
    const messages: string[] = [];
    let isAnyNew = false;
    for (const { key, reason, message, isGoingOn, wasTold } of all) {
      if (isGoingOn || wasTold || this.#told.has(key)) continue;
      const sinceMs = before.get(key) ?? nowMs;
      this.#rootSinceMs.set(key, sinceMs);
      // A cycle has no end, however young it is.
      if (reason !== "cycle" && !ownKeys.has(key) && nowMs - sinceMs < this.#afterMs) {
        isAnyNew = true;
        continue;
      }
      if (this.#told.size < TOLD_MAX) this.#told.add(key);
      messages.push(message);
    }
    if (isAnyNew || messages.length > 0) this.#surveyEveryMs = this.#afterMs;
    this.lookedAfter(nowMs);
    return messages;
  }

  /** Somebody asks why. */
  lookedAfter(nowMs: number): void {
    this.#nextSurveyMs = nowMs + this.#surveyEveryMs;
    this.#surveyEveryMs = Math.min(this.#surveyEveryMs * SLOWER_EACH_TIME, SURVEY_EVERY_MS_MAX);
  }
}

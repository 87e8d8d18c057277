/** Tells the bench that the first result is there, and what memory it took. */
export function tellFirstResult(value: unknown): void {
  process.stdout.write(`${JSON.stringify({ value, memoryBytes: process.memoryUsage.rss() })}\n`);
}

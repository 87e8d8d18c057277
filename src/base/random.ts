/** Where ids and tie-breaks come from. Real ones are made in `main/`, seeded ones in `testing/`. */
export interface RandomSource {
  /** `byteCount` random bytes in lower-case hexadecimal. */
  hex(byteCount: number): string;
  /** A whole number from 0 to `limit` - 1. */
  below(limit: number): number;
}

/** Under which id something is counted as a handle of an actor. */
export const HELD = Symbol("held");

/** What is counted as a handle of an actor; null while it is not. */
export interface HandleHolder {
  [HELD]: string | null;
}

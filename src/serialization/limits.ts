/** Limits of what may travel. Each is named with its unit here and nowhere else. */

/** ArrayBuffer contents from this size on are kept outside the header, so that they are never copied into it. */
export const OUT_OF_BAND_BYTES_MIN = 4 * 1024;

/** A function whose capture is larger is probably not what its author meant: warned about, once per function. */
export const CODE_WARNING_BYTES = 10 * 1024 * 1024;

/** A larger capture is refused: it belongs into the object store, from where workers read it without a copy each. */
export const CODE_BYTES_MAX = 100 * 1024 * 1024;

/**
 * V8's serializer recurses. Values nested deeper take the graph format, which does not: a linked list of a million nodes
 * travels, whatever stack the thread has left.
 */
export const PLAIN_DEPTH_MAX = 200;

/** Below so many objects the scan for special values keeps no record of what it has seen: repeated visits cost less. */
export const UNTRACKED_SCAN_OBJECTS_MAX = 256;

/** An array with fewer elements than this share of its length is written property by property. */
export const DENSE_ARRAY_SHARE_MIN = 0.25;

/** Steps of a path in an error message; the middle of a longer one is left out. */
export const ERROR_PATH_STEPS_MAX = 12;

const MEBIBYTE = 1024 ** 2;

/** For messages: `12.3 MiB`. */
export function mebibytes(bytes: number): string {
  return `${(bytes / MEBIBYTE).toFixed(1)} MiB`;
}

/** The same amount as it is written for objects: `12.3 MB`. */
export function megabytes(bytes: number): string {
  return `${(bytes / MEBIBYTE).toFixed(1)} MB`;
}

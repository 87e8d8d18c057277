/** Where a process listens on TCP. */
export interface NetworkAddress {
  readonly host: string;
  readonly port: number;
}

/** `HOST:PORT`, or `[IPv6]:PORT`. */
export function textOf({ host, port }: NetworkAddress): string {
  return host.includes(":") ? `[${host}]:${port}` : `${host}:${port}`;
}

import { InvalidArgumentError } from "../base/mod.ts";
import type { NetworkAddress } from "../protocol/mod.ts";

const HOST_AND_PORT = /^(?:\[([0-9a-f:]+)\]|([\w.-]+)):(\d{1,5})$/i;
const PORT_MAX = 65_535;
/** Two spellings of one address are one cluster's. */
const LOOPBACK_NAMES = new Set(["localhost", "ip6-localhost"]);

/** `HOST:PORT`, or `[IPv6]:PORT`; null for what is none. */
export function parseNetworkAddress(text: string): NetworkAddress | null {
  const parts = HOST_AND_PORT.exec(text);
  const host = parts?.[1] ?? parts?.[2];
  const port = Number(parts?.[3]);
  if (host === undefined || port > PORT_MAX) return null;
  return { host: LOOPBACK_NAMES.has(host) ? "127.0.0.1" : host, port };
}

/** @throws InvalidArgumentError. */
export function networkAddressOf(text: string): NetworkAddress {
  const address = parseNetworkAddress(text);
  if (address === null || address.port === 0) throw new InvalidArgumentError(`'${text}' is no address of a cluster: pass HOST:PORT, as \`mantaray start --head\` has printed it`);
  return address;
}

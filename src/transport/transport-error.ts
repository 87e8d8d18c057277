import { RayError } from "../base/mod.ts";

export type TransportErrorCode =
  | "ERR_MANTARAY_FRAME_MALFORMED"
  | "ERR_MANTARAY_FRAME_TOO_LARGE"
  | "ERR_MANTARAY_CONNECT_FAILED"
  | "ERR_MANTARAY_CONNECT_TIMEOUT"
  | "ERR_MANTARAY_LISTEN_FAILED"
  | "ERR_MANTARAY_PEER_REFUSED"
  | "ERR_MANTARAY_PEER_TOKEN"
  | "ERR_MANTARAY_PEER_VERSION";

/** Something went wrong between two core workers; `code` says what. */
export class TransportError extends RayError {
  constructor(code: TransportErrorCode, message: string, options?: { cause?: unknown }) {
    super(message, { ...options, code });
  }
}

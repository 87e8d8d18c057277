import { createHmac, randomBytes, timingSafeEqual } from "node:crypto";
import { SOCKET_FRAME_BYTES_MAX } from "./frame-parser.ts";
import { FrameReader } from "./frame-reader.ts";
import type { FrameSocketEvents } from "./frame-socket.ts";
import { FrameWriter } from "./frame-writer.ts";
import { TransportError } from "./transport-error.ts";

/**
 * Before any other frame, each side proves to the other that it knows the session's token, without sending it:
 *
 * ```
 *   connecting side                              listening side
 *     hello    version, worker id, nonce  ─────▶
 *              ◀─────  welcome  version, worker id, nonce, proof over both nonces
 *     proof    over both nonces           ─────▶   the channel is open
 * ```
 *
 * Each message begins with MAGIC and its kind; that and `refusal` keep their layout in all versions.
 */
const MAGIC = 0x5941_524d;
const KIND_HELLO = 1;
const KIND_WELCOME = 2;
const KIND_PROOF = 3;
const KIND_REFUSAL = 4;

const NONCE_BYTES = 16;
/** Who has not proven anything cannot make us allocate more. */
export const HANDSHAKE_FRAME_BYTES_MAX = 1024;

export type HandshakeRole = "connecting" | "listening";

export interface HandshakeIdentity {
  readonly workerId: string;
  readonly token: string;
  readonly protocolVersion: number;
}

/** What the handshake needs of a socket, whatever it is used for afterwards. */
export interface HandshakeFrames {
  events: FrameSocketEvents | undefined;
  frameBytesMax: number;
  send(frame: Uint8Array): void;
  closeOrderly(): void;
  destroy(): void;
}

interface Introduction {
  readonly workerId: string;
  readonly nonce: Uint8Array;
  readonly proof: Uint8Array;
}

/**
 * Resolves with what `open` makes of the other side's worker id; it must take over `frames.events` at once, since the next
 * frame may lie in the same chunk. On rejection the socket is on its way out, and both sides have a TransportError.
 */
export function shakeHands<T>(
  frames: HandshakeFrames,
  role: HandshakeRole,
  identity: HandshakeIdentity,
  where: string,
  open: (peerId: string) => T,
): Promise<T> {
  return new Promise((resolve, reject) => {
    const ownNonce = randomBytes(NONCE_BYTES);
    let other: Introduction | undefined;

    const fail = (error: TransportError, refusal: "version" | "token" | undefined): void => {
      frames.events = undefined;
      if (refusal === undefined) {
        frames.destroy();
      } else {
        frames.send(refusalMessage(refusal, identity.protocolVersion));
        frames.closeOrderly();
      }
      reject(error);
    };
    const succeed = (peer: Introduction): void => {
      frames.frameBytesMax = SOCKET_FRAME_BYTES_MAX;
      resolve(open(peer.workerId));
    };

    frames.events = {
      end: (reason, cause) => {
        const what = reason === "invalid" ? "sent something that is no handshake of mantaray" : "closed the connection before the handshake was over";
        fail(new TransportError("ERR_MANTARAY_PEER_REFUSED", `The other side of ${where} ${what}.`, { cause }), undefined);
      },
      frame: (frame) => {
        try {
          const reader = new FrameReader(frame);
          if (reader.u32() !== MAGIC) throw unexpected(where);
          const kind = reader.u8();
          if (kind === KIND_REFUSAL) {
            fail(refusedByPeer(reader, identity, where), undefined);
          } else if (kind === KIND_PROOF) {
            if (role !== "listening" || other === undefined) throw unexpected(where);
            if (!isProof(reader.bytes(), identity.token, "connecting", other.nonce, ownNonce)) fail(wrongToken(where), "token");
            else succeed(other);
          } else {
            if (kind !== (role === "connecting" ? KIND_WELCOME : KIND_HELLO) || other !== undefined) throw unexpected(where);
            const version = reader.u16();
            if (version !== identity.protocolVersion) {
              fail(wrongVersion(where, version, identity.protocolVersion), "version");
              return;
            }
            other = { workerId: reader.string(), nonce: reader.bytes().slice(), proof: reader.bytes().slice() };
            if (role === "listening") {
              frames.send(introduction(KIND_WELCOME, identity, ownNonce, proofOf(identity.token, "listening", other.nonce, ownNonce)));
            } else if (!isProof(other.proof, identity.token, "listening", ownNonce, other.nonce)) {
              fail(wrongToken(where), "token");
            } else {
              frames.send(proofMessage(proofOf(identity.token, "connecting", ownNonce, other.nonce)));
              succeed(other);
            }
          }
        } catch (error) {
          fail(error instanceof TransportError ? error : unexpected(where), undefined);
        }
      },
    };
    if (role === "connecting") frames.send(introduction(KIND_HELLO, identity, ownNonce, new Uint8Array(0)));
  });
}

function begin(kind: number): FrameWriter {
  const writer = new FrameWriter();
  writer.u32(MAGIC);
  writer.u8(kind);
  return writer;
}

function introduction(kind: number, identity: HandshakeIdentity, nonce: Uint8Array, proof: Uint8Array): Uint8Array {
  const writer = begin(kind);
  writer.u16(identity.protocolVersion);
  writer.string(identity.workerId);
  writer.bytes(nonce);
  writer.bytes(proof);
  return writer.view();
}

function proofMessage(proof: Uint8Array): Uint8Array {
  const writer = begin(KIND_PROOF);
  writer.bytes(proof);
  return writer.view();
}

function refusalMessage(reason: "version" | "token", protocolVersion: number): Uint8Array {
  const writer = begin(KIND_REFUSAL);
  writer.string(reason);
  writer.u16(protocolVersion);
  return writer.view();
}

function proofOf(token: string, prover: HandshakeRole, connectingNonce: Uint8Array, listeningNonce: Uint8Array): Uint8Array {
  return createHmac("sha256", token).update(prover).update(connectingNonce).update(listeningNonce).digest();
}

function isProof(proof: Uint8Array, token: string, prover: HandshakeRole, connectingNonce: Uint8Array, listeningNonce: Uint8Array): boolean {
  const expected = proofOf(token, prover, connectingNonce, listeningNonce);
  return proof.byteLength === expected.byteLength && timingSafeEqual(proof, expected);
}

function refusedByPeer(reader: FrameReader, identity: HandshakeIdentity, where: string): TransportError {
  const reason = reader.string();
  const version = reader.u16();
  return reason === "version" ? wrongVersion(where, version, identity.protocolVersion) : wrongToken(where);
}

function wrongVersion(where: string, theirs: number, ours: number): TransportError {
  return new TransportError(
    "ERR_MANTARAY_PEER_VERSION",
    `The other side of ${where} speaks protocol version ${theirs}, this process version ${ours}. Run the same version of mantaray on both.`,
  );
}

function wrongToken(where: string): TransportError {
  return new TransportError(
    "ERR_MANTARAY_PEER_TOKEN",
    `The other side of ${where} does not have this session's token, so it belongs to another session or to somebody else. Connect to an address of the session at hand.`,
  );
}

function unexpected(where: string): TransportError {
  return new TransportError("ERR_MANTARAY_PEER_REFUSED", `The other side of ${where} sent something that is no handshake of mantaray. Check the address.`);
}

import { Packr } from "msgpackr/pack";

/** MessagePack for everything that is not the hot path. Records are off: messages are decoded by others than their writer. */
const packr = new Packr({ useRecords: false, moreTypes: true, encodeUndefinedAsNil: false });

export function packMessage(message: object): Uint8Array {
  return packr.pack(message);
}

/** `bytes` must stay untouched afterwards: binary fields are views into it. */
export function unpackMessage(bytes: Uint8Array): unknown {
  return packr.unpack(bytes);
}

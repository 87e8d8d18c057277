/** Values of which every word is known from a number. */
export interface SoakValue {
  readonly seed: number;
  readonly words: Uint32Array;
}

export function makeValue(seed: number, byteLength: number): SoakValue {
  const words = new Uint32Array(Math.ceil(byteLength / Uint32Array.BYTES_PER_ELEMENT));
  for (let index = 0; index < words.length; index++) words[index] = wordAt(index, seed);
  return { seed, words };
}

export class WrongValueError extends Error {
  override readonly name = "WrongValueError";
}

export function checkValue(value: SoakValue, seed: number, byteLength: number, where: string): void {
  const words = Math.ceil(byteLength / Uint32Array.BYTES_PER_ELEMENT);
  if (value.seed !== seed || value.words.length !== words) {
    throw new WrongValueError(`${where}: value ${value.seed} of ${value.words.length} words came for value ${seed} of ${words} words`);
  }
  for (let index = 0; index < words; index++) {
    if (value.words[index] === wordAt(index, seed)) continue;
    throw new WrongValueError(`${where}: word ${index} of ${words} of value ${seed} is ${value.words[index]} and not ${wordAt(index, seed)}`);
  }
}

function wordAt(index: number, seed: number): number {
  return Math.imul(index ^ (seed << 8), 0x9e3779b1) >>> 0;
}

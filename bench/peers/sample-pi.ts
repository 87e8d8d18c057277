/** Darts inside the quarter circle. Self-contained: some peers send the text of the function. */
export function samplePi(samples: number, seed: number): number {
  let state = seed;
  let inside = 0;
  for (let sample = 0; sample < samples; sample++) {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) | 0;
    const x = (state >>> 0) / 4_294_967_296;
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) | 0;
    const y = (state >>> 0) / 4_294_967_296;
    if (x * x + y * y <= 1) inside++;
  }
  return inside;
}

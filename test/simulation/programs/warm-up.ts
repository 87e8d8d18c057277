import { Serializer } from "../../../src/serialization/mod.ts";
import { userFunctions } from "./user-code.ts";

/** What loads the modules has something left to do in its first turns, in the real world. */
const FIRST_TURNS = 3;
const realTurn = setImmediate;

export const USER_CODE_URL = new URL("./user-code.ts", import.meta.url).href;

/** What the serializer loads when it first needs it must be there before the real world is shut out. */
export function warmUp(): void {
  const serializer = new Serializer({
    workerId: "warm-up", entryUrl: USER_CODE_URL,
    runtimeObjects: { describe: () => ({ kind: "remoteFunction" }), revive: () => ({}) },
  });
  for (const userFunction of userFunctions) serializer.exportCode(userFunction);
  serializer.decode(serializer.encode([new RangeError("warm-up"), new Map([[1, new Set([2])]])], "the warm-up"));
}

/** Before the real world is shut out for the first time. */
export async function passFirstTurns(): Promise<void> {
  for (let turns = 0; turns < FIRST_TURNS; turns++) await new Promise<void>((resolve) => void realTurn(resolve));
}

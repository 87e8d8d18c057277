import { init, shutdown } from "../main/mod.ts";

/** Runs `action` as a program of the cluster, and leaves it again. */
export async function joined<T>(address: string, action: () => Promise<T>): Promise<T> {
  await init({ address, logToDriver: false });
  try {
    return await action();
  } finally {
    await shutdown();
  }
}

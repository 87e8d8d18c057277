import type { Chance } from "../world/chance.ts";

/** How likely it is that a file cannot be written, that it is damaged or gone when it is read, and that it cannot be read this time. */
export interface DiskFaults {
  readonly unwritten: number;
  readonly damaged: number;
  readonly unreadable: number;
}

export interface DiskSetting extends DiskFaults {
  readonly capacityBytes: number;
  /** Of one access. */
  readonly msMax: number;
}

/** What the object store of one machine spills to. */
export class SimulatedDisk {
  readonly #random: Chance;
  readonly #setting: DiskSetting;
  readonly #files = new Map<number, number>();
  #usedBytes = 0;

  constructor(random: Chance, setting: DiskSetting) {
    this.#random = random;
    this.#setting = setting;
  }

  get fileCount(): number {
    return this.#files.size;
  }

  accessMs(): number {
    return this.#random.between(0, this.#setting.msMax);
  }

  /** False if it is full, or fails. */
  write(id: number, byteLength: number): boolean {
    const { capacityBytes, unwritten } = this.#setting;
    if (this.#usedBytes + byteLength > capacityBytes || this.#random.chance(unwritten)) return false;
    this.#files.set(id, byteLength);
    this.#usedBytes += byteLength;
    return true;
  }

  read(): "intact" | "damaged" | "unreadable" {
    const { damaged, unreadable } = this.#setting;
    const drawn = this.#random.fraction();
    if (drawn < damaged) return "damaged";
    return drawn < damaged + unreadable ? "unreadable" : "intact";
  }

  remove(id: number): void {
    this.#usedBytes -= this.#files.get(id) ?? 0;
    this.#files.delete(id);
  }
}

import { ftruncateSync } from "node:fs";
import { createRequire } from "node:module";
import { getSystemErrorName } from "node:util";

/** The system calls that JavaScript lacks for memory that processes share. */
export interface NativeMemory {
  /** Maps a whole file shared, readable and writable, and returns its address. */
  map(fileDescriptor: number, byteLength: number): bigint;
  /** No view of the range may be used afterwards: that is a SIGSEGV. */
  unmap(address: bigint, byteLength: number): void;
  /** An ArrayBuffer over exactly [address, address + byteLength). It copies nothing, and frees nothing when it is collected. */
  view(address: bigint, byteLength: number): ArrayBuffer;
  /** Copies from [address, address + target.byteLength): for a few bytes it takes less than a view of them. */
  read(address: bigint, target: Uint8Array): void;
  /**
   * Makes sure that the file system has memory for the range, so that a later write cannot end in SIGBUS; false when it is full.
   * What the range holds stays as it is. It comes before the range is handed to anybody who writes: where the file system cannot
   * reserve, the C library does it by writing zeros over zeros.
   */
  reserve(fileDescriptor: number, offset: number, byteLength: number): boolean;
  /**
   * Blocks the thread while the 32-bit word at the address is `expected`, until somebody wakes it or the time is over. It may
   * return early for no reason, and does after `BLOCKED_MS_MAX`: whoever waits looks at the word and the clock again. Works across
   * threads and processes, whatever address each has mapped the file at.
   */
  waitWhile(address: bigint, expected: number, timeoutMs: number): void;
  /** Wakes all that wait at the address. */
  wake(address: bigint): void;
  /**
   * Locks a file until its descriptor is closed, at the latest by the end of the process; false if another descriptor has the lock.
   * Unlike a process id it tells across containers who lives. A mapping made with the descriptor would keep the lock.
   */
  lock(fileDescriptor: number): boolean;
}

export type NativeMemoryResult = { readonly memory: NativeMemory; readonly reason: null } | { readonly memory: null; readonly reason: string };

/** What V8 can make one buffer of in every supported version. Node 20 aborts the process above it. */
export const VIEW_BYTES_MAX = 2 ** 32;
/** A thread that blocks in a system call cannot be terminated, so it comes back to JavaScript so often. */
export const BLOCKED_MS_MAX = 250;
/** A profiler's signals interrupt a reservation that takes long; the kernel then undoes it, so it goes on in smaller steps. */
const RESERVE_STEP_BYTES_MIN = 64 * 1024;
const INTERRUPTIONS_MAX = 10_000;

const PROT_READ_WRITE = 3;
const MAP_SHARED = 1;
const MAP_FAILED = 2n ** 64n - 1n;
const MFD_CLOEXEC = 1;
/** Some systems insist on it; those before Linux 6.3 do not know it. */
const MFD_NOEXEC_SEAL = 8;
// Without FUTEX_PRIVATE_FLAG: the kernel then knows a word by its file and offset.
const FUTEX_WAIT = 0;
const FUTEX_WAKE = 1;
const WAKE_ALL = 2 ** 31 - 1;
const LOCK_EXCLUSIVE_WITHOUT_WAITING = 2 | 4;

/** The number of the system call on each kind of machine that koffi has binaries for; C libraries have no function for it. */
const FUTEX_CALL_NUMBERS: Readonly<Record<string, number>> = { x64: 202, arm64: 98, riscv64: 98, loong64: 98 };

const TURN_OFF_VARIABLE = "MANTARAY_NO_SHARED_MEMORY";

type Koffi = typeof import("koffi");

let loaded: NativeMemoryResult | undefined;

/** Loads it, once for each thread, or says why there is none. Takes some milliseconds the first time. */
export function loadNativeMemory(): NativeMemoryResult {
  return (loaded ??= load());
}

function load(): NativeMemoryResult {
  if (!["", "0", undefined].includes(process.env[TURN_OFF_VARIABLE])) return without(`${TURN_OFF_VARIABLE} is set`);
  if (process.platform !== "linux") return without(`shared memory is only supported on Linux, and this is ${process.platform}`);
  const futexCallNumber = FUTEX_CALL_NUMBERS[process.arch];
  if (futexCallNumber === undefined) return without(`shared memory is not supported on processors of type ${process.arch}`);
  let koffi: Koffi;
  try {
    koffi = createRequire(import.meta.url)("koffi") as Koffi;
  } catch (error) {
    return without(whyNotLoaded(error as NodeJS.ErrnoException));
  }
  try {
    const memory = new LinuxMemory(koffi, futexCallNumber);
    memory.test();
    return { memory, reason: null };
  } catch (error) {
    return without(`shared memory does not work here: ${(error as Error).message}`);
  }
}

function without(reason: string): NativeMemoryResult {
  return { memory: null, reason };
}

function whyNotLoaded({ code, message }: NodeJS.ErrnoException): string {
  if (code === "MODULE_NOT_FOUND") return "the package koffi, which mantaray depends on, is not installed; install the dependencies again without leaving out optional ones";
  if (code === "ERR_DLOPEN_DISABLED") return "this process may not load native addons; --allow-addons permits it under Node's permission model";
  if (code === "ERR_ACCESS_DENIED") return `Node's permission model keeps koffi from being read: ${message}`;
  return `the package koffi could not be loaded: ${message}`;
}

let viewMade: ((byteLength: number) => void) | null = null;

/** V8 counts views of mapped memory as if they were a thread's own: who watches that hears of each here, before it is made. */
export function onViewMade(listener: (byteLength: number) => void): void {
  viewMade = listener;
}

/** Prototypes say int64_t where C says long or int: registers are 64 bits wide, and the kernel takes the lower half. */
class LinuxMemory implements NativeMemory {
  readonly #koffi: Koffi;
  readonly #futexCallNumber: number;
  readonly #mmap: (address: null, byteLength: number, protection: number, flags: number, fileDescriptor: number, offset: number) => bigint | null;
  readonly #munmap: (address: bigint, byteLength: number) => number;
  readonly #fallocate: (fileDescriptor: number, offset: number, byteLength: number) => number;
  readonly #flock: (fileDescriptor: number, operation: number) => number;
  readonly #memcpy: (target: Uint8Array, address: bigint, byteLength: number) => void;
  readonly #memfdCreate: (name: string, flags: number) => number;
  readonly #close: (fileDescriptor: number) => number;
  readonly #systemCall: (number: number, address: bigint, operation: number, value: number, timeout: BigInt64Array | null, address2: null, value3: number) => number;
  /** struct timespec: seconds and nanoseconds. One suffices, as the thread is blocked while it is in use. */
  readonly #timeout = new BigInt64Array(2);

  constructor(koffi: Koffi, futexCallNumber: number) {
    const library = koffi.load(null);
    this.#koffi = koffi;
    this.#futexCallNumber = futexCallNumber;
    this.#mmap = library.func("void *mmap(void *address, size_t byteLength, int protection, int flags, int fileDescriptor, int64_t offset)");
    this.#munmap = library.func("int munmap(void *address, size_t byteLength)");
    this.#fallocate = library.func("int posix_fallocate(int fileDescriptor, int64_t offset, int64_t byteLength)");
    this.#flock = library.func("int flock(int fileDescriptor, int operation)");
    this.#memcpy = library.func("void memcpy(_Out_ void *target, void *address, size_t byteLength)");
    this.#memfdCreate = library.func("int memfd_create(const char *name, unsigned int flags)");
    this.#close = library.func("int close(int fileDescriptor)");
    this.#systemCall = library.func("int64_t syscall(int64_t number, void *address, int64_t operation, int64_t value, void *timeout, void *address2, int64_t value3)");
  }

  map(fileDescriptor: number, byteLength: number): bigint {
    const address = this.#mmap(null, byteLength, PROT_READ_WRITE, MAP_SHARED, fileDescriptor, 0);
    if (address === null || address === MAP_FAILED) throw this.#failure("mmap", `${byteLength} bytes of file descriptor ${fileDescriptor}`);
    return address;
  }

  unmap(address: bigint, byteLength: number): void {
    if (this.#munmap(address, byteLength) !== 0) throw this.#failure("munmap", `${byteLength} bytes`);
  }

  view(address: bigint, byteLength: number): ArrayBuffer {
    if (byteLength > VIEW_BYTES_MAX) throw new RangeError(`A view of ${byteLength} bytes was asked for; at most ${VIEW_BYTES_MAX} are possible.`);
    viewMade?.(byteLength);
    return this.#koffi.view(address, byteLength);
  }

  read(address: bigint, target: Uint8Array): void {
    this.#memcpy(target, address, target.byteLength);
  }

  reserve(fileDescriptor: number, offset: number, byteLength: number): boolean {
    const { EINTR, ENOSPC, EDQUOT, ENOMEM } = this.#koffi.os.errno;
    const end = offset + byteLength;
    let interruptions = 0;
    for (let at = offset, stepBytes = byteLength; at < end; ) {
      const errorNumber = this.#fallocate(fileDescriptor, at, Math.min(stepBytes, end - at));
      if (errorNumber === 0) {
        at += stepBytes;
      } else if (errorNumber === EINTR && interruptions++ < INTERRUPTIONS_MAX) {
        stepBytes = Math.max(RESERVE_STEP_BYTES_MIN, Math.floor(stepBytes / 2));
      } else if (errorNumber === ENOSPC || errorNumber === EDQUOT || errorNumber === ENOMEM) {
        return false;
      } else {
        throw failure("posix_fallocate", `${byteLength} bytes of file descriptor ${fileDescriptor} at ${offset}`, errorNumber);
      }
    }
    return true;
  }

  waitWhile(address: bigint, expected: number, timeoutMs: number): void {
    if (!(timeoutMs > 0)) return;
    const blockedMs = Math.min(timeoutMs, BLOCKED_MS_MAX);
    this.#timeout[0] = BigInt(Math.floor(blockedMs / 1000));
    this.#timeout[1] = BigInt(Math.floor((blockedMs % 1000) * 1e6));
    const result = this.#systemCall(this.#futexCallNumber, address, FUTEX_WAIT, expected | 0, this.#timeout, null, 0);
    if (result === 0) return;
    const { EAGAIN, EINTR, ETIMEDOUT } = this.#koffi.os.errno;
    const errorNumber = this.#koffi.errno();
    if (errorNumber !== EAGAIN && errorNumber !== EINTR && errorNumber !== ETIMEDOUT) throw failure("futex wait", `address ${address}`, errorNumber);
  }

  wake(address: bigint): void {
    const result = this.#systemCall(this.#futexCallNumber, address, FUTEX_WAKE, WAKE_ALL, null, null, 0);
    if (result < 0) throw this.#failure("futex wake", `address ${address}`);
  }

  lock(fileDescriptor: number): boolean {
    if (this.#flock(fileDescriptor, LOCK_EXCLUSIVE_WITHOUT_WAITING) === 0) return true;
    const errorNumber = this.#koffi.errno();
    if (errorNumber === this.#koffi.os.errno.EAGAIN) return false;
    throw failure("flock", `file descriptor ${fileDescriptor}`, errorNumber);
  }

  /** Shows that calls arrive as they are meant, on memory that nobody else sees: a wrong one later would end the process. */
  test(): void {
    const byteLength = 64 * 1024;
    let fileDescriptor = this.#memfdCreate("mantaray-test", MFD_CLOEXEC | MFD_NOEXEC_SEAL);
    if (fileDescriptor < 0) fileDescriptor = this.#memfdCreate("mantaray-test", MFD_CLOEXEC);
    if (fileDescriptor < 0) throw this.#failure("memfd_create", "a file for a test");
    try {
      ftruncateSync(fileDescriptor, byteLength);
      if (!this.reserve(fileDescriptor, 0, byteLength)) throw new Error("there is no memory left for a test");
      const first = this.map(fileDescriptor, byteLength);
      const second = this.map(fileDescriptor, byteLength);
      const written = new Int32Array(this.view(first, byteLength));
      const read = new Int32Array(this.view(second + 4096n, 8));
      written[1024] = -5;
      written[1025] = 7;
      this.wake(second + 4096n);
      this.waitWhile(second + 4096n, 1, BLOCKED_MS_MAX);
      const isSame = first !== second && read.length === 2 && read[0] === -5 && read[1] === 7;
      this.unmap(first, byteLength);
      this.unmap(second, byteLength);
      if (!isSame) throw new Error("what is written through one mapping of a file is not read through another");
    } finally {
      // Node warns in a worker thread when it is to close what it has not opened.
      this.#close(fileDescriptor);
    }
  }

  #failure(call: string, what: string): Error {
    return failure(call, what, this.#koffi.errno());
  }
}

function failure(call: string, what: string, errorNumber: number): Error {
  const name = errorNumber > 0 ? getSystemErrorName(-errorNumber) : `error number ${errorNumber}`;
  return Object.assign(new Error(`${call} failed with ${name} for ${what}.`), { code: name });
}

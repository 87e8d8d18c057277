import type { ChildProcess } from "node:child_process";
import type { Writable } from "node:stream";

/** Reads which processes have started and ended. Its input ends when the process that it serves does, however that comes about. */
const SCRIPT = `
pids=
while read -r event id; do
  case $event in
    started) pids="$pids $id" ;;
    ended) left=; for pid in $pids; do [ "$pid" = "$id" ] || left="$left $pid"; done; pids=$left ;;
  esac
done
[ -z "$pids" ] || kill -9 $pids
rm -rf -- "$@" || { sleep 1; rm -rf -- "$@"; }
`;

/**
 * A process that is killed cannot clean up. This one outlives it by a moment: it ends what that has started, also workers whose event
 * loop never turns again, and removes its folders. A shell, since it takes a fortieth of the memory of another Node. Where there is none (Windows), or
 * processes may not be started, workers end by themselves as soon as they notice, and the next runtime removes what is left.
 */
export class Caretaker {
  readonly #folders: readonly string[];
  #hasStarted = false;
  #input: Writable | null = null;
  #ended: Promise<void> = Promise.resolve();
  #ref = (): void => undefined;

  constructor(folders: readonly string[]) {
    this.#folders = folders;
  }

  /** Idempotent. Before the first folder is made: whatever is made once this has returned, it removes. */
  start(): void {
    if (this.#hasStarted || process.platform === "win32") return;
    this.#hasStarted = true;
    try {
      this.#start();
    } catch {
      // Processes may not be started here.
    }
  }

  #start(): void {
    // Loaded by whoever starts one: with it come sockets.
    const { spawn } = process.getBuiltinModule("node:child_process");
    // A session of its own: what ends this process's group does not end it.
    const child = spawn("/bin/sh", ["-c", SCRIPT, "mantaray-caretaker", ...this.#folders], { stdio: ["pipe", "ignore", "ignore"], detached: true, cwd: "/", env: { PATH: process.env["PATH"] } });
    const { stdin } = child;
    // Whoever kills it has what there is without it.
    stdin.on("error", () => undefined);
    this.#ended = new Promise((resolve) => child.on("error", resolve).once("exit", resolve));
    this.#ref = () => child.ref();
    child.unref();
    (stdin as unknown as { unref(): void }).unref();
    this.#input = stdin;
  }

  /** Ends it too, unless it has ended. */
  watch(child: ChildProcess): void {
    const { pid } = child;
    if (pid === undefined) return;
    this.#tell(`started ${pid}\n`);
    child.once("exit", () => this.#tell(`ended ${pid}\n`));
  }

  #tell(line: string): void {
    if (this.#input?.writable === true) this.#input.write(line);
  }

  /** Everything has ended in good order, in the end this too: a thread that ends before leaves a process that nobody waits for. */
  async stop(): Promise<void> {
    this.#hasStarted = true;
    this.#input?.end();
    this.#ref();
    await this.#ended;
  }
}

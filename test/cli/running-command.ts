import type { ChildProcess } from "node:child_process";

export interface CommandRun {
  readonly exitCode: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** A command that is still running. */
export interface RunningCommand {
  readonly child: ChildProcess;
  readonly ended: Promise<CommandRun>;
  /** Resolves when it has written something that matches. */
  wrote(pattern: RegExp): Promise<RegExpExecArray>;
}

/** `child` is in `running` until it has ended. Its output is piped. */
export function follow(child: ChildProcess, running: Set<ChildProcess>): RunningCommand {
  running.add(child);
  const texts = { stdout: "", stderr: "" };
  const heard = new Set<() => void>();
  for (const name of ["stdout", "stderr"] as const) {
    child[name]?.setEncoding("utf8").on("data", (text: string) => {
      texts[name] += text;
      for (const look of heard) look();
    });
  }
  const ended = new Promise<CommandRun>((resolve) => child.once("close", (exitCode, signal) => {
    running.delete(child);
    resolve({ exitCode, signal, ...texts });
  }));
  const wrote = (pattern: RegExp): Promise<RegExpExecArray> => new Promise((resolve, reject) => {
    const look = (): void => {
      const match = pattern.exec(texts.stdout + texts.stderr);
      if (match === null) return;
      heard.delete(look);
      resolve(match);
    };
    heard.add(look);
    void ended.then(() => reject(new Error(`the command ended before it wrote ${pattern}:\n${texts.stdout}${texts.stderr}`)));
    look();
  });
  return { child, ended, wrote };
}

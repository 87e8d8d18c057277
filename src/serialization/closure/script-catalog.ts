import { readFileSync } from "node:fs";
import { fileURLToPath, pathToFileURL } from "node:url";
import { sourceUrlOf } from "../placed-modules.ts";
import { inspectorProbe } from "./inspector-probe.ts";

/** A script that V8 has loaded in this thread. */
export class LoadedScript {
  readonly id: string;
  /** As V8 has it: a file URL, a path (CommonJS), "node:fs", "[eval]", "" for eval. */
  readonly rawUrl: string;
  #source: string | undefined;

  constructor(id: string, rawUrl: string, source?: string) {
    this.id = id;
    this.rawUrl = rawUrl;
    this.#source = source;
  }

  /** Without the query that loaders add: a file URL or the raw name of what is no file. */
  get url(): string {
    return sourceUrlOf(this.#loadedUrl);
  }

  /** Where V8's text lies; another file than `url` if the program's file is not on this machine. */
  get #loadedUrl(): string {
    if (/^(?:\/|[A-Za-z]:[\\/])/.test(this.rawUrl)) return pathToFileURL(this.rawUrl.replace(/\?namespace=.*$/, "")).href;
    return this.rawUrl.replace(/[?#].*$/, "");
  }

  get isFile(): boolean {
    return this.url.startsWith("file:");
  }

  get isNodeInternal(): boolean {
    return this.rawUrl.startsWith("node:");
  }

  /** The written source, where there is a file; else the text that V8 runs. */
  get source(): string {
    this.#source ??= this.#readSource();
    return this.#source;
  }

  #readSource(): string {
    if (this.isNodeInternal) return "";
    if (this.isFile) {
      try {
        return readFileSync(fileURLToPath(this.#loadedUrl), "utf8");
      } catch {
        // "[eval1]" of `node --input-type=module -e` poses as a file of the working directory.
      }
    }
    return inspectorProbe().scriptFromDebugger(this.id)?.source ?? "";
  }
}

const scriptsById = new Map<string, LoadedScript>();

export function loadedScript(scriptId: string): LoadedScript {
  let script = scriptsById.get(scriptId);
  if (script !== undefined) return script;
  for (const [id, url] of inspectorProbe().scriptUrls()) {
    if (!scriptsById.has(id)) scriptsById.set(id, new LoadedScript(id, url));
  }
  script = scriptsById.get(scriptId);
  if (script !== undefined) return script;
  const found = inspectorProbe().scriptFromDebugger(scriptId);
  script = new LoadedScript(scriptId, found?.url ?? "", found?.source);
  scriptsById.set(scriptId, script);
  return script;
}


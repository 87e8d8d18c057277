import { parentPort } from "node:worker_threads";
import * as Comlink from "comlink";
import nodeEndpoint from "comlink/dist/esm/node-adapter.mjs";

class Counter {
  #count = 0;

  increment(): number {
    return ++this.#count;
  }
}

Comlink.expose(new Counter(), nodeEndpoint(parentPort!));

import assert from "node:assert/strict";
import { readdirSync, readFileSync, readlinkSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, it } from "node:test";
import { endPrograms } from "../conformance/running-program.ts";
import { Place } from "./command.ts";

let place: Place;
beforeEach(() => { place = new Place(); });
afterEach(async () => {
  await endPrograms();
  await place.remove();
});

const LISTENING = "0A";
/** 127.0.0.1 as Linux writes it. */
const LOOPBACK = "0100007F";

/** Addresses at which the process takes TCP connections. */
function listeningAddresses(pid: number): string[] {
  const sockets = new Set(readdirSync(`/proc/${pid}/fd`).flatMap((fd) => {
    try {
      return [/^socket:\[(\d+)\]$/.exec(readlinkSync(`/proc/${pid}/fd/${fd}`))?.[1] ?? ""];
    } catch {
      return [];
    }
  }));
  return ["tcp", "tcp6"].flatMap((table) => readFileSync(`/proc/net/${table}`, "utf8").trim().split("\n").slice(1)).flatMap((line) => {
    const [, local, , state, , , , , , inode] = line.trim().split(/\s+/);
    return state === LISTENING && sockets.has(inode as string) ? [(local as string).split(":")[0] as string] : [];
  });
}

describe("options of a node", () => {
  it("say what it has, and where its objects go that do not fit", async () => {
    const spilling = join(place.folder, "spilled objects");
    const { address } = await place.head("--num-cpus", "1.5", "--num-gpus", "2", "--memory", "512MiB", "--object-store-memory", "64000000", "--object-spilling-directory", spilling, "--resources", '{"printer": 0.5}', "--labels", "zone=a,disk=ssd");
    const program = place.join(address, `
      const [node] = await ray.nodes();
      say([node.resources, node.labels]);
      say(await ray.get(ray.remote(() => ray.getRuntimeContext().acceleratorIds.GPU).options({ numCpus: 0.5, numGpus: 2, memory: 512 * 1024 ** 2, resources: { printer: 0.5 } }).remote()));
      globalThis.kept = Array.from({ length: 4 }, (_, index) => ray.put(new Uint8Array(20_000_000).fill(index)));
      say((await ray.get(kept[0]))[7]);
      await hear();
    `);
    const [resources, labels] = await program.said();
    assert.deepEqual([resources.CPU, resources.GPU, resources.memory, resources.printer], [1.5, 2, 512 * 1024 ** 2, 0.5]);
    assert.deepEqual([labels.zone, labels.disk], ["a", "ssd"]);
    assert.deepEqual(await program.said(), ["0", "1"]);
    assert.equal(await program.said(), 0);
    assert.match((await place.run("memory", "--address", address)).stdout, /64\.0 MB|61\.0 MB/);
    assert.ok(readdirSync(spilling, { recursive: true }).length > 0, "what does not fit is there");
  });

  it("name where it listens; without them it is heard by this machine alone, and so are its workers and programs", { skip: process.platform !== "linux" }, async () => {
    const head = await place.head("--num-cpus", "1", "--node-name", "first");
    const { stdout } = await place.run("start", "--address", head.address, "--num-cpus", "1", "--resources", '{"far": 1}', "--port", "0", "--node-name", "second");
    const secondPid = Number((/\(pid (\d+)\)/.exec(stdout) as RegExpExecArray)[1]);
    const program = place.join(head.address, `
      const pidOf = ray.remote(() => process.pid);
      class Far { pid() { return process.pid; } }
      const far = ray.remote(Far).options({ resources: { far: 0.1 } }).remote();
      say([process.pid, await ray.get(pidOf.remote()), await ray.get(pidOf.options({ resources: { far: 0.1 } }).remote()), await ray.get(far.pid.remote())]);
      await hear();
    `);
    const pids = await program.said();
    const addresses = [head.pid, secondPid, ...pids].flatMap(listeningAddresses);
    assert.ok(addresses.length >= 4, "two ports of each node at least");
    assert.deepEqual([...new Set(addresses)], [LOOPBACK]);
    const { stdout: stopped } = await place.run("stop");
    assert.match(stopped, /^The head first of /m);
    assert.match(stopped, /^The node second of /m);

    const elsewhere = await place.head("--num-cpus", "1", "--host", "127.0.0.2");
    assert.match(elsewhere.address, /^127\.0\.0\.2:/);
    assert.deepEqual([...new Set(listeningAddresses(elsewhere.pid))], ["0200007F"]);
  });
});
